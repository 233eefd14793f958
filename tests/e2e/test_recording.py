"""HomeKit Secure Video from end to end: a hub that nobody here controls but by its options pulls clips, and players that know
nothing of us read them."""

import asyncio
import contextlib
import statistics

import pytest

from harness import clip, hapctl, lipsync
from harness.cameras import RtspServer, pattern_camera
from harness.hapd import Hapd, config
from harness.hub import armed, hub

pytestmark = pytest.mark.needs("ffmpeg", "/usr/bin/python3")

PREBUFFER = 4.0
HOLD = 3
# Two frames, one AAC frame at 32 kHz and the delay of an encoder.
IN_SYNC = 0.08


@contextlib.asynccontextmanager
async def recording(folder, camera, *options):
    """(hapd, camera's name, hub) of a paired camera whose past is kept for long enough."""
    camera = {"motion_hold": HOLD, **camera}
    async with Hapd(folder, config(camera)) as daemon:
        control = await hapctl.paired(daemon, folder)
        async with hub(control, *options) as peer:
            await armed(daemon)
            await asyncio.sleep(PREBUFFER + 4)
            yield daemon, camera["name"], peer


async def moved(daemon, name, seconds):
    daemon.trigger(name, "motion", "on")
    await asyncio.sleep(seconds)
    daemon.trigger(name, "motion", "off")


async def one_clip(folder, camera, seconds=6, before=None, **check):
    """A clip of something that moves for a while, approved by everybody."""
    async with recording(folder, camera, "--count", "1") as (daemon, name, peer):
        if before:
            await before()
        await moved(daemon, name, seconds)
        found = await peer.clip()
        assert found["findings"] == [], found
        assert await peer.ended() == 0, peer.tail()
    assert found["prebuffer_ms"] >= PREBUFFER * 1000, found
    assert found["open_to_first_fragment_ms"] < 1000, found
    assert found["duration_ms"] >= (PREBUFFER + seconds + HOLD - 1) * 1000, found
    tracks, packets = clip.check(found["file"], **check)
    return found, tracks, packets


async def test_the_cameras_own_h264_is_recorded_as_it_is(folder):
    options = {"sound": "pcmu", "size": "640x360", "pattern": lipsync.BALL, "fps": lipsync.FPS, "gop": lipsync.FPS,
               "ticks": lipsync.TICKS, "moments": 1}
    async with RtspServer(folder, **options) as server:
        found, tracks, _ = await one_clip(folder, server.camera(), before=server.settle)
        true = statistics.median(o for _, o in lipsync.offsets(server.moments("flip"), server.moments("beep")))
    assert (tracks["video"]["width"], tracks["video"]["height"]) == (640, 360)
    assert "transcoded" not in (folder / "hapd.log").read_text()
    apart = [o - true for _, o in lipsync.offsets(clip.flips(found["file"]), clip.beeps(found["file"]))]
    assert len(apart) >= 4 and max(map(abs, apart)) < IN_SYNC, apart


async def test_a_camera_with_h265_is_transcoded(folder):
    async with RtspServer(folder, codec="h265", size="640x360", sound="aac") as server:
        _, tracks, _ = await one_clip(folder, server.camera())
    assert (tracks["video"]["width"], tracks["video"]["height"]) == (640, 360)
    assert "transcoded" in (folder / "hapd.log").read_text()


async def test_a_camera_with_h265_is_recorded_from_its_lower_h264_stream(folder):
    for name in ("main", "sub"):
        (folder / name).mkdir()
    async with RtspServer(folder / "main", codec="h265", size="640x360", sound="aac") as main, \
            RtspServer(folder / "sub", size="320x180", sound="none") as sub:
        _, tracks, _ = await one_clip(folder, main.camera(streams=[sub.url]))
    assert (tracks["video"]["width"], tracks["video"]["height"]) == (320, 180)
    assert "transcoded" not in (folder / "hapd.log").read_text()


async def test_h265_passes_where_the_config_says_so(folder):
    async with RtspServer(folder, codec="h265", size="640x360", sound="aac") as server:
        camera = server.camera(recording_codec="source")
        async with recording(folder, camera, "--count", "1") as (daemon, name, peer):
            await moved(daemon, name, 5)
            found = await peer.clip()
    assert found["video_codec"].startswith("hvc1"), found
    clip.check(found["file"], codec="hevc")


async def test_key_frames_too_far_apart_lead_to_a_transcode_and_a_hint(folder):
    async with RtspServer(folder, size="640x360", gop=300) as server:
        camera = {"motion_hold": HOLD, **server.camera()}
        async with Hapd(folder, config(camera)) as daemon:
            control = await hapctl.paired(daemon, folder)
            async with hub(control, "--count", "1") as peer:
                await armed(daemon)
                await asyncio.sleep(20)  # until it is clear that key frames come too seldom, and then the past
                await moved(daemon, camera["name"], 5)
                found = await peer.clip()
                assert await peer.ended() == 0, peer.tail()
    assert found["findings"] == [] and found["prebuffer_ms"] >= PREBUFFER * 1000, found
    clip.check(found["file"])
    assert "I-frame interval" in (folder / "hapd.log").read_text()


async def test_a_test_picture_is_encoded_once_for_recordings(folder):
    found, _, _ = await one_clip(folder, pattern_camera(size="640x360"))
    assert found["audio_codec"], found
