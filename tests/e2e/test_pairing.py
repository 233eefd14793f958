"""Found by mDNS, paired, shared, unpaired: aiohomekit against a real hapd."""

import base64
import hashlib

import pytest
from aiohomekit.exceptions import AuthenticationError

from harness import wait
from harness.cameras import pattern_camera
from harness.hapd import Hapd, config
from harness.home import Home, new_identity, short

BASE36 = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ"


def setup_payload(uri):
    """(setup code, category, flags, setup id) of an X-HM URI."""
    assert uri.startswith("X-HM://") and len(uri) == 20, uri
    value = int(uri[7:16], 36)
    code = f"{value & 0x7FFFFFF:08d}"
    return f"{code[:3]}-{code[3:5]}-{code[5:]}", value >> 31 & 0xFF, value >> 27 & 0xF, uri[16:]


async def only(hapd):
    (entry,) = hapd.pairing_info().values()
    return entry


async def test_advertised_with_every_txt_key(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, Home() as home:
        entry = await only(hapd)
        txt = await home.txt(entry["device_id"])
        assert txt["id"] == entry["device_id"] == entry["device_id"].upper()
        assert 1 <= int(txt["c#"]) <= 65535
        fixed = {key: txt[key] for key in ("ff", "pv", "s#", "sf", "ci")}
        assert fixed == {"ff": "0", "pv": "1.1", "s#": "1", "sf": "1", "ci": "17"}
        assert txt["md"]
        code, category, flags, setup_id = setup_payload(entry["setup_uri"])
        assert (code, category, flags) == (entry["setup_code"], 17, 2), "code, camera, IP and unpaired"
        digest = hashlib.sha512((setup_id + entry["device_id"]).encode()).digest()[:4]
        assert txt["sh"] == base64.b64encode(digest).decode()
        found = await home.discover(entry["device_id"])
        assert found.description.port == entry["port"] and found.description.name == entry["name"]


async def test_pair_flips_the_status_flag_and_unpair_flips_it_back(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, Home() as home:
        entry = await only(hapd)
        device = entry["device_id"]
        assert entry["paired"] is False
        connection = await home.pair(device, entry["setup_code"])
        await home.wait_status_flag(device, 0)
        assert (await only(hapd))["paired"] is True
        second = await home.connect(connection.data)
        await second.database()
        transport = second.transport()
        await connection.remove_pairing(connection.data["iOSPairingId"])
        await home.wait_status_flag(device, 1)
        await wait.until(transport.is_closing, 5, "close of the removed controller's other connection")
        assert (await only(hapd))["paired"] is False
        again = await home.pair(device, entry["setup_code"])
        await again.database()


async def test_wrong_code_is_refused_and_the_right_one_works_afterwards(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, Home() as home:
        entry = await only(hapd)
        wrong = "031-45-154" if entry["setup_code"] != "031-45-154" else "031-45-155"
        with pytest.raises(AuthenticationError):
            await home.pair(entry["device_id"], wrong)
        assert home.status_flag(entry["device_id"]) == 1
        connection = await home.pair(entry["device_id"], entry["setup_code"])
        assert len(await connection.list_pairings()) == 1


async def test_first_controller_adds_a_second_as_admin_and_a_third_without(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, Home() as home:
        entry = await only(hapd)
        first = await home.pair(entry["device_id"], entry["setup_code"])
        admin, guest = new_identity(first.data), new_identity(first.data)
        await first.add_pairing(admin, "Admin")
        await first.add_pairing(guest, "User")
        second = await home.connect(admin)
        assert await second.services("110"), "the second controller reads the database"
        listed = {p["pairingId"]: p["permissions"] for p in await second.list_pairings()}
        assert listed == {first.data["iOSPairingId"]: 1, admin["iOSPairingId"]: 1, guest["iOSPairingId"]: 0}
        third = await home.connect(guest)
        await third.database()
        with pytest.raises(Exception):
            await third.add_pairing(new_identity(first.data))
        # The second may remove the first; what it had open closes, the others live on.
        transport, kept = first.transport(), third.transport()
        await second.remove_pairing(first.data["iOSPairingId"])
        await wait.until(transport.is_closing, 5, "close of the removed controller's connection")
        assert {p["pairingId"] for p in await second.list_pairings()} == {admin["iOSPairingId"], guest["iOSPairingId"]}
        await third.database()
        assert third.transport() is kept
        # The last admin takes everyone with it.
        await second.remove_pairing(admin["iOSPairingId"])
        await wait.until(kept.is_closing, 5, "close of the guest's connection")
        await home.wait_status_flag(entry["device_id"], 1)


async def test_sixteen_pairings_fit_and_all_verify(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, Home() as home:
        entry = await only(hapd)
        first = await home.pair(entry["device_id"], entry["setup_code"])
        others = [new_identity(first.data) for _ in range(15)]
        for other in others:
            await first.add_pairing(other)
        assert len(await first.list_pairings()) == 16
        for other in others:
            connection = await home.connect(other)
            await connection.get(2)
            await connection.close()


async def test_everything_is_the_same_after_a_restart(folder):
    hapd = Hapd(folder, config(pattern_camera("One"), pattern_camera("Two")))
    async with hapd, Home() as home:
        before = hapd.pairing_info()
        assert len({e["device_id"] for e in before.values()}) == len({e["port"] for e in before.values()}) == 2
        name = next(iter(before))
        connection = await home.pair(before[name]["device_id"], before[name]["setup_code"])
        database, txt = await connection.database(), await home.txt(before[name]["device_id"])
        await connection.close()
        await hapd.stop()
        await hapd.start()
        assert hapd.pairing_info() == {**before, name: {**before[name], "paired": True,
                                                        "setup_uri": hapd.pairing_info()[name]["setup_uri"]}}
        again = await home.connect(connection.data)
        assert shape(await again.database()) == shape(database)
        await home.wait_status_flag(before[name]["device_id"], 0)
        assert (await home.txt(before[name]["device_id"]))["c#"] == txt["c#"]


def shape(accessories):
    return [[(s["iid"], s["type"], [(c["iid"], c["type"], c["perms"]) for c in s["characteristics"]])
             for s in a["services"]] for a in accessories]


async def test_unpair_and_reset_from_the_command_line(folder):
    hapd = Hapd(folder, config(pattern_camera()))
    async with hapd, Home() as home:
        entry = await only(hapd)
        await home.pair(entry["device_id"], entry["setup_code"])
        await hapd.stop()
        done = hapd.command("unpair")
        assert done.returncode == 0, done.stderr
        assert (await only(hapd))["paired"] is False
        assert (await only(hapd))["device_id"] == entry["device_id"]
        done = hapd.command("reset", "--yes")
        assert done.returncode == 0, done.stderr
        await hapd.start()
        fresh = await only(hapd)
        assert fresh["device_id"] != entry["device_id"] and fresh["setup_code"] != entry["setup_code"]


async def test_database_has_what_a_camera_needs(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, Home() as home:
        entry = await only(hapd)
        connection = await home.pair(entry["device_id"], entry["setup_code"])
        (accessory,) = await connection.database()
        assert accessory["aid"] == 1
        iids = [x["iid"] for s in accessory["services"] for x in [s, *s["characteristics"]]]
        assert len(iids) == len(set(iids)) and min(iids) >= 1
        kinds = [short(s["type"]) for s in accessory["services"]]
        assert kinds.count("3E") == kinds.count("A2") == kinds.count("112") == 1 and kinds.count("110") >= 2
        information = next(s for s in accessory["services"] if short(s["type"]) == "3E")
        assert information["iid"] == 1
        values = {short(c["type"]): c for c in information["characteristics"]}
        assert {"14", "20", "21", "23", "30", "52"} <= set(values)
        assert all(values[k]["value"] for k in ("20", "21", "23", "30", "52"))
        assert values["23"]["value"] == entry["name"] and values["14"]["perms"] == ["pw"]
        for service in await connection.services("110"):
            perms = {short(c["type"]): set(c["perms"]) for c in service["characteristics"]}
            assert perms["114"] == perms["115"] == perms["116"] == {"pr"}
            assert perms["117"] == perms["118"] == {"pr", "pw"}
            assert perms["120"] == {"pr", "ev"} and perms["B0"] == {"pr", "pw", "ev"}
            idle = {short(c["type"]): c["value"] for c in service["characteristics"]}
            assert idle["118"] == "AgEC" and idle["120"] == "AQEA", "idle: error, available"
            assert idle["116"].startswith("AgEA")


async def test_sizes_offered_suit_phone_television_and_watch(folder):
    from harness import tlv
    async with Hapd(folder, config(pattern_camera())) as hapd, Home() as home:
        entry = await only(hapd)
        connection = await home.pair(entry["device_id"], entry["setup_code"])
        service = (await connection.services("110"))[0]
        iid = next(c["iid"] for c in service["characteristics"] if short(c["type"]) == "114")
        video = dict(tlv.items(await connection.read_tlv(iid)))[1]
        offered = set()
        for tag, value in tlv.items(video):
            if tag == 3:
                one = tlv.decode(value)
                offered.add((tlv.u(one[1]), tlv.u(one[2]), one[3][0]))
        assert {(1920, 1080, 30), (1280, 720, 30), (640, 360, 30), (320, 240, 15)} <= offered


async def test_event_goes_to_the_subscriber_and_never_to_the_writer(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, Home() as home:
        entry = await only(hapd)
        writer = await home.pair(entry["device_id"], entry["setup_code"])
        service = (await writer.services("110"))[0]
        active = next(c["iid"] for c in service["characteristics"] if short(c["type"]) == "B0")
        listener, deaf = await home.connect(writer.data), await home.connect(writer.data)
        await listener.subscribe(active)
        await writer.subscribe(active)
        assert await writer.put({"iid": active, "value": 0}) == [0]
        await wait.until(lambda: listener.events, 5, "event")
        assert listener.events == [(1, active, 0)]
        await writer.get(active)
        await deaf.get(active)
        assert writer.events == [] and deaf.events == []
        assert await listener.value(active) == 0
        assert await writer.put({"iid": active, "value": 1}) == [0]
        await wait.until(lambda: len(listener.events) == 2, 5, "second event")
        assert listener.events[1] == (1, active, 1) and writer.events == []


async def test_statuses_of_bad_reads_and_writes(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, Home() as home:
        entry = await only(hapd)
        connection = await home.pair(entry["device_id"], entry["setup_code"])
        service = (await connection.services("110"))[0]
        iid = {short(c["type"]): c["iid"] for c in service["characteristics"]}
        kept = connection.transport()
        information = (await connection.services("3E"))[0]
        identify = next(c["iid"] for c in information["characteristics"]
                        if short(c["type"]) == "14")
        read = {e["iid"]: e for e in await connection.get(iid["B0"], 999_999, identify)}
        assert read[999_999]["status"] == -70409 and read[identify]["status"] == -70405
        assert read[iid["B0"]]["status"] == 0 and "value" in read[iid["B0"]]
        assert await connection.put({"iid": iid["114"], "value": "AQEA"}) == [-70404]
        assert await connection.put({"iid": iid["114"], "ev": True}) == [-70406]
        assert await connection.put({"iid": 999_999, "value": 1}, {"iid": iid["B0"], "value": 1}) == [-70409, 0]
        assert await connection.put({"iid": iid["B0"], "value": 7}) == [-70410]
        assert await connection.put({"iid": identify, "value": True}) == [0]
        assert (await connection.raw("PUT", "/characteristics", b"{"))[0] == 400
        assert (await connection.raw("GET", "/nothing"))[0] == 404
        assert connection.transport() is kept, "one and the same connection"


async def test_works_over_ipv6(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, Home() as home:
        entry = await only(hapd)
        first = await home.pair(entry["device_id"], entry["setup_code"])
        connection = await home.connect(first.data, host="::1")
        assert connection.transport().get_extra_info("peername")[0] == "::1"
        assert await connection.services("110")
