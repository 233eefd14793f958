"""Recordings in a row, with hubs and cameras that break off at random: nothing stays behind, and the next one is right.

RECORDINGS: how many in all (default 80). RECORDING_SEED: repeats a run.
"""

import asyncio
import collections
import contextlib
import os
import random

import pytest

from harness import clip, hapctl
from harness.cameras import unique
from harness.hapd import Hapd, config
from harness.hub import hub

pytestmark = pytest.mark.needs("ffmpeg")

RECORDINGS = int(os.environ.get("RECORDINGS", "80"))
SEED = int(os.environ.get("RECORDING_SEED", random.randrange(1 << 32)))
CAMERAS = 4
PHASES = 4
EACH = max(2, -(-RECORDINGS // (CAMERAS * PHASES)))

# A camera that encodes by itself: its H.264 is recorded as it is.
SOURCE = ("launch:videotestsrc is-live=true pattern=ball ! capsfilter caps=video/x-raw,format=I420,width=320,height=240,framerate=15/1 "
          "! x264enc tune=zerolatency speed-preset=ultrafast key-int-max=15 bitrate=200 ! capsfilter caps=video/x-h264,profile=main "
          "audiotestsrc is-live=true wave=ticks samplesperbuffer=960 ! capsfilter caps=audio/x-raw,rate=48000,channels=1")


def camera(number):
    return {"name": unique(f"Yard {number}"), "source": SOURCE, "privacy_switch": True, "motion_hold": 1}


def left(hapd):
    """(resident KiB, file descriptors, threads)."""
    return hapd.rss_kib(), len(os.listdir(f"/proc/{hapd.process.pid}/fd")), len(os.listdir(f"/proc/{hapd.process.pid}/task"))


async def break_off(hapd, names, dice):
    """The cameras' side: switched off for a moment, at random."""
    while True:
        await asyncio.sleep(dice.uniform(0.5, 3))
        name = dice.choice(names)
        for state in ("on", "off"):
            await asyncio.to_thread(hapd.trigger, name, "privacy", state)
            await asyncio.sleep(dice.uniform(0.1, 0.5))


async def phase(controls, hapd, names, dice):
    """EACH recordings of every camera, broken off at random on both sides; how they ended."""
    ended = collections.Counter()
    async with contextlib.AsyncExitStack() as stack:
        hubs = []
        for number, control in enumerate(controls):
            options = ["--now", "--count", str(EACH), "--chaos", str(dice.randrange(1 << 32)), "--clip-seconds", "1.5",
                       "--no-poster"]
            hubs.append(await stack.enter_async_context(hub(control, *options, clips=f"clips{number}")))
        breaker = asyncio.create_task(break_off(hapd, names, dice))
        for peer in hubs:
            await peer.clip(EACH, 30 + 10 * EACH)
        breaker.cancel()
        for peer in hubs:
            ended.update(found["ended"] for found in peer.clips)
            for found in peer.clips:
                if found["file"]:
                    os.unlink(found["file"])
    for name in names:
        hapd.trigger(name, "privacy", "off")
    return ended


async def right(control):
    """A recording that nobody disturbs."""
    async with hub(control, "--now", "--count", "1", "--no-poster", clips="right") as peer:
        found = await peer.clip(1, 60)
    assert found["findings"] == [] and found["ended"] == "end of stream", found
    clip.decode(found["file"])
    return found


@pytest.mark.deadline(120 + 12 * EACH * PHASES)
async def test_recordings_in_a_row_leave_nothing_behind(folder):
    print(f"RECORDING_SEED={SEED}")
    dice, entries = random.Random(SEED), [camera(n) for n in range(CAMERAS)]
    async with Hapd(folder, config(*entries)) as hapd:
        controls = []
        for number, (name, entry) in enumerate(hapd.pairing_info().items()):
            place = folder / str(number)
            place.mkdir()
            control = hapctl.Hapctl(place)
            await control("pair", "--address", f"127.0.0.1:{entry['port']}", "--code", entry["setup_code"], "--alias", "cam")
            controls.append(control)
        names, ended, quiet = [e["name"] for e in entries], collections.Counter(), []
        for _ in range(PHASES):
            ended += await phase(controls, hapd, names, dice)
            await asyncio.sleep(7)  # what was before the last time that it was switched off is forgotten
            await asyncio.gather(*[right(control) for control in controls])
            await asyncio.sleep(3)
            quiet.append(left(hapd))
        print(dict(ended), "resident KiB, descriptors, threads:", quiet)
        log = hapd.log.read_text()
    assert sum(ended.values()) >= EACH * PHASES * CAMERAS and len(ended) >= 3, ended
    assert "frames are missing" not in log
    first, last = quiet[0], quiet[-1]
    assert last[0] <= first[0] * 1.05 + 6 * 1024, f"memory grows: {quiet}"
    assert last[1] <= first[1] + 4 and last[2] <= first[2] + 4, f"something stays behind: {quiet}"
