"""How one daemon grows: viewers of one camera, and cameras nobody watches."""

import asyncio
import contextlib
import time

from . import clips, daemon
from .process import cpu_shares, memory, threads
from .report import SPREAD, Report, median

VIEWERS = (1, 2, 5, 10)
CAMERAS = (1, 10, 25, 50)
SETTLE = 4


async def run(options, folder):
    report = Report("growth: one hapd, 1080p30 H.264 copied")
    report.note(f"{clips.busy().bits_per_second / 1e6:.2f} Mbit/s each; percent of one core.")
    await viewers(report, options, folder)
    await cameras(report, options, folder)
    return report


async def viewers(report, options, folder):
    """Daemons with 1 to 10 viewers, all at the same time."""
    async with contextlib.AsyncExitStack() as open, daemon.rtsp(folder / "camera", clips.busy()) as server:
        pids, counts = {}, {}
        for number in VIEWERS:
            hapd, streams = await open.enter_async_context(daemon.watched(folder / f"viewers-{number}", server, number))
            pids[number], counts[number] = hapd.process.pid, [s.count for s in streams]
        await asyncio.sleep(SETTLE)
        for count in sum(counts.values(), []):
            count.mark()
        begun = time.monotonic()
        cpu = await cpu_shares(pids, options.samples, options.seconds)
        spent = time.monotonic() - begun
        sizes = {number: (memory(pid), threads(pid)) for number, pid in pids.items()}
    table = report.table("viewers of one camera", *SPREAD, "per viewer", "RSS, MiB", "threads", "packets", "pictures/s",
                         "lost")
    for number, shares in cpu.items():
        packets, lost = sum(c.packets for c in counts[number]), sum(c.lost for c in counts[number])
        table.samples(f"{number}", shares, median(shares) / number, sizes[number][0]["rss"], sizes[number][1], packets,
                      pictures(counts[number], spent), lost)
    worst = min(c.pictures for c in counts[VIEWERS[-1]]) / spent
    report.goal("pictures a second missing at the worst of 10 viewers", max(0.0, clips.FPS - worst), 0.5)
    report.goal("packets lost by 10 viewers of one camera", sum(c.lost for c in counts[VIEWERS[-1]]), 0)


def pictures(counts, seconds):
    """Of one viewer, a second."""
    return sum(c.pictures for c in counts) / len(counts) / seconds


async def cameras(report, options, folder):
    """One daemon after the other: fifty cameras fill a small machine."""
    table = report.table("cameras without a viewer", *SPREAD, "per camera", "RSS, MiB", "PSS, MiB", "PSS/camera", "threads")
    for number in CAMERAS[:2] if options.quick else CAMERAS:
        async with daemon.rtsp(folder / f"cameras-{number}", clips.busy()) as server:
            entries = [server.camera(name=f"Camera {n}", audio=False) for n in range(number)]
            async with daemon.running(folder / f"cameras-{number}-hapd", *entries) as hapd:
                await daemon.connected(server, number)
                await asyncio.sleep(SETTLE)
                pid = hapd.process.pid
                shares = (await cpu_shares({number: pid}, options.samples, options.seconds))[number]
                size = memory(pid)
                table.samples(f"{number}", shares, median(shares) / number, size["rss"], size["pss"],
                              size["pss"] / number, threads(pid))
