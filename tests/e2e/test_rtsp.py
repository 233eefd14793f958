"""A real RTSP camera: passed through untouched, watched by two at once, lost and found again."""

import asyncio
import time

import pytest

from harness import paths, rtp, wait
from harness.cameras import RtspServer, make_file, unique
from harness.ffmpeg import picture_bytes
from harness.hapd import Hapd, config
from harness.stream import Stream, Want
from harness.view import finish, paired, view
from test_live import check_decoded, check_reports, check_sound_on_the_wire, check_video_on_the_wire
from test_snapshot import picture, shades

pytestmark = pytest.mark.needs("ffmpeg", "/usr/bin/python3")


async def running(connection, seconds=20):
    """The camera has a picture of its own."""
    service = (await connection.services("110"))[0]
    assert service
    await wait.until(lambda: _live(connection), seconds, "a live snapshot", 0.3)


async def _live(connection):
    return shades(picture(await connection.snapshot(320, 180))) > 5


def same_bytes(stream, server):
    """Every slice and parameter set that came over SRTP is one the camera sent: nothing was encoded again."""
    sent = server.sent_nals()
    got = [nal for _, nal, _ in stream.video.nals()]
    foreign = [nal for nal in got if nal.rstrip(b"\0") not in sent]
    assert not foreign, f"{len(foreign)} of {len(got)} NAL units are not the camera's; first: {foreign[0][:16].hex()}"
    assert sum(1 for nal in got if nal[0] & 0x1F in (1, 5)) > 30


@pytest.mark.parametrize("sound,transport", [("pcmu", None), ("aac", "udp"), ("opus", "tcp")])
async def test_passthrough_with_sound(folder, sound, transport):
    async with RtspServer(folder, sound=sound) as server:
        camera = server.camera(**({"rtsp_transport": transport} if transport else {}))
        async with Hapd(folder, config(camera)) as hapd, paired(hapd) as (_, connection):
            await running(connection)
            await server.settle()
            want = Want(1280, 720, 30, kbps=2000)
            async with view(connection, folder, want) as (stream, receiver):
                await stream.run_for(4)
                await finish(stream, receiver)
            same_bytes(stream, server)
            waited = stream.video.first_key_frame_at() - stream.started_at
            assert waited < 0.3, f"first key frame {waited * 1000:.0f} ms after Start"
            check_decoded(receiver, want, seconds=3)
            check_video_on_the_wire(stream)
            check_sound_on_the_wire(stream)
            check_reports(stream)


async def test_two_viewers_at_once(folder):
    async with RtspServer(folder) as server:
        async with Hapd(folder, config(server.camera())) as hapd, paired(hapd) as (home, first):
            second = await home.connect(first.data)
            await running(first)
            await server.settle()
            want = Want(1280, 720, 30, kbps=2000)
            async with view(first, folder, want, 0, name="one") as one, view(second, folder, want, 1, name="two") as two:
                await one[0].run_for(3)
                await two[0].run_for(0.5)
                await finish(*one)
                await asyncio.sleep(0.5)
                await finish(*two)
            for stream, receiver in (one, two):
                check_decoded(receiver, want, seconds=3)
                same_bytes(stream, server)
        plays = server.out.read_text().count('"plays"')
        assert plays == 1, f"the camera was asked {plays} times for one picture"


@pytest.mark.parametrize("sound", ["opus", "aac"])
async def test_sound_never_goes_back_in_time_when_the_camera_tells_its_clock_late(folder, sound):
    """The camera's first sender report moves its sound against its picture; a viewer may hear a gap, nothing worse."""
    async with RtspServer(folder, sound=sound) as server:
        async with Hapd(folder, config(server.camera())) as hapd, paired(hapd) as (_, connection):
            service = (await connection.services("110"))[0]
            await running(connection)
            async with Stream(connection, service, Want(1280, 720, 30, kbps=2000)) as stream:
                assert await stream.setup() == 0 and await stream.start() == 0
                await stream.first_packets()
                await server.settle()
                await stream.end()
                await stream.bye()
                stream.check()
            packets = stream.audio.packets
            steps = [(b.timestamp - a.timestamp + 2**31 & 0xFFFFFFFF) - 2**31 for a, b in zip(packets, packets[1:])]
            assert min(steps) == 320 and max(steps) < 16000, sorted(set(steps))
            assert sum(1 for step in steps if step != 320) <= 2, sorted(set(steps))


async def test_other_sizes_are_transcoded_beside_a_passthrough_viewer(folder):
    async with RtspServer(folder, sound="none") as server:
        async with Hapd(folder, config(server.camera())) as hapd, paired(hapd) as (home, first):
            second = await home.connect(first.data)
            await running(first)
            whole, small = Want(1280, 720, 30, kbps=2000), Want(320, 240, 15, kbps=132)
            async with view(first, folder, whole, 0, name="one") as one, view(second, folder, small, 1, name="two") as two:
                await asyncio.sleep(4)
                await finish(*two)
                await finish(*one)
            same_bytes(one[0], server)
            assert set(two[1].frame_sizes()) == {picture_bytes(320, 240)}
            assert set(one[1].frame_sizes()) == {picture_bytes(1280, 720)}


