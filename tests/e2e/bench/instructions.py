"""Instructions of the hot paths, counted by valgrind: the same in every run, whatever else the machine does."""

import asyncio
import json
import pathlib
import re
import shutil
import subprocess

from . import hot_paths
from .report import Report

BASELINE = pathlib.Path(__file__).with_name("instructions.json")
TOLERANCE = 0.02
FEW, MANY = 100, 300


async def run(options, folder):
    report = Report("instructions: user-space instructions per call of the hot paths")
    if not shutil.which("valgrind"):
        report.note("Skipped: valgrind is not installed.")
        return report
    report.note("By callgrind, the difference between 100 and 300 calls. Valgrind knows AES-NI but no SHA instructions: "
                "SHA-1 is counted in software, so these are for comparison with the baseline, not for adding up.")
    found = {}
    for path in hot_paths.build():
        found[path.key] = await asyncio.to_thread(per_call, path, folder)
    compare(report, found, read_baseline())
    if options.update_baseline:
        BASELINE.write_text(json.dumps({key: round(count, 1) for key, count in found.items()}, indent=1) + "\n")
        report.note(f"Written to {BASELINE.name}.")
    return report


def read_baseline():
    return json.loads(BASELINE.read_text()) if BASELINE.exists() else {}


def per_call(path, folder):
    return (collected(path, MANY, folder) - collected(path, FEW, folder)) / (MANY - FEW)


def collected(path, times, folder):
    command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={folder / path.name}.out",
               path.program, "count", path.name, str(times)]
    errors = subprocess.run(command, check=True, capture_output=True, text=True).stderr
    return int(re.search(r"Collected : (\d+)", errors)[1])


def compare(report, found, baseline):
    table = report.table("instructions per call", "baseline", "now", "change, %", "")
    for key, now in found.items():
        before = baseline.get(key)
        change = (now / before - 1) * 100 if before else None
        table.add(key, before, now, change, verdict(change))
    for key in baseline.keys() - found.keys():
        table.add(key, baseline[key], None, None, "gone")


def verdict(change):
    if change is None:
        return "new"
    if abs(change) <= TOLERANCE * 100:
        return "same"
    return "more" if change > 0 else "fewer"
