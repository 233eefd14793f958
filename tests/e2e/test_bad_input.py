"""Whatever arrives at the port of an accessory: the paired controller does not notice."""

import asyncio
import os
import resource
import struct
import time

import pytest

from harness import tlv, wait
from harness.cameras import pattern_camera
from harness.hapd import Hapd, config
from harness.stream import Stream, Want
from harness.view import paired

MEGABYTES = 1024


def raise_file_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


class Witness:
    """One verified connection that keeps asking; it must never be closed nor wait."""

    def __init__(self, connection):
        self.connection, self.slowest, self.reads = connection, 0.0, 0

    async def __aenter__(self):
        await self.connection.database()
        self.transport = self.connection.transport()
        self.task = asyncio.create_task(self._ask())
        return self

    async def _ask(self):
        while True:
            asked = time.monotonic()
            await self.connection.get(2)
            self.slowest = max(self.slowest, time.monotonic() - asked)
            self.reads += 1
            await asyncio.sleep(0.05)

    async def __aexit__(self, kind, *_):
        if kind is None:
            await wait.until(lambda: self.reads > 3 or self.task.done(), 5, "reads beside it")
        self.task.cancel()
        if kind is None:
            assert self.connection.transport() is self.transport and not self.transport.is_closing()
            assert self.slowest < 1.0, f"a read took {self.slowest:.2f} s"


def request(method, path, body=b"", kind="application/pairing+tlv8", length=None):
    length = len(body) if length is None else length
    head = f"{method} {path} HTTP/1.1\r\nHost: x\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
    return head.encode() + body


