"""What a fragment of a recording costs, beside other muxers that write the same pictures."""

import asyncio
import os
import shutil
import subprocess

from harness import paths

from . import clips, rivals
from .report import SPREAD, Report, median, ratio

SECONDS = 120  # of picture, as fast as it goes
FRAGMENT = 4  # seconds
NAMES = {
    "own": "hksvmux",
    "isofmp4mux": "h264parse!isofmp4mux fragment-duration=4000000000",
    "mp4mux": "h264parse!mp4mux fragment-duration=4000",
    "ffmpeg": "ffmpeg -c copy -movflags frag_keyframe+empty_moov",
}


async def run(options, folder):
    report = Report(f"recording: CPU milliseconds per fragment of {FRAGMENT} seconds, 1080p")
    seconds = SECONDS // 2 if options.quick else SECONDS
    path = clips.busy().mp4(seconds)
    commands, env = kinds(path, folder), environment(folder)
    if "isofmp4mux" not in commands:
        report.note("Without isofmp4mux: gst-plugin-fmp4 was not built as a plugin.")
    runs = {kind: [] for kind in commands}
    await asyncio.to_thread(cpu, commands["gst read"], env)  # writes the registry
    for _ in range(options.samples):
        for kind, command in commands.items():
            runs[kind].append(await asyncio.to_thread(cpu, command, env))
    report.note(f"{os.path.getsize(path) >> 20} MiB of 1080p30 H.264 from a file into a file, {options.samples} times in turn; CPU "
                "time of the whole process without that of reading and parsing, for each fragment's worth of pictures.")
    fill(report, runs, folder)
    return report


def kinds(path, folder):
    read = f"filesrc location={path} ! qtdemux"
    commands = {
        "own": rivals.gst(read, "! hksvmux ! filesink", f"location={folder / 'own.mp4'}"),
        "mp4mux": rivals.gst(read, f"! h264parse ! mp4mux fragment-duration={FRAGMENT * 1000} ! filesink",
                             f"location={folder / 'mp4mux.mp4'}"),
        "ffmpeg": [*rivals.ffmpeg_null(path)[:-3], "-movflags", "frag_keyframe+empty_moov",
                   "-min_frag_duration", str(FRAGMENT * 1_000_000 - 100_000), "-f", "mp4", "-y", str(folder / "ffmpeg.mp4")],
        "gst read": rivals.gst(read, "! h264parse ! fakesink sync=false"),
        "ffmpeg read": rivals.ffmpeg_null(path),
    }
    if plugin(folder):
        commands["isofmp4mux"] = rivals.gst(read, f"! h264parse ! isofmp4mux fragment-duration={FRAGMENT}000000000 ! filesink",
                                            f"location={folder / 'isofmp4mux.mp4'}")
    return commands


def plugin(folder):
    """Cargo makes a plugin of gst-plugin-fmp4 on the way; what GStreamer shall find needs its proper name."""
    built = sorted((paths.TARGET / "release" / "deps").glob("libgstfmp4-*.so"), key=os.path.getmtime)
    if built:
        shutil.copy(built[-1], folder / "libgstfmp4.so")
    return bool(built)


def environment(folder):
    """The plugin of this build alone, with the registry of this run."""
    env = rivals.gst_env()
    return {**env, "GST_PLUGIN_PATH": f"{env['GST_PLUGIN_PATH']}:{folder}", "GST_REGISTRY": str(folder / "registry")}


def cpu(command, env):
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=env)
    errors = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = status
    if status:
        raise RuntimeError(f"{' '.join(command)}: {errors.decode(errors='replace')[-500:]}")
    return usage.ru_utime + usage.ru_stime


def fill(report, runs, folder):
    table = report.table("ms per fragment's worth", *SPREAD, "own is", "fragments", "KiB over")
    read = {kind: runs["ffmpeg read" if kind == "ffmpeg" else "gst read"] for kind in NAMES}
    count = fragments(folder / "own.mp4")
    net = {kind: [(a - b) / count * 1000 for a, b in zip(runs[kind], read[kind])] for kind in NAMES if kind in runs}
    smallest = min((folder / f"{kind}.mp4").stat().st_size for kind in net)
    for kind, values in net.items():
        file = folder / f"{kind}.mp4"
        over = (file.stat().st_size - smallest) // 1024
        table.samples(NAMES[kind], values, median(ratio(net["own"], values)), fragments(file), over)
    if "isofmp4mux" in net:
        report.goal("hksvmux : isofmp4mux", median(ratio(net["own"], net["isofmp4mux"])), 1.5)


def fragments(file):
    return file.read_bytes().count(b"moof")
