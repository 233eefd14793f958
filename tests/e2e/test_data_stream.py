"""Whatever comes over data streams, and whatever hubs do with recordings: all that is right goes on."""

import asyncio
import contextlib
import os
import resource
import time

import pytest

from harness import hds, jpeg, paths, tlv, wait
from harness.cameras import RtspServer, pattern_camera
from harness.hapd import Hapd, config
from harness.hds import DataStream, Gone, Refused
from harness.home import Home, new_identity
from harness.modes import Switches
from harness.view import paired

MEGABYTES = 1024
HOLD = 1


def camera(**more):
    return pattern_camera(size="640x360", fps=15, motion_hold=HOLD, **more)


async def first_use(hapd):
    """Pairs, arms and records once, so that what any use leaves behind is there already: the pairing."""
    await hapd.start()
    async with paired(hapd) as (_, connection):
        await (await Switches.of(connection)).arm()
        async with await DataStream.over(connection) as stream:
            await (await records(stream, 1)).over()
            await stream.snapshot(2, "event", (320, 180))
        return connection.data


def running(folder, camera):
    """One daemon for several tests: each finds it as the ones before left it."""
    hapd = Hapd(folder, config(camera), env={"HAPD_LOG": "info"}, stdin=True)
    try:
        yield hapd, asyncio.run(first_use(hapd))
    finally:
        asyncio.run(hapd.stop())


@pytest.fixture(scope="module")
def small():
    yield from running(paths.folder("data_stream_small"), camera())


@pytest.fixture(scope="module")
def large():
    """A camera that sends more than sockets swallow."""
    folder = paths.folder("data_stream_large")
    server = RtspServer(folder, size="640x360", fps=15, gop=15, kbps=8000, pattern="snow")
    asyncio.run(server.start())
    try:
        yield from running(folder, server.camera(motion_hold=HOLD))
    finally:
        server.kill()
        server.sent.unlink(missing_ok=True)


def name_of(hapd):
    return next(iter(hapd.pairing_info()))


def moves(hapd, name, on):
    hapd.process.stdin.write(f'"{name}" motion {"on" if on else "off"}\n'.encode())
    hapd.process.stdin.flush()


@contextlib.asynccontextmanager
async def hub(daemon):
    """(hapd, home, connection, switches) of one more connection."""
    hapd, data = daemon
    async with Home() as home:
        connection, home.pairing = await home.connect(data), data
        yield hapd, home, connection, await Switches.of(connection)


async def records(stream, stream_id, patience=0.0):
    """A recording that has begun as it should. `patience`: how long the one before may still be noticed."""
    transfer, until = None, time.monotonic() + patience
    while transfer is None:
        try:
            transfer = await stream.open(stream_id)
        except Refused as refused:
            assert refused.reason == hds.BUSY and time.monotonic() < until, refused
            await asyncio.sleep(0.05)
    await transfer.has(2)
    assert [p.kind for p in transfer.pieces[:2]] == ["mediaInitialization", "mediaFragment"]
    assert transfer.pieces[0].data[4:8] == b"ftyp" and b"moof" in transfer.pieces[1].data[:200]
    return transfer


@contextlib.asynccontextmanager
async def witness(home):
    """A hub beside: its data stream must survive, and answer at once."""
    connection = await home.connect(home.pairing)
    async with await DataStream.over(connection) as stream:
        yield stream
        assert not stream.gone.is_set(), "a hub that did nothing wrong was thrown out"
        await stream.alive(2)


def threads(hapd):
    return len(os.listdir(f"/proc/{hapd.process.pid}/task"))


def descriptors(hapd):
    return len(os.listdir(f"/proc/{hapd.process.pid}/fd"))


async def connected(session):
    """A TCP connection that says nothing."""
    return await asyncio.open_connection("127.0.0.1", session.port)


