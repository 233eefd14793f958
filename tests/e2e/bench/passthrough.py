"""What one viewer of a 1080p30 H.264 camera at 4 Mbit/s costs, without encoding."""

import asyncio
import contextlib

from harness import wait

from . import clips, daemon, rivals
from .process import Child, cpu_shares, memory
from .report import SPREAD, Report, difference, median, ratio
from .viewers import Drain

MANY = 5
SETTLE = 4


async def run(options, folder):
    report = Report("passthrough: CPU per viewer, 1080p30 H.264 copied to SRTP")
    clip = clips.busy()
    report.note(f"Source: {clip.bits_per_second / 1e6:.2f} Mbit/s, one key frame a second, UDP payloads of at most "
                f"{rivals.MTU} bytes everywhere. Percent of one core, all processes over the same "
                f"{options.samples} windows of {options.seconds:g} s.")
    await camera(report, options, folder / "camera", clip)
    await sending(report, options, folder / "sending", clip)
    return report


# --- what a user pays: from the RTSP camera to the viewer

async def camera(report, options, folder, clip):
    async with contextlib.AsyncExitStack() as open, daemon.rtsp(folder, clip) as server:
        daemons, flows = {}, {}
        for viewers in (0, 1, MANY):
            hapd, streams = await open.enter_async_context(daemon.watched(folder / str(viewers), server, viewers))
            daemons[f"hapd {viewers}"] = hapd.process.pid
            flows[f"hapd {viewers}"] = [s.count for s in streams]
        others = {
            "gst": (1, lambda p: rivals.gst(rivals.rtsp_source(server.url), rivals.stock_sink(p[0]))),
            "rtpbin": (1, lambda p: rivals.gst(rivals.rtsp_source(server.url), rivals.rtpbin_sink(p[0]))),
            "ffmpeg": (1, lambda p: rivals.ffmpeg_rtsp(server.url, p)),
            f"gst {MANY}": (MANY, lambda p: rivals.gst(
                rivals.tee(rivals.rtsp_source(server.url), [rivals.stock_sink(port) for port in p]))),
            f"ffmpeg {MANY}": (MANY, lambda p: rivals.ffmpeg_rtsp(server.url, p)),
        }
        children = await start(open, folder, others, flows)
        pids = {**daemons, **children}
        cpu, rates = await sample(pids, flows, options)
        resident = {key: memory(pid)["rss"] for key, pid in pids.items()}
    _camera_table(report, cpu, rates)
    _process_table(report, cpu, rates, resident)


def _camera_table(report, cpu, rates):
    per = {
        "hapd": difference(cpu[f"hapd {MANY}"], cpu["hapd 0"], MANY),
        "gst": cpu["gst"], "rtpbin": cpu["rtpbin"], "ffmpeg": cpu["ffmpeg"],
    }
    table = report.table("one more viewer of a camera", *SPREAD, "hapd is", "packets/s", "pictures/s", "lost")
    names = {"hapd": f"hapd, one of {MANY} (slope 0 to {MANY})",
             "gst": "gst: rtspsrc..rtph264pay!srtpenc!udpsink", "rtpbin": "gst: the same with rtpbin",
             "ffmpeg": "ffmpeg -c copy -f rtp srtp://"}
    for key, name in names.items():
        rate = rates[f"hapd {MANY}" if key == "hapd" else key]
        table.samples(name, per[key], median(ratio(per["hapd"], per[key])),
                      rate["packets"], rate["pictures"], rate["lost"])
    report.goal("hapd per viewer : ffmpeg", median(ratio(per["hapd"], per["ffmpeg"])), 1 / 5)
    report.goal("pictures a second missing at hapd's viewers", max(0.0, clips.FPS - rates[f"hapd {MANY}"]["pictures"]), 0.5)
    report.goal("hapd per viewer : stock GStreamer", median(ratio(per["hapd"], per["gst"])), 1 / 2)


