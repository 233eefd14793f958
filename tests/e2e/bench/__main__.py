"""See scripts/bench."""

import argparse
import asyncio
import importlib
import json
import os
import pathlib
import platform
import subprocess
import sys
import time
import traceback

from harness import paths

from .report import Report

SECTIONS = {
    "passthrough": "CPU per viewer of a 1080p30 camera: hapd, GStreamer's elements, ffmpeg",
    "srtp": "microseconds to protect 1200 bytes, beside the raw cost of the same bytes",
    "throughput": "packets per second of one core, not paced",
    "start": "Start write to first key frame, warm and cold",
    "recording": "CPU per fragment of a recording: hksvmux, isofmp4mux, mp4mux, ffmpeg",
    "prebuffer": "CPU and memory of a camera whose past is kept for recordings",
    "motion": "what hapmotion sees and costs: motioncells",
    "memory": "memory per idle camera and per viewer",
    "growth": "1 to 10 viewers, 1 to 50 cameras",
    "micro": "nanoseconds of the hot paths, by criterion",
    "instructions": "instructions of the hot paths, beside the baseline",
}


def arguments():
    listing = "\n".join(f"  {name:<14}{what}" for name, what in SECTIONS.items())
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Measures, beside what else there is, in the same run.",
        epilog=f"sections:\n{listing}", formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("section", nargs="*", metavar="SECTION", help="one of those below; default: all of them")
    parser.add_argument("--quick", action="store_true", help="fewer and shorter samples: to see that it works")
    parser.add_argument("--json", nargs="?", const="-", metavar="FILE",
                        help="one object, to FILE; without FILE to standard output in place of the tables")
    parser.add_argument("--samples", type=int, help="windows per comparison")
    parser.add_argument("--seconds", type=float, help="length of a window")
    parser.add_argument("--runs", type=int, help="starts per kind of start")
    parser.add_argument("--update-baseline", action="store_true", help="take the instruction counts as the new baseline")
    options = parser.parse_args()
    if unknown := set(options.section) - set(SECTIONS):
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    options.samples = options.samples or (3 if options.quick else 8)
    options.seconds = options.seconds or (1.0 if options.quick else 2.0)
    options.runs = options.runs or (5 if options.quick else 50)
    return options


def machine():
    model = [line.split(":")[1].strip() for line in pathlib.Path("/proc/cpuinfo").read_text().splitlines()
             if line.startswith("model name")]
    return {"cpu": model[0] if model else platform.machine(), "cores": os.cpu_count(), "kernel": platform.release(),
            "ffmpeg": _first_line("ffmpeg", "-version"), "gstreamer": _first_line("gst-launch-1.0", "--version"),
            "load_before": os.getloadavg()[0]}


def _first_line(*command):
    return subprocess.run(command, capture_output=True, text=True).stdout.splitlines()[0]


def measure(name, options):
    print(f"==> {name}: {SECTIONS[name]}", file=sys.stderr, flush=True)
    begun = time.monotonic()
    section = importlib.import_module(f"bench.{name}")
    try:
        report = asyncio.run(section.run(options, paths.folder(name)))
    except Exception as error:
        traceback.print_exc()
        report = Report(f"{name}: FAILED", notes=[f"{type(error).__name__}: {error}"], failed=True)
    print(f"    {time.monotonic() - begun:.0f} s", file=sys.stderr, flush=True)
    return report, time.monotonic() - begun


def main():
    options = arguments()
    about, result, failed = machine(), {}, []
    if options.json != "-":
        print(f"{about['cpu']}, {about['cores']} cores, load {about['load_before']:.2f} before the run\n")
    for name in options.section or SECTIONS:
        report, seconds = measure(name, options)
        failed += [name] * report.failed
        result[name] = {**report.as_json(), "seconds": round(seconds, 1)}
        if options.json != "-":
            print(report, flush=True)
    document = {"machine": about, "quick": options.quick, "sections": result}
    if options.json == "-":
        json.dump(document, sys.stdout, indent=1)
        print()
    elif options.json:
        pathlib.Path(options.json).write_text(json.dumps(document, indent=1) + "\n")
    if failed:
        sys.exit(f"failed: {', '.join(failed)}")


main()