async def closes(reader, seconds=3):
    with contextlib.suppress(ConnectionError):
        assert await asyncio.wait_for(reader.read(), seconds) == b""


# --- frames


HELLO = hds.payload({"request": "hello", "protocol": "control", "id": 1}, {})
OPEN = hds.payload({"request": "open", "protocol": "dataSend", "id": 1},
                   {"streamId": 1, "type": hds.RECORDING, "target": "controller", "reason": "record"})
BAD_FRAMES = {
    "wrong key": lambda s: hds.seal(bytes(32), 0, HELLO),
    "wrong counter": lambda s: hds.seal(s.to_accessory, 1, HELLO),
    "16 MB": lambda s: b"\x01\xff\xff\xff" + bytes(4096),
    "1 MB for a first frame": lambda s: b"\x01\x0f\xff\xff" + bytes(4096),
    "type 2": lambda s: b"\x02\x00\x00\x00" + bytes(16),
    "http": lambda s: b"GET /accessories HTTP/1.1\r\n\r\n",
    "noise": lambda s: bytes((i * 197 + 13) % 256 for i in range(20000)),
    "empty payload": lambda s: hds.seal(s.to_accessory, 0, b""),
    "not a dictionary": lambda s: hds.seal(s.to_accessory, 0, b"\x01\xd0\xe0"),
    "request before hello": lambda s: hds.seal(s.to_accessory, 0, OPEN),
    "event before hello": lambda s: hds.seal(s.to_accessory, 0, hds.payload(
        {"event": "ack", "protocol": "dataSend"}, {"streamId": 1, "endOfStream": True})),
}


async def test_first_frames_that_are_wrong(small):
    async with hub(small) as (hapd, home, connection, _), witness(home) as other:
        before = hapd.rss_kib()
        for name, make in BAD_FRAMES.items():
            session = await hds.set_up(connection)
            reader, writer = await connected(session)
            writer.write(make(session))
            try:
                await closes(reader)
            except TimeoutError:
                raise AssertionError(f"not closed: {name}")
            writer.close()
        session = await hds.set_up(connection)
        reader, writer = await connected(session)
        hello = hds.seal(session.to_accessory, 0, HELLO)
        writer.write(hello[:-3])
        writer.write_eof()
        await closes(reader)
        writer.close()
        assert hapd.rss_kib() - before < 8 * MEGABYTES
        async with DataStream(session):
            pass  # what never arrived whole used up nothing
        await (await records(other, 1)).over()


LATER_FRAMES = {
    "replayed": lambda s: hds.seal(s.session.to_accessory, 0, HELLO),
    "damaged": lambda s: s.frame(HELLO)[:-1] + b"\0",
    "16 MB": lambda s: b"\x01\xff\xff\xff" + bytes(4096),
    "one byte more than allowed": lambda s: b"\x01\x10\x00\x00",
    "header too long": lambda s: s.frame(b"\xff\xe0"),
    "no topic": lambda s: s.frame(hds.payload({"protocol": "dataSend"}, {})),
    "no protocol": lambda s: s.frame(hds.payload({"event": "ack"}, {})),
    "request without id": lambda s: s.frame(hds.payload({"protocol": "control", "request": "hello"}, {})),
    "nested without end": lambda s: s.frame(b"\x01\xe0" + b"\xd1" * 5000),
    "back-reference to nothing": lambda s: s.frame(b"\x01\xe0\xa7"),
}


async def test_later_frames_that_are_wrong_end_a_recording_and_nothing_else(small):
    async with hub(small) as (hapd, home, connection, _), witness(home) as other:
        before = hapd.rss_kib()
        for number, (name, make) in enumerate(LATER_FRAMES.items()):
            stream = await DataStream.over(connection)
            if number % 3 == 0:
                await (await stream.open(1)).has(1)
            stream.write(make(stream))
            try:
                await stream.ends()
            except TimeoutError:
                raise AssertionError(f"not closed: {name}")
            stream.close()
        assert hapd.rss_kib() - before < 32 * MEGABYTES
        await (await records(other, 1, patience=3)).over()


