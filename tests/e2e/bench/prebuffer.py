"""What it costs to keep the past of a camera that is recorded as it is: armed daemons beside others that are not."""

import asyncio
import contextlib

from harness import hapctl

from . import clips, daemon
from .memory import MIB, STEADY
from .process import cpu_shares, memory
from .report import SPREAD, Report, difference, median

CAMERAS = 5
PREBUFFER, SLACK = 4, 2  # seconds: what hubs ask for, and what hapd keeps on top
GROUP = clips.GOP / clips.FPS  # seconds: decoding begins at key frames, so up to one group more is held, armed or not
ROUNDS = 10


async def run(options, folder):
    report = Report("prebuffer: what a camera costs that may be recorded")
    sources = {"busy": clips.busy(), "plain": clips.still()}
    rates = {name: clip.bits_per_second / 8 for name, clip in sources.items()}
    kept = (rates["busy"] - rates["plain"]) * (PREBUFFER + SLACK) / MIB
    report.note(f"{CAMERAS} RTSP cameras each of {rates['busy'] * 8 / 1e6:.2f} Mbit/s, one key frame a second, passed through; beside "
                f"them the same with plain pictures, for what a camera that is armed takes whatever it keeps. {PREBUFFER + SLACK} s of "
                f"the difference are {kept:.2f} MiB. Percent of one core per camera over the same windows.")
    async with contextlib.AsyncExitStack() as open:
        pids = {}
        for source, clip in sources.items():
            server = await open.enter_async_context(daemon.rtsp(folder / source, clip))
            for name in ("idle", "armed"):
                entries = [server.camera(name=f"{name} {n}", audio=False) for n in range(CAMERAS)]
                hapd = await open.enter_async_context(daemon.running(folder / f"{source}-{name}", *entries))
                pids[source, name] = hapd.process.pid
                if name == "armed":
                    await arm(hapd, folder / f"{source}-{name}")
            await daemon.connected(server, 2 * CAMERAS)
        await asyncio.sleep(PREBUFFER + SLACK + 4)
        cpu = await cpu_shares(pids, max(options.samples, 4), max(options.seconds, 2) * 2)
        resident = await steady(pids)
    more = difference(cpu["busy", "armed"], cpu["busy", "idle"], CAMERAS)
    table = report.table("CPU, all cameras of a daemon", *SPREAD)
    for (source, name), shares in cpu.items():
        table.samples(f"{name}, {source} pictures", shares)
    report.table("CPU of one prebuffer", *SPREAD).samples("armed less idle, busy pictures", more)
    weighs = report.table("memory, MiB", "rss", "pss", "private")
    for (source, name), values in resident.items():
        weighs.add(f"{name}, {CAMERAS} cameras, {source} pictures", *(values[k] for k in weighs.columns))
    one = {s: {k: (resident[s, "armed"][k] - resident[s, "idle"][k]) / CAMERAS for k in weighs.columns} for s in sources}
    for source, values in one.items():
        weighs.add(f"armed, one camera, {source} pictures", *values.values())
    weighs.add("busy less plain: all that is held, idle", *(held(resident, "idle", k) for k in weighs.columns))
    weighs.add("busy less plain: all that is held, armed", *(held(resident, "armed", k) for k in weighs.columns))
    rate = (rates["busy"] - rates["plain"]) / MIB
    times = report.table("what is held of one camera", "seconds from", "seconds to", "MiB from", "MiB to", "pss : MiB to")
    for name, time in (("idle", 0), ("armed", PREBUFFER + SLACK)):
        most = (time + GROUP) * rate
        times.add(name, time, time + GROUP, time * rate, most, held(resident, name, "pss") / most)
    report.goal("CPU of one prebuffer", median(more), 0.5, "% of a core")
    report.goal("memory of one prebuffer : bitrate x time", (one["busy"]["pss"] - one["plain"]["pss"]) / kept, 1.3)
    return report


def held(resident, name, kind):
    """MiB of one camera's busy pictures."""
    return (resident["busy", name][kind] - resident["plain", name][kind]) / CAMERAS


async def arm(hapd, folder):
    """As a hub would; the camera stays armed when that ends."""
    for number, entry in enumerate(hapd.pairing_info().values()):
        (folder / str(number)).mkdir()
        control = hapctl.Hapctl(folder / str(number))
        await control("pair", "--address", f"127.0.0.1:{entry['port']}", "--code", entry["setup_code"], "--alias", "cam")
        await control("hub", "cam", "--clips", str(folder / str(number)), "--seconds", "1", check=False)


async def steady(pids):
    before = None
    for _ in range(ROUNDS):
        now = {name: memory(pid) for name, pid in pids.items()}
        if before and all(abs(now[n]["rss"] - before[n]["rss"]) <= STEADY * before[n]["rss"] for n in pids):
            break
        before = now
        await asyncio.sleep(4)
    return now
