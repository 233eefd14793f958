"""HomeKit Data Stream as a controller speaks it; written apart from the Rust crate on purpose."""

import asyncio
import base64
import contextlib
import itertools
import os
import socket
import struct
import time
import uuid
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from . import secrets, shared_secret, tlv, wait

NORMAL, NOT_ALLOWED, BUSY, CANCELLED, UNSUPPORTED, UNEXPECTED, TIMEOUT, BAD_DATA, PROTOCOL_ERROR, UNCONFIGURED = range(10)
SUCCESS, HEADER_ERROR, MISSING_PROTOCOL, PROTOCOL_SPECIFIC = 0, 3, 5, 6
CHUNK = 0x40000
RECORDING, SNAPSHOT = "ipcamera.recording", "ipcamera.snapshot"


# --- values


class Wide(int):
    """A whole number written with 64 bits, as iOS writes identifiers of requests."""


@dataclass(frozen=True)
class Date:
    seconds: float


def encode(value):
    match value:
        case None:
            return b"\x04"
        case bool():
            return b"\x01" if value else b"\x02"
        case Wide():
            return b"\x33" + struct.pack("<q", value)
        case int():
            return _int(value)
        case float():
            return b"\x36" + struct.pack("<d", value)
        case Date():
            return b"\x06" + struct.pack("<d", value.seconds)
        case uuid.UUID():
            return b"\x05" + value.bytes
        case str():
            return _sized(0x40, 0x61, value.encode())
        case bytes():
            return _sized(0x70, 0x91, value)
        case list():
            return _container(0xD0, value, b"".join(encode(v) for v in value))
        case dict():
            return _container(0xE0, value, b"".join(encode(k) + encode(v) for k, v in value.items()))
    raise TypeError(type(value))


def _int(value):
    if -1 <= value <= 39:
        return bytes([value + 8])
    for tag, width in ((0x30, "<b"), (0x31, "<h"), (0x32, "<i"), (0x33, "<q")):
        with contextlib.suppress(struct.error):
            return bytes([tag]) + struct.pack(width, value)
    raise OverflowError(value)


def _sized(short, long, data):
    if len(data) <= 32:
        return bytes([short + len(data)]) + data
    power = next(p for p in range(4) if len(data) < 1 << (8 << p))
    return bytes([long + power]) + len(data).to_bytes(1 << power, "little") + data


def _container(tag, items, body):
    return bytes([tag + len(items)]) + body if len(items) < 15 else bytes([tag + 15]) + body + b"\x03"


class _Decoder:
    def __init__(self, data):
        self.data, self.at, self.seen = data, 0, []

    def take(self, count):
        if self.at + count > len(self.data):
            raise ValueError(f"cut short at byte {self.at}")
        self.at += count
        return self.data[self.at - count : self.at]

    def number(self, width):
        return struct.unpack(width, self.take(struct.calcsize(width)))[0]

    def remember(self, value):
        """What is longer than a byte can be referred to; equal values of different types are different."""
        if not any(type(s) is type(value) and s == value for s in self.seen):
            self.seen.append(value)
        return value

    def value(self):
        tag = self.take(1)[0]
        match tag:
            case 0x01 | 0x02:
                return tag == 0x01
            case 0x04:
                return None
            case 0x05:
                return self.remember(uuid.UUID(bytes=self.take(16)))
            case 0x06:
                return self.remember(Date(self.number("<d")))
            case _ if 0x07 <= tag <= 0x2F:
                return tag - 8
            case 0x30 | 0x31 | 0x32 | 0x33:
                return self.remember(self.number("<" + "bhiq"[tag - 0x30]))
            case 0x35 | 0x36:
                return self.remember(self.number("<f" if tag == 0x35 else "<d"))
            case _ if 0x40 <= tag <= 0x64:
                text = self.take(self.length(tag, 0x40, 0x60)).decode()
                return self.remember(text) if text else text
            case 0x6F:
                end = self.data.index(b"\0", self.at)
                text = self.take(end - self.at + 1)[:-1].decode()
                return self.remember(text)
            case _ if 0x70 <= tag <= 0x94:
                data = bytes(self.take(self.length(tag, 0x70, 0x90)))
                return self.remember(data) if data else data
            case _ if 0xA0 <= tag <= 0xC0:
                return self.seen[tag - 0xA0]
            case _ if 0xC1 <= tag <= 0xC4:
                return self.seen[int.from_bytes(self.take(1 << (tag - 0xC1)), "little")]
            case _ if 0xD0 <= tag <= 0xDF:
                return [self.value() for _ in self.entries(tag - 0xD0)]
            case _ if 0xE0 <= tag <= 0xEF:
                return {self.value(): self.value() for _ in self.entries(tag - 0xE0)}
        raise ValueError(f"tag {tag:#04x} at byte {self.at - 1}")

    def length(self, tag, short, longest):
        return tag - short if tag <= longest else int.from_bytes(self.take(1 << (tag - longest - 1)), "little")

    def entries(self, count):
        if count < 15:
            return range(count)
        return iter(self.another, False)

    def another(self):
        ended = self.data[self.at : self.at + 1] == b"\x03"
        self.at += ended
        return not ended