async def test_unknown_topics_and_protocols_are_answered_and_harmless(small):
    async with hub(small) as (_, home, connection, _), witness(home), \
            await DataStream.over(connection) as stream:
        for protocol, topic, status in [("dataSend", "rewind", hds.HEADER_ERROR), ("control", "goodbye", hds.HEADER_ERROR),
                                        ("audio", "open", hds.MISSING_PROTOCOL), ("", "", hds.MISSING_PROTOCOL),
                                        ("x" * 60, "y" * 60, hds.MISSING_PROTOCOL), ("control", "hello", hds.SUCCESS)]:
            assert (await stream.request(protocol, topic, {"a": [1, None, 2.5]}))[0] == status, (protocol, topic)
        for protocol, topic in [("dataSend", "rewind"), ("targetControl", "whoami"), ("dataSend", "data"), ("dataSend", "ack"),
                                ("dataSend", "close"), ("control", "hello")]:
            stream.event(protocol, topic, {"streamId": 77, "endOfStream": True, "reason": 0})
            stream.event(protocol, topic, {"streamId": "no number"})
        stream.send(hds.payload({"response": "open", "protocol": "dataSend", "id": 4711, "status": 0}, {}))
        assert await stream.refusal(kind="ipcamera.telescope") == hds.UNEXPECTED
        assert await stream.refusal(target="accessory") == hds.UNEXPECTED
        assert await stream.request("dataSend", "open", {}) == (hds.PROTOCOL_SPECIFIC, {"status": hds.UNEXPECTED})
        assert (await stream.request("dataSend", "open", {"streamId": None, "type": 3, "target": []}))[0] == hds.PROTOCOL_SPECIFIC
        for stream_id in (0, (1 << 63) - 1):
            await (await records(stream, stream_id)).over()


# --- connections


async def test_no_hello_for_ten_seconds(small):
    """Side by side: nothing is said; a part of a frame is; the right frame is, but nobody comes for its session in time."""
    async with hub(small) as (_, home, connection, _), witness(home) as other:
        async def until_closed(first):
            session = await hds.set_up(connection)
            started = time.monotonic()
            reader, writer = await connected(session)
            writer.write(first)
            await closes(reader, 14)
            writer.close()
            return time.monotonic() - started

        async def late():
            session = await hds.set_up(connection)
            await asyncio.sleep(11)
            with pytest.raises((Gone, OSError)):
                await DataStream(session).connect()

        silent, partial, _ = await asyncio.gather(until_closed(b""), until_closed(b"\x01\x00\x00\x30xyz"), late())
        assert 9 < silent < 13 and 9 < partial < 13, (silent, partial)
        await (await records(other, 1)).over()


def raise_file_limit():
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


async def test_a_thousand_connections_without_hello(small):
    raise_file_limit()
    async with hub(small) as (hapd, home, connection, _), witness(home) as other:
        transfer = await records(other, 1)
        session, left, live = await hds.set_up(connection), [], []
        before, fds = hapd.rss_kib(), descriptors(hapd)
        try:
            for i in range(1000):
                _, writer = await asyncio.wait_for(connected(session), 5)
                left.append(writer)
                if i % 3 == 1:
                    writer.write(b"\x01\x00\x00\x30" + bytes(i % 40))
                if i % 300 == 200:
                    live.append(await asyncio.wait_for(DataStream.over(connection), 5))
            assert hapd.rss_kib() - before < 16 * MEGABYTES
            await wait.until(lambda: descriptors(hapd) - fds < 64, 5, lambda: f"{descriptors(hapd) - fds} descriptors more")
            for stream in live:
                await stream.alive(2)
            await transfer.has(3)
            await transfer.over()
            await (await records(live[0], 1)).over()
        finally:
            for end in left + live:
                end.close()


