"""Picture and sound at the viewer, by sender reports: within 20 ms of each other for ten minutes.

Every source inverts its picture and begins a tone every two seconds, a known time apart. What arrives is decoded by ffmpeg,
and both moments are put on the accessory's clock by the sender reports, as a viewer does it.
"""

import asyncio
import contextlib
import os

import pytest

from harness import lipsync
from harness.cameras import RtspServer, unique
from harness.hapd import Hapd, config
from harness.stream import Stream, Want
from harness.view import paired

SECONDS = int(os.environ.get("LIPSYNC_SECONDS", "60"))
LIMIT = 0.020
# Of the camera's sound, in seconds: an AAC frame of 1024 samples at 32 kHz.
ENCODER_DELAY = {"pcmu": 0.0, "aac": 0.032}

@contextlib.asynccontextmanager
async def cameras(folder):
    """An RTSP camera with a plain codec, one whose sound is AAC, and a file."""
    async with contextlib.AsyncExitStack() as stack:
        servers = {}
        for sound in ("pcmu", "aac"):
            (folder / sound).mkdir()
            options = {"sound": sound, "size": "640x360", "pattern": lipsync.BALL, "fps": lipsync.FPS,
                       "ticks": lipsync.TICKS, "moments": 1}
            servers[sound] = await stack.enter_async_context(RtspServer(folder / sound, **options))
        clip = lipsync.make_file(folder / "clip.mp4", SECONDS + 30)  # a loop begins both anew
        yield {"pcmu": servers["pcmu"].camera("Plain"), "aac": servers["aac"].camera("AAC"),
               "file": {"name": unique("File"), "source": f"file:{clip}"}}, servers


@pytest.mark.needs("ffmpeg", "/usr/bin/python3")
@pytest.mark.deadline(SECONDS + 400)
async def test_picture_and_sound_stay_together(folder):
    async with cameras(folder) as (entries, servers), Hapd(folder, config(*entries.values())) as hapd:
        async with contextlib.AsyncExitStack() as stack:
            connections = {}
            for kind, entry in entries.items():
                _, connections[kind] = await stack.enter_async_context(paired(hapd, entry["name"]))
            for server in servers.values():
                await server.settle()
            found = await asyncio.gather(*[watch(c, kind) for kind, c in connections.items()])
    for kind, stream in zip(entries, found):
        true = truth(servers[kind], kind) if kind in servers else 0.0
        moments = await asyncio.to_thread(measure, stream, folder / kind)
        began = stream.video.rtcp.reports[0].ntp
        check([(at - began, offset - true) for at, offset in moments], kind)


def truth(server, kind):
    """Seconds that the camera's picture is later than its sound."""
    offsets = sorted(o for _, o in lipsync.offsets(server.moments("flip"), server.moments("beep")))
    assert offsets[-1] - offsets[0] < 0.001, f"the camera itself wavers: {offsets}"
    return offsets[0] - ENCODER_DELAY[kind]


def check(offsets, kind):
    print(kind, summary(offsets))
    assert len(offsets) >= 0.9 * SECONDS / lipsync.EVERY - 2, f"{kind}: {len(offsets)} moments in {SECONDS} s"
    apart = [(round(at, 1), round(o * 1000, 1)) for at, o in offsets if abs(o) > LIMIT]
    assert not apart, f"{kind}: (s, ms that the picture is later) {apart} of {summary(offsets)}"


async def watch(connection, kind):
    """The whole time; half of it after a reconfiguration, but for the camera with AAC, which is passed on all along."""
    service = (await connection.services("110"))[0]
    async with Stream(connection, service, Want(640, 360, 30, kbps=2000)) as stream:
        assert await stream.setup() == 0 and await stream.start() == 0
        await stream.run_for(SECONDS / 2)
        if kind != "aac":
            assert await stream.reconfigure(320, 180, 30, 300) == 0
        await asyncio.sleep(SECONDS / 2)
        assert await stream.end() == 0
        await stream.bye()
        stream.check()
    return stream


def measure(stream, path):
    flips = lipsync.flips(stream.video, path.with_suffix(".h264"))
    beeps = lipsync.beeps(stream.audio, stream.want.clock, stream.want.packet_time, path.with_suffix(".ogg"))
    return lipsync.offsets(flips, beeps)


def summary(offsets):
    """In ms, before and after the reconfiguration."""
    def row(part):
        if not part:
            return "nothing"
        values = sorted(o * 1000 for _, o in part)
        return f"min {values[0]:.1f}, median {values[len(values) // 2]:.1f}, max {values[-1]:.1f} ms"
    half = len(offsets) // 2
    return f"{len(offsets)} moments: {row(offsets[:half])}; then {row(offsets[half:])}"