def decode(data):
    """The one value that `data` is."""
    decoder = _Decoder(data)
    value = decoder.value()
    if decoder.at != len(data):
        raise ValueError(f"{len(data) - decoder.at} bytes after the value")
    return value


# --- frames


def derive(secret, controller_salt, accessory_salt):
    """(key to the accessory, key from the accessory)"""
    salt = controller_salt + accessory_salt
    return tuple(HKDF(hashes.SHA512(), 32, salt, info).derive(secret)
                 for info in (b"HDS-Write-Encryption-Key", b"HDS-Read-Encryption-Key"))


def _nonce(counter):
    return struct.pack("<IQ", 0, counter)


def seal(key, counter, payload):
    header = b"\x01" + len(payload).to_bytes(3, "big")
    return header + ChaCha20Poly1305(key).encrypt(_nonce(counter), payload, header)


def unseal(key, counter, frame):
    return ChaCha20Poly1305(key).decrypt(_nonce(counter), frame[4:], frame[:4])


def payload(header, message):
    head = encode(header)
    return bytes([len(head)]) + head + encode(message)


def parse(data):
    """(header, message)"""
    return decode(data[1 : 1 + data[0]]), decode(data[1 + data[0] :])


# --- setting up


@dataclass
class Session:
    """A session that was set up, and waits for its TCP connection."""

    port: int
    to_accessory: bytes
    from_accessory: bytes


async def set_up(connection, iid=None):
    """Writes 131 over a pairing's connection: a session."""
    if iid is None:
        (service,) = await connection.services("129")
        iid = (await connection.characteristic(service, "131"))["iid"]
    link, salt = await connection.link(), os.urandom(32)
    request = tlv.encode([(1, b"\0"), (2, b"\0"), (3, salt)])
    entry = {"aid": 1, "iid": iid, "value": base64.b64encode(request).decode(), "r": True}
    (answer,) = (await link.put_json("/characteristics", {"characteristics": [entry]}))["characteristics"]
    assert answer["status"] == 0, answer
    answer = tlv.decode(base64.b64decode(answer["value"]))
    assert answer[1] == b"\0" and len(answer[3]) == 32, answer
    secret = shared_secret.of(link)
    keys = derive(secret, salt, answer[3])
    for kind, key in (("Pair Verify shared secret", secret), ("data stream key", keys[0]), ("data stream key", keys[1])):
        secrets.remember(kind, key)
    return Session(tlv.u(tlv.decode(answer[2])[1]), *keys)


# --- a connection


class Refused(Exception):
    """An `open` that was answered with a reason."""

    def __init__(self, reason):
        super().__init__(f"refused with reason {reason}")
        self.reason = reason


class Gone(Exception):
    """The TCP connection has ended."""


@dataclass
class Piece:
    kind: str
    sequence: int
    at: float
    data: bytes