async def test_many_idle_data_streams_are_cheap(small):
    async with hub(small) as (hapd, home, connection, _), witness(home) as other:
        first = await DataStream.over(connection)
        before, tasks = hapd.rss_kib(), threads(hapd)
        idle = [first] + [await DataStream.over(connection) for _ in range(40)]
        assert hapd.rss_kib() - before < 6 * MEGABYTES, f"{hapd.rss_kib() - before} KiB for 40"
        assert threads(hapd) <= tasks, "a thread for each connection"
        spent = cpu(hapd)
        await asyncio.sleep(2)
        print(f"41 idle data streams: {hapd.rss_kib() - before} KiB, {cpu(hapd) - spent:.2f} s of processor time in 2 s")
        await asyncio.gather(*[stream.alive() for stream in idle])
        await (await records(idle[20], 1)).over()
        fds = descriptors(hapd)
        for stream in idle:
            stream.close()
        await wait.until(lambda: descriptors(hapd) <= fds - len(idle), 5, "descriptors of closed data streams")
        await (await records(other, 1)).over()


def cpu(hapd):
    fields = open(f"/proc/{hapd.process.pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_a_data_stream_ends_with_the_connection_that_set_it_up(small):
    async with hub(small) as (_, home, connection, _), witness(home) as other:
        leaving = await home.connect(connection.data)
        idle, recording, waiting = await DataStream.over(leaving), await DataStream.over(leaving), await hds.set_up(leaving)
        await records(recording, 1)
        await leaving.close()
        await asyncio.gather(idle.ends(), recording.ends())
        with pytest.raises((Gone, OSError)):
            await DataStream(waiting).connect()
        await (await records(other, 1, patience=3)).over()


# --- recordings


async def test_two_hubs_at_once(small):
    async with hub(small) as (_, home, connection, _):
        identity = new_identity(connection.data)
        await connection.add_pairing(identity)
        second = await home.connect(identity)
        async with await DataStream.over(connection) as first, await DataStream.over(second) as other:
            transfer = await records(first, 1)
            assert await other.refusal(stream_id=1) == hds.BUSY
            assert await first.refusal(stream_id=2) == hds.BUSY, "one recording per camera, on the same connection, too"
            assert await first.refusal(stream_id=1) == hds.BUSY
            assert jpeg.size(await other.snapshot(5)) == (1280, 720)
            await transfer.has(len(transfer.pieces) + 1)
            await transfer.over()
            await (await records(other, 1)).over()


async def test_what_may_not_be_recorded_is_refused_with_the_right_reason(folder):
    async with Hapd(folder, config(camera())) as hapd, paired(hapd) as (home, connection):
        switches = await Switches.of(connection)
        (entry,) = await connection.get(switches.iid["204.209"])
        assert entry["status"] == -70402, "nothing was selected yet"
        async with await DataStream.over(connection) as stream:
            assert await stream.refusal() == hds.NOT_ALLOWED, "nobody switched recordings on"
            await switches.mode("record")
            assert await stream.refusal() == hds.UNCONFIGURED
            await switches.select()
            await (await records(stream, 1)).over()
            await switches.mode("stream")
            assert await stream.refusal() == hds.NOT_ALLOWED


IMPOSSIBLE = {
    "a size that is not offered": {"width": 3840, "height": 2160}, "no size": {"width": None}, "0 fps": {"fps": 0},
    "100 fps": {"fps": 100}, "a prebuffer of an hour": {"prebuffer": 3_600_000}, "no prebuffer": {"prebuffer": None},
    "a prebuffer of nothing": {"prebuffer": 0}, "an unknown trigger": {"triggers": 1 << 40}, "no trigger": {"triggers": None},
    "another container": {"container": 1}, "no fragment length": {"fragment": None}, "fragments of nothing": {"fragment": 0},
    "fragments of a minute": {"fragment": 60_000}, "H.265": {"codec": 1}, "an unknown profile": {"profile": 9},
    "a level that is not offered": {"level": 7}, "a bitrate of nothing": {"kbps": 0}, "a terabit": {"kbps": 1 << 31},
    "no key frames": {"key_frames": 0}, "AAC-ELD": {"sound": 1}, "an unknown codec": {"sound": 3}, "8 channels": {"channels": 8},
    "no channels": {"channels": 0}, "an unknown rate": {"rate": 9}, "no audio bitrate": {"sound_kbps": 0},
}


async def test_impossible_configurations_are_refused_and_the_old_one_stays(small):
    async with hub(small) as (hapd, home, connection, switches), witness(home) as other:
        iid, good = switches.iid["204.209"], await switches.selection()
        assert await connection.read_tlv(iid) == good
        wrong = {name: await switches.selection(**members) for name, members in IMPOSSIBLE.items()}
        wrong |= {"empty": b"", "half": good[: len(good) // 2], "one byte": b"\x01", "noise": os.urandom(120),
                  "long": tlv.encode([*tlv.items(good), (9, bytes(2000))]), "twice as deep": tlv.encode([(1, good)]),
                  "only video": tlv.encode(tlv.items(good)[1:2])}
        for name, value in wrong.items():
            assert await connection.write_tlv(iid, value) == -70410, name
            assert await connection.read_tlv(iid) == good, name
        for _ in range(50):
            assert await connection.write_tlv(iid, wrong["half"]) == -70410
        (status,) = await connection.put({"iid": iid, "value": "not base64 !"})
        assert status == -70410
        transfer = await records(other, 1)
        assert await connection.write_tlv(iid, wrong["AAC-ELD"]) == -70410
        await transfer.has(len(transfer.pieces) + 1)
        await transfer.over()
        said = [line for line in hapd.log.read_text().splitlines() if "what cannot be recorded" in line]
        assert len(said) <= len(wrong) + 2, "one line for each, at most"


async def test_flapping_motion_is_no_flood(small):
    async with hub(small) as (hapd, home, connection, switches), witness(home) as other:
        name = name_of(hapd)
        await connection.subscribe(switches.iid["85.22"])
        lines, size = len(hapd.log.read_text().splitlines()), hapd.log.stat().st_size
        transfer = None
        for i in range(200):
            moves(hapd, name, i % 2 == 0)
            await asyncio.sleep(0.05)
            if i == 20:
                transfer = await records(other, 1)
        motion = lambda: [value for _, iid, value in connection.events if iid == switches.iid["85.22"]]
        assert motion() == [True], motion()
        await transfer.end()
        await wait.until(lambda: len(motion()) == 2, 5, "the end of motion")
        await asyncio.sleep(1.2)
        assert motion() == [True, False], motion()
        assert transfer.pieces[0].kind == "mediaInitialization" and len(transfer.pieces) >= 3
        lines = len(hapd.log.read_text().splitlines()) - lines
        assert lines <= 220 and hapd.log.stat().st_size - size < 64 << 10, f"{lines} lines"
        print(f"{lines} lines in the log for 200 triggers")


# --- snapshots


async def test_snapshots_over_a_data_stream(small):
    async with hub(small) as (_, home, connection, switches), witness(home) as other:
        transfer = await records(other, 1)
        async with await DataStream.over(connection) as stream:
            assert jpeg.size(await stream.snapshot(1, "periodic", (320, 180))) == (320, 180)
            assert jpeg.size(await stream.snapshot(2, "event", (1280, 720))) == (1280, 720)
            assert jpeg.size(await stream.snapshot(2, None)) == (1280, 720), "an identifier is free again"
            several = await asyncio.gather(*[stream.snapshot(10 + i, "periodic", (320, 180)) for i in range(5)])
            assert [jpeg.size(data) for data in several] == [(320, 180)] * 5
            for size in ((0, 0), (1 << 40, 1), (100_000, 100_000), (-5, 20)):
                with pytest.raises(Refused) as refused:
                    await stream.snapshot(3, "event", size)
                assert refused.value.reason in (hds.BAD_DATA, hds.UNEXPECTED), size
            await switches.set(periodic=0)
            assert await stream.refusal(stream_id=4, kind=hds.SNAPSHOT, reason="periodic") == hds.NOT_ALLOWED
            assert await stream.refusal(stream_id=4, kind=hds.SNAPSHOT, reason=None) == hds.NOT_ALLOWED
            assert jpeg.size(await stream.snapshot(4, "event", (320, 180))) == (320, 180)
            await switches.set(periodic=1)
            await switches.set(camera=0)
            assert await stream.refusal(stream_id=5, kind=hds.SNAPSHOT, reason="event") == hds.NOT_ALLOWED
            assert await transfer.closed() == hds.NOT_ALLOWED
            await switches.set(camera=1)
            assert jpeg.size(await stream.snapshot(5, "event", (320, 180))) == (320, 180)
            await (await records(other, 2)).over()


# --- hubs that take less than they are sent


@pytest.mark.needs(paths.SYSTEM_PYTHON)
async def test_a_hub_that_never_reads_is_dropped(large):
    async with hub(large) as (hapd, home, connection, switches), witness(home) as other:
        await switches.select(kbps=8000)
        await asyncio.sleep(1)
        before, fds = hapd.rss_kib(), descriptors(hapd)
        name = name_of(hapd)
        moves(hapd, name, True)
        lazy = await home.connect(connection.data)
        stream = await DataStream.over(lazy, receive_buffer=4096)
        stream.deaf()
        with contextlib.suppress(TimeoutError, Gone):
            await stream.request("dataSend", "open", {"streamId": 1, "type": hds.RECORDING, "target": "controller"}, seconds=0.2)
        assert await other.refusal() == hds.BUSY
        asked = time.monotonic()
        dropped = lambda: "data stream dropped" in hapd.log.read_text()
        await wait.until(dropped, 60, lambda: f"the end of a hub that does not read\n{hapd.tail()}")
        print(f"dropped after {time.monotonic() - asked:.1f} s with {hapd.rss_kib() - before} KiB more")
        assert hapd.rss_kib() - before < 48 * MEGABYTES
        stream.close()
        moves(hapd, name, False)
        await wait.until(lambda: descriptors(hapd) <= fds + 1, 5, "its descriptors")
        await (await records(other, 1)).over()
        assert hapd.log.read_text().count("data stream dropped") <= 1, "logged once"


@pytest.mark.needs(paths.SYSTEM_PYTHON)
async def test_hubs_that_leave_mid_chunk(large):
    """By a reset, by the end of the HAP connection, by a `close` while data are under way: each time the next one records."""
    async with hub(large) as (hapd, home, connection, switches), witness(home) as other:
        await switches.select(kbps=8000)
        await asyncio.sleep(3)

        async def reset(stream, link, transfer):
            stream.abort()

        async def hang_up(stream, link, transfer):
            await link.close()
            await stream.ends()

        async def close(stream, link, transfer):
            await transfer.over()
            await asyncio.sleep(0.3)
            assert all(message.get("streamId") == 1 for _, _, message in stream.strays)
            late = len(stream.strays)
            await asyncio.sleep(1)
            assert len(stream.strays) == late, "data after a close"

        for leave in (reset, hang_up, close, reset):
            link = await home.connect(connection.data)
            stream = await DataStream.over(link, receive_buffer=4096 if leave is not close else None)
            transfer = await stream.open()
            await transfer.has(1)
            await wait.until(lambda: stream.under_way() or len(transfer.pieces) > 1, 5, "a chunk under way")
            await leave(stream, link, transfer)
            stream.close()
            await (await records(other, 1, patience=3)).over()