async def test_reconfigure_from_passthrough_to_a_smaller_size_and_back(folder):
    async with RtspServer(folder, sound="none") as server:
        async with Hapd(folder, config(server.camera())) as hapd, paired(hapd) as (_, connection):
            await running(connection)
            async with view(connection, folder, Want(1280, 720, 30, kbps=2000)) as (stream, receiver):
                await stream.run_for(1.5)
                assert await stream.reconfigure(640, 360, 30, 299) == 0
                await wait.until(lambda: _size(stream) == (640, 360), 6, "the smaller picture")
                await asyncio.sleep(1)
                assert await stream.reconfigure(1280, 720, 30, 2000) == 0
                await wait.until(lambda: _size(stream) == (1280, 720), 6, "the larger picture")
                await asyncio.sleep(1)
                await finish(stream, receiver)
            sizes = receiver.frame_sizes()
            changes = [s for i, s in enumerate(sizes) if i == 0 or sizes[i - 1] != s]
            assert changes == [picture_bytes(*s) for s in ((1280, 720), (640, 360), (1280, 720))]


def _size(stream):
    sps = rtp.sps_info([nal for _, nal, _ in stream.video.nals() if nal[0] & 0x1F == 7][-1])
    return sps["width"], sps["height"]


@pytest.mark.deadline(180)
async def test_camera_dies_and_comes_back(folder):
    async with RtspServer(folder, size="640x360", fps=15, kbps=300, sound="none") as server:
        async with Hapd(folder, config(server.camera())) as hapd, paired(hapd) as (home, connection):
            await running(connection)
            second = await home.connect(connection.data)
            live = picture(await connection.snapshot(640, 360))
            server.kill()
            for _ in range(3):
                asked = time.monotonic()
                image = picture(await second.snapshot(640, 360))
                assert time.monotonic() - asked < 2.3 and image.size == live.size
                assert shades(image) > 1
                await second.get(2)
                await asyncio.sleep(0.5)
            await server.start()
            want = Want(640, 360, 15, kbps=299)
            await wait.until(lambda: "plays" in server.out.read_text()[_after(server):], 40, "reconnection", 0.25)
            await running(connection)
            async with view(connection, folder, want) as (stream, receiver):
                await stream.run_for(2)
                await finish(stream, receiver)
            assert set(receiver.frame_sizes()) == {picture_bytes(640, 360)}


def _after(server):
    """Where the output of the server's present life begins."""
    return server.out.read_text().rindex('{"port"')


async def test_camera_that_hangs_delays_nobody(folder):
    async with RtspServer(folder, size="640x360", fps=15, kbps=300, sound="none") as server:
        async with Hapd(folder, config(server.camera())) as hapd, paired(hapd) as (home, connection):
            await running(connection)
            second = await home.connect(connection.data)
            await second.database()
            server.freeze()
            try:
                await asyncio.sleep(1)
                asked = time.monotonic()
                pictures = await asyncio.gather(connection.snapshot(640, 360), second.snapshot(1280, 720))
                assert time.monotonic() - asked < 2.5
                assert [picture(p).size for p in pictures] == [(640, 360), (1280, 720)]
                asked = time.monotonic()
                await second.get(2)
                assert time.monotonic() - asked < 0.5
            finally:
                server.thaw()


async def test_viewer_keeps_its_session_over_a_camera_restart(folder):
    async with RtspServer(folder, size="640x360", fps=15, kbps=300, sound="none") as server:
        async with Hapd(folder, config(server.camera())) as hapd, paired(hapd) as (_, connection):
            await running(connection)
            async with view(connection, folder, Want(640, 360, 15, kbps=299)) as (stream, _):
                await stream.run_for(1)
                server.kill()
                await asyncio.sleep(1)
                seen = len(stream.video.packets)
                await server.start()
                await wait.until(lambda: len(stream.video.packets) > seen + 30, 40, "the picture again", 0.25)
                assert await stream.end() == 0
                await stream.bye()
                stream.video.check(stream.their_ssrcs[0], 99, stream.want.mtu)


async def test_camera_that_is_not_there_leaves_the_accessory_reachable(folder):
    camera = {"name": unique("Gone"), "source": "rtsp://someone:pwnever@127.0.0.1:9/cam"}
    async with Hapd(folder, config(camera)) as hapd, paired(hapd) as (_, connection):
        asked = time.monotonic()
        image = picture(await connection.snapshot(640, 360))
        assert time.monotonic() - asked < 2.3 and image.size == (640, 360) and shades(image) > 1
        await connection.database()
        log = hapd.log.read_text()
        assert "pwnever" not in log and camera["name"] in log


async def test_file_is_looped_in_real_time(folder):
    clip = make_file(folder / "clip.mp4", seconds=2)
    camera = {"name": unique("Clip"), "source": f"file:{clip}"}
    async with Hapd(folder, config(camera)) as hapd, paired(hapd) as (_, connection):
        await running(connection)
        want = Want(640, 360, 30, kbps=1500)
        async with view(connection, folder, want) as (stream, receiver):
            await stream.run_for(7)  # over three ends of the file
            await finish(stream, receiver)
        check_decoded(receiver, want, seconds=6)
        seconds = stream.video.packets[-1].at - stream.video.packets[0].at
        pictures = len({p.timestamp for p in stream.video.packets})
        assert 0.85 * 30 * seconds <= pictures <= 1.15 * 30 * seconds, f"{pictures} pictures in {seconds:.1f} s"


async def test_launch_string_as_a_source(folder):
    text = (paths.ROOT / "pipelines/presets/test-source.launch").read_text()
    launch = " ".join(line for line in text.splitlines() if not line.startswith("#"))
    camera = {"name": unique("Launch"), "source": f"launch:{launch}"}
    async with Hapd(folder, config(camera)) as hapd, paired(hapd) as (_, connection):
        await running(connection)
        async with view(connection, folder, Want(640, 360, 15, kbps=1000, profile=1)) as (stream, receiver):
            await stream.run_for(2)
            await finish(stream, receiver)
        assert set(receiver.frame_sizes()) == {picture_bytes(640, 360)} and receiver.sound()[1] > 20