async def talk(port, data, seconds=3):
    """Sends, reads until the accessory closes or is silent; returns (all bytes, closed)."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    got, closed = b"", False
    try:
        writer.write(data)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            try:
                chunk = await asyncio.wait_for(reader.read(65536), 0.5 if got else seconds)
            except asyncio.TimeoutError:
                break
            if not chunk:
                closed = True
                break
            got += chunk
    except (ConnectionResetError, BrokenPipeError):
        closed = True
    finally:
        writer.close()
    return got, closed


def code(answer):
    return int(answer.split(b" ", 2)[1]) if answer.startswith(b"HTTP/1.1 ") else None


@pytest.mark.deadline(180)
async def test_a_thousand_connections_opened_and_left(folder):
    raise_file_limit()
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (home, connection):
        (entry,) = hapd.pairing_info().values()
        async with Witness(connection):
            before, left = hapd.rss_kib(), []
            try:
                for i in range(1000):
                    _, writer = await asyncio.wait_for(asyncio.open_connection("127.0.0.1", entry["port"]), 5)
                    left.append(writer)
                    if i % 3 == 1:
                        writer.write(b"GET /accessories HTTP/1.1\r\nHo")
                await asyncio.sleep(1)
                assert hapd.rss_kib() - before < 32 * MEGABYTES
                assert len(os.listdir(f"/proc/{hapd.process.pid}/fd")) < 300, "connections are not kept without bound"
                fresh = await home.connect(connection.data)
                await fresh.get(2)
            finally:
                for writer in left:
                    writer.close()


async def test_ten_megabyte_bodies(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        (entry,) = hapd.pairing_info().values()
        async with Witness(connection):
            before = hapd.rss_kib()
            body = os.urandom(10 << 20)
            answers = await asyncio.gather(*[
                talk(entry["port"], request("POST", path, body)) for path in ("/pair-setup", "/pair-verify", "/nothing")])
            for answer, closed in answers:
                assert closed or code(answer) is not None and 400 <= code(answer) < 500, answer[:100]
            assert hapd.rss_kib() - before < 32 * MEGABYTES
            head, closed = await talk(entry["port"], b"GET /" + b"a" * (1 << 20))
            assert closed or code(head) is not None and 400 <= code(head) < 500


async def test_one_byte_a_second(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        (entry,) = hapd.pairing_info().values()
        m1 = request("POST", "/pair-verify", tlv.encode([(6, b"\x01"), (3, os.urandom(32))]))
        async with Witness(connection):
            reader, writer = await asyncio.open_connection("127.0.0.1", entry["port"])
            for byte in m1[:5]:
                writer.write(bytes([byte]))
                await asyncio.sleep(1)
            for byte in m1[5:]:
                writer.write(bytes([byte]))
                await writer.drain()
                await asyncio.sleep(0.001)
            answer = await asyncio.wait_for(reader.read(1024), 5)
            assert code(answer) == 200 and b"\x06\x01\x02" in answer, "slow is not wrong: M2 comes"
            writer.close()


GARBAGE = {
    "zeros": bytes(5000),
    "noise": bytes((i * 197 + 13) % 256 for i in range(20000)),
    "tls": bytes.fromhex("16030100c8010000c40303") + bytes(200),
    "http2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + bytes(100),
    "no such method": b"BREW /coffee HTTP/1.1\r\n\r\n",
    "endless header": b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 20000,
    "two lengths": b"POST /pair-setup HTTP/1.1\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabcde",
    "negative length": b"POST /pair-setup HTTP/1.1\r\nContent-Length: -1\r\n\r\n",
    "huge length": b"POST /pair-setup HTTP/1.1\r\nContent-Length: 99999999999999999999\r\n\r\n",
}


@pytest.mark.parametrize("name", GARBAGE)
async def test_garbage(folder, name):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        (entry,) = hapd.pairing_info().values()
        async with Witness(connection):
            for _ in range(5):
                answer, closed = await talk(entry["port"], GARBAGE[name], seconds=1)
                assert answer == b"" or 400 <= code(answer) < 500, answer[:100]


async def test_pair_setup_and_verify_with_broken_messages(folder):
    n = int.from_bytes(b"\xff" * 8, "big")
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        (entry,) = hapd.pairing_info().values()
        messages = [
            b"", b"\x06", b"\x06\x01", b"\x06\x05\x01", tlv.encode([(6, b"\x09")]), tlv.encode([(6, b"\x03")]),
            tlv.encode([(6, b"\x05"), (5, os.urandom(200))]), tlv.encode([(3, bytes(385)), (6, b"\x03"), (4, bytes(64))]),
            tlv.encode([(6, b"\x03"), (3, bytes(384)), (4, bytes(64))]), tlv.encode([(0x55, bytes(3000))]),
            tlv.encode([(6, b"\x01"), (3, bytes(32))]), tlv.encode([(6, b"\x01"), (3, os.urandom(31))]),
            tlv.encode([(6, struct.pack("<Q", n))])]
        async with Witness(connection):
            for path in ("/pair-setup", "/pair-verify", "/pairings"):
                for message in messages:
                    answer, closed = await talk(entry["port"], request("POST", path, message), seconds=1)
                    allowed = {200, 400} if path != "/pairings" else {470}
                    assert code(answer) in allowed, (path, message.hex()[:40], answer[:100])
                    if code(answer) == 200 and path == "/pair-setup":
                        assert b"\x07\x01" in answer, "an accessory that is paired answers Pair Setup with an error"


async def test_unverified_requests_get_470(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        (entry,) = hapd.pairing_info().values()
        for method, path, body in (("GET", "/accessories", b""), ("GET", "/characteristics?id=1.2", b""),
                                   ("PUT", "/characteristics", b"{}"), ("POST", "/resource", b"{}"),
                                   ("PUT", "/prepare", b"{}"), ("POST", "/pairings", b"")):
            answer, _ = await talk(entry["port"], request(method, path, body, "application/hap+json"), seconds=1)
            assert code(answer) == 470, (path, answer[:80])


async def test_broken_frames_on_a_verified_connection_close_only_that_one(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (home, connection):
        for junk in (b"\x05\x00" + bytes(21), b"\xff\xff" + bytes(2000), b"\x00\x00" + bytes(16)):
            victim = await home.connect(connection.data)
            async with Witness(connection):
                transport = victim.transport()
                transport.write(junk)
                await wait.until(transport.is_closing, 5, "close after a frame that does not authenticate")
                await asyncio.sleep(0.3)
            await victim.close()


async def test_requests_in_one_piece_are_answered_in_order(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        await connection.database()
        link = await connection.link()
        one = b"GET /characteristics?id=1.2 HTTP/1.1\r\nHost: x\r\n\r\n"
        many = [asyncio.create_task(link.protocol.send_bytes(one)) for _ in range(8)]
        answers = await asyncio.wait_for(asyncio.gather(*many), 5)
        assert all(a.code in (200, 207) for a in answers)


async def test_setup_endpoints_with_broken_tlv(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (home, connection):
        service = (await connection.services("110"))[0]
        iids = {c["type"].lstrip("0").split("-")[0]: c["iid"] for c in service["characteristics"]}
        kept = connection.transport()
        for junk in (b"", b"\x01", b"\x01\x10" + bytes(5), os.urandom(300), tlv.encode([(1, bytes(16)), (3, bytes(40))]),
                     tlv.encode([(1, bytes(16)), (3, [(1, b"\0"), (2, b"not an address"), (3, b"\1\1"), (4, b"\1\1")]),
                                 (4, bytes(37)), (5, bytes(37))]), bytes(20000)):
            for kind in ("117", "118"):
                status = await connection.write_tlv(iids[kind], junk)
                assert status in (0, -70410), (kind, junk[:20].hex(), status)
        huge = b'{"characteristics":[{"aid":1,"iid":1,"value":"' + b"A" * 5_000_000 + b'"}]}'
        assert (await (await home.connect(connection.data)).raw("PUT", "/characteristics", huge))[0] in (400, 413)
        async with Stream(connection, service, Want()) as stream:
            assert await stream.setup() == 0 and await stream.start() == 0
            await stream.first_packets()
            await stream.end()
        assert connection.transport() is kept