@dataclass
class Transfer:
    """A stream that the accessory took."""

    stream: "DataStream"
    stream_id: int
    keep: bool = True
    opened_at: float = field(default_factory=time.monotonic)
    pieces: list = field(default_factory=list)
    arrivals: list = field(default_factory=list)  # (time, bytes) of each chunk
    ended: bool = False
    reason: int | None = None  # of the accessory's `close`
    closed_at: float | None = None
    _parts: list = field(default_factory=list)
    _total: int = 0

    def take(self, message, now):
        """A `data` event; every rule is checked."""
        assert self.reason is None and not self.ended, f"data after the end of stream {self.stream_id}"
        assert message["packets"], message.keys()
        for packet in message["packets"]:
            self.chunk(packet["data"], packet["metadata"], now)
        if message.get("endOfStream"):
            assert not self._parts, "ended within a fragment"
            self.ended = True

    def chunk(self, data, about, now):
        self.arrivals.append((now, len(data)))
        assert len(data) <= CHUNK and about["dataChunkSequenceNumber"] == len(self._parts) + 1, about
        assert about["dataSequenceNumber"] == len(self.pieces) + 1, about
        if not self._parts:
            self._total = about["dataTotalSize"]
        self._parts.append(data)
        if not about["isLastDataChunk"]:
            assert len(data) == CHUNK, len(data)
            return
        whole, self._parts = b"".join(self._parts), []
        assert len(whole) == self._total, (len(whole), about)
        self.pieces.append(Piece(about["dataType"], about["dataSequenceNumber"], now, whole if self.keep else b""))

    def whole(self):
        return b"".join(p.data for p in self.pieces)

    async def has(self, pieces, seconds=10):
        await wait.until(lambda: len(self.pieces) >= pieces or self.reason is not None, seconds,
                         lambda: f"{pieces} pieces, has {len(self.pieces)}")
        assert len(self.pieces) >= pieces, f"closed with {self.reason} after {len(self.pieces)} pieces"

    async def end(self, seconds=20):
        """Until `endOfStream`; then it is acknowledged and closed, as a hub does it."""
        await wait.until(lambda: self.ended or self.reason is not None, seconds,
                         lambda: f"the end of a recording, has {len(self.pieces)} pieces")
        assert self.ended, f"closed with {self.reason}"
        self.stream.event("dataSend", "ack", {"streamId": self.stream_id, "endOfStream": True})
        self.close()

    def close(self, reason=NORMAL):
        self.stream.event("dataSend", "close", {"streamId": self.stream_id, "reason": reason})
        self.stream.transfers.pop(self.stream_id, None)

    async def over(self):
        """Closed, and the accessory has read it: another connection could be faster otherwise."""
        self.close()
        await self.stream.alive()

    async def closed(self, seconds=5):
        """The reason with which the accessory closes it."""
        await wait.until(lambda: self.reason is not None, seconds, "a close from the accessory")
        return self.reason


