"""The picture follows what the viewer's network takes: lower streams of the camera, and encoders."""

import asyncio
import contextlib
import time

from harness import rtp, wait
from harness.cameras import RtspServer
from harness.hapd import Hapd, config
from harness.stream import Want
from harness.view import paired
from test_feedback import watched
from test_live import check_video_on_the_wire

MEASURED = 6  # seconds until the bitrates of both streams are known
SETTLED = 10  # seconds before a better stream is tried


def sizes(media):
    """(arrival, width) of each parameter set that says another size than the one before."""
    found = []
    for timestamp, nal, _ in media.nals():
        if nal[0] & 0x1F == 7:
            width = rtp.sps_info(nal)["width"]
            if not found or found[-1][1] != width:
                found.append((next(p.at for p in media.packets if p.timestamp == timestamp), width))
    return found


@contextlib.asynccontextmanager
async def two_streams(folder):
    """A paired camera of 720p at 2 Mbit/s, with a lower stream of 360p at 400 kbit/s, that has run for a while."""
    (folder / "main").mkdir()
    (folder / "sub").mkdir()
    async with (
        RtspServer(folder / "main", sound="none", kbps=2000, pattern="snow") as main,
        RtspServer(folder / "sub", sound="none", size="640x360", kbps=400, pattern="snow") as sub,
    ):
        camera = main.camera(audio=False, streams=[sub.url])
        async with Hapd(folder, config(camera)) as hapd, paired(hapd) as (_, connection):
            both = lambda: all('"plays"' in server.out.read_text() for server in (main, sub))  # noqa: E731
            await wait.until(both, 10, "hapd at both streams")
            await asyncio.sleep(MEASURED)
            yield connection
        for server in (main, sub):
            assert server.out.read_text().count('"plays"') == 1


async def test_a_limit_leads_to_the_lower_stream_and_back(folder):
    async with two_streams(folder) as connection:
        async with watched(connection, Want(1280, 720, 30, kbps=2500, audio=False)) as stream:
            video = stream.video
            await asyncio.sleep(2)
            assert [w for _, w in sizes(video)] == [1280]
            at = time.monotonic()
            video.ask(lambda a, b: rtp.max_bitrate(a, b, 800_000))
            await wait.until(lambda: len(sizes(video)) == 2, 4, "the lower stream", 0.05)
            down, width = sizes(video)[1]
            assert width == 640 and down - at < 2, f"{width} wide after {down - at:.1f} s"
            await asyncio.sleep(1)
            bits = video.wire_bits(at + 2, at + 3)
            assert bits < 800_000, f"{bits:.0f} bit/s"
            video.ask(lambda a, b: rtp.max_bitrate(a, b, 4_000_000))
            await wait.until(lambda: len(sizes(video)) == 3, SETTLED + 5, "the better stream again", 0.1)
            up, width = sizes(video)[2]
            assert width == 1280 and up - down > SETTLED - 1, f"up again after {up - down:.1f} s already"
            await asyncio.sleep(0.5)
    check_video_on_the_wire(stream)


async def test_a_modest_viewer_gets_the_lower_stream_at_once(folder):
    async with two_streams(folder) as connection:
        async with watched(connection, Want(1280, 720, 30, kbps=299, audio=False)) as stream:
            await asyncio.sleep(1.5)
        assert [w for _, w in sizes(stream.video)] == [640]


async def test_lasting_loss_leads_to_the_lower_stream(folder):
    async with two_streams(folder) as connection:
        async with watched(connection, Want(1280, 720, 30, kbps=2500, audio=False)) as stream:
            video = stream.video
            stream._stop_reports()
            for _ in range(40):
                last = video.packets[-1]
                video.send_rtcp(rtp.receiver_report(video.our_ssrc, last.ssrc, last.seq, fraction=128))
                await asyncio.sleep(0.5)
                if len(sizes(video)) > 1:
                    break
            assert [w for _, w in sizes(video)] == [1280, 640]


async def test_without_a_lower_stream_a_limit_leads_to_a_transcode_without_a_seam(folder):
    async with RtspServer(folder, sound="none", size="640x360", kbps=1500, pattern="snow") as main:
        async with Hapd(folder, config(main.camera(audio=False))) as hapd, paired(hapd) as (_, connection):
            await wait.until(lambda: '"plays"' in main.out.read_text(), 10, "hapd at the camera")
            await asyncio.sleep(5)
            async with watched(connection, Want(640, 360, 30, kbps=2000, audio=False)) as stream:
                video = stream.video
                await asyncio.sleep(1)
                at = time.monotonic()
                video.ask(lambda a, b: rtp.max_bitrate(a, b, 400_000))
                await asyncio.sleep(5)
                bits = video.wire_bits(at + 2, at + 5)
                assert bits <= 400_000, f"{bits:.0f} bit/s"
                assert len({p.timestamp for p in video.packets if p.at > at + 2}) > 40, "pictures go on"
