"""What a camera and a viewer weigh, from the slope between few and many of them."""

import asyncio
import contextlib

from . import clips, daemon
from .process import memory
from .report import Report

FEW, MANY = 1, 11
VIEWERS = 5
STEADY = 0.005  # of the whole, over one interval
PATIENCE = 40
KINDS = ("rss", "pss", "private")
MIB = 1 << 20


async def run(options, folder):
    report = Report("memory: MiB of hapd, cameras copied and idle")
    busy, still = clips.busy(), clips.still()
    group = busy.bits_per_second / 8 * clips.GOP / clips.FPS / MIB
    report.note(f"Slope between {FEW} and {MANY} RTSP cameras of one daemon, read when it no longer grows. With plain pictures "
                f"({still.bits_per_second / 1000:.0f} kbit/s) the ring weighs next to nothing, so their slope is what a "
                f"camera takes beyond it; with {busy.bits_per_second / 1e6:.2f} Mbit/s one group of pictures is {group:.2f} MiB.")
    slopes = await cameras(report, folder, {"plain": still, "busy": busy})
    await viewers(report, folder, busy)
    report.goal("idle passthrough camera beyond its ring, PSS", slopes["plain"]["pss"] * MIB / 1e6, 2.0, "MB")
    report.goal("idle passthrough camera beyond its ring, RSS", slopes["plain"]["rss"] * MIB / 1e6, 2.0, "MB")
    return report


async def cameras(report, folder, sources):
    """All daemons at the same time; the slope of each kind of memory per kind of picture."""
    async with contextlib.AsyncExitStack() as open:
        pids = {}
        for name, clip in sources.items():
            server = await open.enter_async_context(daemon.rtsp(folder / name, clip))
            for count in (FEW, MANY):
                entries = [server.camera(name=f"Camera {n}", audio=False) for n in range(count)]
                hapd = await open.enter_async_context(daemon.running(folder / f"{name}-{count}", *entries))
                pids[name, count] = hapd.process.pid
            await daemon.connected(server, FEW + MANY)
        found = await steady(pids)
    whole = report.table("whole daemon", *KINDS)
    for (name, count), values in found.items():
        whole.add(f"{count} camera{'s' if count > 1 else ''}, {name}", *(values[k] for k in KINDS))
    slopes = {name: slope(found[name, FEW], found[name, MANY], MANY - FEW) for name in sources}
    table = report.table("one more camera", *KINDS)
    table.add("plain pictures: beyond the ring", *(slopes["plain"][k] for k in KINDS))
    table.add("busy pictures: all", *(slopes["busy"][k] for k in KINDS))
    table.add("difference: ring and what waits elsewhere", *(slopes["busy"][k] - slopes["plain"][k] for k in KINDS))
    return slopes


async def viewers(report, folder, clip):
    async with daemon.rtsp(folder / "watched", clip) as server, \
            daemon.watched(folder / "watched-0", server, 0) as (alone, _), \
            daemon.watched(folder / "watched-many", server, VIEWERS) as (watched, _):
        await daemon.connected(server, 2)
        found = await steady({0: alone.process.pid, VIEWERS: watched.process.pid})
    table = report.table("viewers of one busy camera", *KINDS)
    for count, values in found.items():
        table.add(f"{count} viewers", *(values[k] for k in KINDS))
    per = slope(found[0], found[VIEWERS], VIEWERS)
    table.add("one more viewer", *(per[k] for k in KINDS))


def slope(few, many, parts):
    return {kind: (many[kind] - few[kind]) / parts for kind in KINDS}


async def steady(pids):
    """Memory of each process once all have stopped growing, or when patience ends."""
    before = None
    for _ in range(PATIENCE // 4):
        await asyncio.sleep(4)
        now = {name: memory(pid) for name, pid in pids.items()}
        if before and all(abs(now[n]["rss"] - before[n]["rss"]) <= STEADY * before[n]["rss"] for n in pids):
            break
        before = now
    return now