class DataStream:
    """One TCP connection. `async with DataStream(session) as hds:` says hello; `greet=False` leaves that out."""

    def __init__(self, session, greet=True, host="127.0.0.1", receive_buffer=None):
        self.session, self.greet, self.host, self.receive_buffer = session, greet, host, receive_buffer
        self.transfers, self.strays, self.problems = {}, [], []
        self.gone, self.writer = asyncio.Event(), None
        self.out, self.into = 0, 0  # counters
        self._ids = itertools.count(1 << 33)
        self._answers = {}
        self._hungry = asyncio.Event()
        self._hungry.set()

    @classmethod
    async def over(cls, connection, **more):
        """Set up, connected and greeted."""
        return await cls(await set_up(connection), **more).connect()

    async def connect(self):
        sock = socket.socket()
        sock.setblocking(False)
        if self.receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.receive_buffer)
        await asyncio.get_running_loop().sock_connect(sock, (self.host, self.session.port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        limit = 1 << 16 if not self.receive_buffer else 1 << 12
        self.reader, self.writer = await asyncio.open_connection(sock=sock, limit=limit)
        self._task = asyncio.create_task(self._read())
        if self.greet:
            await self.alive(10)
        return self

    async def __aenter__(self):
        return self if self.writer else await self.connect()

    async def __aexit__(self, kind, *_):
        self.close()
        if kind is None:
            assert not self.problems, self.problems

    def close(self):
        self._task.cancel()
        self.writer.close()
        self.gone.set()

    def abort(self):
        """As a hub that loses power ends it: what is under way is thrown away."""
        self.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._task.cancel()
        self.writer.transport.abort()
        self.gone.set()

    # --- out

    def write(self, data):
        self.writer.write(data)

    def send(self, data):
        """A payload in the next frame."""
        self.write(self.frame(data))

    def frame(self, data):
        self.out += 1
        return seal(self.session.to_accessory, self.out - 1, data)

    def event(self, protocol, topic, message):
        self.send(payload({"protocol": protocol, "event": topic}, message))

    async def request(self, protocol, topic, message, seconds=10, id=None):
        """(status, message)"""
        id = next(self._ids) if id is None else id
        answer = self._answers[id] = asyncio.get_running_loop().create_future()
        self.send(payload({"request": topic, "protocol": protocol, "id": Wide(id)}, message))
        try:
            return await asyncio.wait_for(answer, seconds)
        finally:
            self._answers.pop(id, None)

    async def alive(self, seconds=5):
        """Answers, and has read all that was sent before."""
        assert await self.request("control", "hello", {}, seconds) == (SUCCESS, {})

    async def open(self, stream_id=1, kind=RECORDING, reason="record", target="controller", keep=True, **more):
        """A transfer, or `Refused`."""
        message = {"streamId": stream_id, "type": kind, "target": target, **more}
        if reason is not None:
            message["reason"] = reason
        transfer = Transfer(self, stream_id, keep)
        before = self.transfers.get(stream_id)
        self.transfers[stream_id] = transfer
        status, answer = await self.request("dataSend", "open", message)
        if status == SUCCESS:
            assert answer == {"status": 0}, answer
            return transfer
        self.transfers.pop(stream_id)
        if before:
            self.transfers[stream_id] = before
        assert status == PROTOCOL_SPECIFIC, (status, answer)
        raise Refused(answer["status"])

    async def refusal(self, **more):
        """The reason with which an `open` is refused, or None."""
        try:
            await (await self.open(**more)).over()
        except Refused as refused:
            return refused.reason
        return None

    async def snapshot(self, stream_id, reason=None, size=None, seconds=10):
        """A JPEG, or `Refused`; a stream that is closed meanwhile counts as refused, too."""
        more = {"metadata": {"image-width": size[0], "image-height": size[1]}} if size else {}
        transfer = await self.open(stream_id, SNAPSHOT, reason, **more)
        await wait.until(lambda: transfer.ended or transfer.reason is not None, seconds, "a picture")
        if transfer.reason is not None:
            raise Refused(transfer.reason)
        await transfer.end()
        (piece,) = transfer.pieces
        assert (piece.kind, piece.sequence) == ("image", 1), piece
        return piece.data

    # --- in

    def deaf(self):
        """Reads nothing any more."""
        self._hungry.clear()

    def under_way(self):
        """Whether a part of a frame has arrived."""
        return bool(self.reader._buffer)

    async def ends(self, seconds=5):
        """Until the accessory closes the TCP connection."""
        await asyncio.wait_for(self.gone.wait(), seconds)

    async def _read(self):
        try:
            while True:
                head = await self.reader.readexactly(4)
                assert head[0] == 1, head
                body = await self.reader.readexactly(int.from_bytes(head[1:], "big") + 16)
                await self._hungry.wait()
                self._take(unseal(self.session.from_accessory, self.into, head + body))
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        except (AssertionError, InvalidTag, ValueError, LookupError) as error:
            self.problems.append(repr(error))
        finally:
            self.gone.set()
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(Gone())

    def _take(self, data):
        self.into += 1
        now = time.monotonic()
        header, message = parse(data)
        if "response" in header:
            answer = self._answers.get(header["id"])
            if answer and not answer.done():
                answer.set_result((header["status"], message))
            return
        transfer = self.transfers.get(message.get("streamId"))
        match (header.get("protocol"), header.get("event")):
            case ("dataSend", "data") if transfer:
                transfer.take(message, now)
            case ("dataSend", "close") if transfer:
                transfer.reason, transfer.closed_at = message["reason"], now
                self.transfers.pop(transfer.stream_id)
            case _:
                self.strays.append((now, header, message))