def _process_table(report, cpu, rates, resident):
    whole = report.table("whole process", *SPREAD, "packets/s", "pictures/s", "lost", "RSS, MiB")
    for key, shares in cpu.items():
        rate, viewers = rates.get(key) or dict.fromkeys(("packets", "pictures", "lost"), 0), _viewers(key)
        whole.samples(_process_name(key), shares, rate["packets"] * viewers, rate["pictures"] * viewers, rate["lost"],
                      resident[key])
    slopes = report.table("slope of one process, 1 to 5 viewers", *SPREAD)
    for key in ("hapd", "gst", "ffmpeg"):
        one = cpu["hapd 1"] if key == "hapd" else cpu[key]
        slopes.samples(f"{key}: another output of the same process", difference(cpu[f"{key} {MANY}"], one, MANY - 1))


def _process_name(key):
    name, _, viewers = key.partition(" ")
    return f"{name}, {viewers or 1} viewer{'' if viewers in ('', '1') else 's'}"


def _viewers(key):
    return int(key.partition(" ")[2] or 1)


# --- the sending part alone: each reads the same file in real time

async def sending(report, options, folder, clip):
    folder.mkdir(parents=True, exist_ok=True)
    path = clip.mp4(60)
    source = rivals.file_source(path)
    others = {
        "own": (1, lambda p: rivals.gst(source, rivals.own_sink(p[0]))),
        "gst": (1, lambda p: rivals.gst(source, rivals.stock_sink(p[0], "true"))),
        "rtpbin": (1, lambda p: rivals.gst(source, rivals.rtpbin_sink(p[0], "true"))),
        "ffmpeg": (1, lambda p: rivals.ffmpeg(path, p, "-re")),
        "gst nothing": (0, lambda _: rivals.gst(source, "! fakesink sync=true")),
        "ffmpeg nothing": (0, lambda _: rivals.ffmpeg_null(path, "-re")),
    }
    flows = {}
    async with contextlib.AsyncExitStack() as open:
        children = await start(open, folder, others, flows)
        cpu, rates = await sample(children, flows, options)
    net = {key: difference(cpu[key], cpu["ffmpeg nothing" if key == "ffmpeg" else "gst nothing"])
           for key in ("own", "gst", "rtpbin", "ffmpeg")}
    table = report.table("reading a file in real time, one process", *SPREAD, "net of read", "own is", "packets/s", "pictures/s",
                         "lost")
    names = {"own": "gst-launch: h264parse!hapsrtpsink", "gst": "gst-launch: rtph264pay!srtpenc!udpsink",
             "rtpbin": "gst-launch: the same with rtpbin", "ffmpeg": "ffmpeg -re -c copy -f rtp srtp://"}
    for key, name in names.items():
        table.samples(name, cpu[key], median(net[key]), median(ratio(net["own"], net[key])),
                      rates[key]["packets"], rates[key]["pictures"], rates[key]["lost"])
    for key in ("gst nothing", "ffmpeg nothing"):
        table.samples(f"{key.split()[0]}: reading and parsing only", cpu[key], 0.0, "-", 0, 0, 0)


# --- both

async def start(open, folder, others, flows):
    """Starts each with as many receivers as it wants; returns their process ids once all send."""
    children = {}
    for key, (receivers, command) in others.items():
        flows[key] = [open.enter_context(contextlib.closing(Drain())) for _ in range(receivers)]
        child = Child(folder, key.replace(" ", "-"), command([d.port for d in flows[key]]), rivals.gst_env())
        children[key] = await open.enter_async_context(child)
    for key, child in children.items():
        await wait.until(lambda: child.still_runs() or all(d.packets for d in flows[key]), 20,
                         lambda: f"packets from {key}\n{child.tail()}")
    return {key: child.pid for key, child in children.items()}


async def sample(pids, flows, options):
    """Shares of each process; and per receiver packets a second, in all of them what was lost."""
    await asyncio.sleep(SETTLE)
    for counts in flows.values():
        for count in counts:
            count.mark()
    cpu = await cpu_shares(pids, options.samples, options.seconds)
    spent = options.samples * options.seconds
    rates = {key: {"packets": sum(c.packets for c in counts) / spent / len(counts),
                   "pictures": sum(c.pictures for c in counts) / spent / len(counts),
                   "lost": sum(c.lost for c in counts)} for key, counts in flows.items() if counts}
    return cpu, rates
