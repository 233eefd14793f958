"""aiohomekit as the home: found by mDNS on loopback, paired, several connections."""

import base64
import contextlib
import time
import uuid

from aiohomekit import hkjson
from aiohomekit.characteristic_cache import CharacteristicCacheMemory
from aiohomekit.controller.ip.controller import IpController
from aiohomekit.controller.ip.pairing import IpPairing
from aiohomekit.exceptions import AuthenticationError, HttpErrorResponse
from aiohomekit.http import HttpContentTypes
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from zeroconf import ServiceStateChange
from zeroconf.asyncio import AsyncServiceBrowser, AsyncZeroconf

from . import secrets, wait

HAP = "_hap._tcp.local."


def short(kind):
    """`00000110-0000-1000-8000-0026BB765291` -> `110`."""
    return kind.upper().removesuffix("-0000-1000-8000-0026BB765291").lstrip("0")


class Home:
    """One mDNS view and one aiohomekit controller."""

    async def __aenter__(self):
        self.zeroconf = AsyncZeroconf(interfaces=["127.0.0.1"])
        self.browser = AsyncServiceBrowser(self.zeroconf.zeroconf, [HAP], handlers=[_ignore])
        self.controller = IpController(CharacteristicCacheMemory(), self.zeroconf)
        await self.controller.async_start()
        self._open = []
        return self

    async def __aexit__(self, *_):
        for connection in self._open:
            await connection.close()
        await self.controller.async_stop()
        await self.browser.async_cancel()
        await self.zeroconf.async_close()

    async def discover(self, device_id, seconds=15):
        return await self.controller.async_find(device_id, timeout=seconds)

    def status_flag(self, device_id):
        """The `sf` of the newest TXT record seen, or None before any."""
        found = self.controller.discoveries.get(device_id.lower())
        return None if found is None else int(found.description.status_flags)

    async def wait_status_flag(self, device_id, value, seconds=10):
        await wait.until(lambda: self.status_flag(device_id) == value, seconds,
                         lambda: f"sf={value} of {device_id}, last seen {self.status_flag(device_id)}")

    async def txt(self, device_id):
        """The TXT record as advertised, read anew."""
        from zeroconf.asyncio import AsyncServiceInfo
        name = (await self.discover(device_id)).description.name
        info = AsyncServiceInfo(HAP, f"{name}.{HAP}")
        assert await info.async_request(self.zeroconf.zeroconf, 3000), f"{name} does not resolve"
        return dict(info.decoded_properties)

    async def pair(self, device_id, code):
        """Pair Setup as aiohomekit does it; returns the first connection."""
        discovery = await self.discover(device_id)
        finish = await discovery.async_start_pairing(device_id)
        pairing = await finish(code)
        secrets.remember("controller long-term secret key", bytes.fromhex(pairing.pairing_data["iOSDeviceLTSK"]))
        return self._kept(Connection(pairing))

    async def connect(self, pairing_data, host=None):
        """One more TCP connection with a pairing that exists."""
        data = dict(pairing_data)
        if host:
            data["AccessoryIP"], data["AccessoryIPs"] = host, [host]
        connection = Connection(IpPairing(self.controller, data))
        await connection.link()
        return self._kept(connection)

    def _kept(self, connection):
        self._open.append(connection)
        return connection


def _ignore(zeroconf, service_type, name, state_change: ServiceStateChange):
    """The controller adds its own handler; the browser wants one from the start."""


def new_identity(pairing_data):
    """Pairing data of another controller, as the first one would add it."""
    key = Ed25519PrivateKey.generate()
    secret = key.private_bytes(serialization.Encoding.Raw, serialization.PrivateFormat.Raw,
                               serialization.NoEncryption())
    public = key.public_key().public_bytes(serialization.Encoding.Raw, serialization.PublicFormat.Raw)
    return {**pairing_data, "iOSPairingId": str(uuid.uuid4()).upper(),
            "iOSDeviceLTSK": secret.hex(), "iOSDeviceLTPK": public.hex()}


class Connection:
    """One pair-verified TCP connection and the events that came over it."""

    def __init__(self, pairing):
        self.pairing = pairing
        self.data = pairing.pairing_data
        self.events = []  # (aid, iid, value) in the order of arrival
        self.event_times = []
        pairing.event_received = self._event
        self.accessories = None

    def _event(self, body):
        for entry in body["characteristics"]:
            self.events.append((entry["aid"], entry["iid"], entry.get("value")))
            self.event_times.append(time.monotonic())

    async def close(self):
        """Also where the accessory has thrown this controller out: aiohomekit tried to come back, in vain."""
        with contextlib.suppress(AuthenticationError):
            await self.pairing.close()

    async def link(self):
        """The HTTP side, connected and verified."""
        await self.pairing._ensure_connected()
        return self.pairing.connection

    def transport(self):
        """Tells one TCP connection from the next: aiohomekit reconnects on its own."""
        return self.pairing.connection.transport

    async def database(self):
        body = await (await self.link()).get_json("/accessories")
        self.accessories = body["accessories"]
        return self.accessories

    async def services(self, kind, aid=1):
        if self.accessories is None:
            await self.database()
        accessory = next(a for a in self.accessories if a["aid"] == aid)
        return [s for s in accessory["services"] if short(s["type"]) == kind]

    async def characteristic(self, service, kind):
        found = [c for c in service["characteristics"] if short(c["type"]) == kind]
        assert len(found) == 1, f"{len(found)} characteristics {kind} in {service['type']}"
        return found[0]

    async def get(self, *iids, query=""):
        ids = ",".join(f"1.{iid}" for iid in iids)
        return (await (await self.link()).get_json(f"/characteristics?id={ids}{query}"))["characteristics"]

    async def value(self, iid):
        (entry,) = await self.get(iid)
        assert entry.get("status", 0) == 0, entry
        return entry["value"]

    async def put(self, *entries, **top):
        """The status of each entry; all zero when the answer was 204."""
        body = {"characteristics": [{"aid": 1, **entry} for entry in entries], **top}
        answer = await (await self.link()).put_json("/characteristics", body)
        if not answer:
            return [0] * len(entries)
        return [entry["status"] for entry in answer["characteristics"]]

    async def write_tlv(self, iid, value):
        (status,) = await self.put({"iid": iid, "value": base64.b64encode(value).decode()})
        return status

    async def read_tlv(self, iid):
        return base64.b64decode(await self.value(iid))

    async def subscribe(self, *iids):
        assert await self.put(*[{"iid": iid, "ev": True} for iid in iids]) == [0] * len(iids)

    async def snapshot(self, width, height, **more):
        body = {"aid": 1, "resource-type": "image", "image-width": width, "image-height": height, **more}
        return await (await self.link()).post("/resource", hkjson.dump_bytes(body), HttpContentTypes.JSON)

    async def raw(self, method, target, body=None, kind="application/hap+json"):
        """Any request; returns (code, body) for 4xx too."""
        headers = [("Content-Type", kind), ("Content-Length", len(body))] if body is not None else []
        try:
            answer = await (await self.link()).request(method, target, headers, body)
        except HttpErrorResponse as error:
            answer = error.response
        return answer.code, bytes(answer.body)

    async def list_pairings(self):
        return await self.pairing.list_pairings()

    async def add_pairing(self, identity, permissions="Admin"):
        await self.pairing.add_pairing(identity["iOSPairingId"], identity["iOSDeviceLTPK"], permissions)

    async def remove_pairing(self, pairing_id):
        await self.pairing.remove_pairing(pairing_id)
