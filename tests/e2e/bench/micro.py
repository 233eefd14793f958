"""Nanoseconds of the hot paths, by criterion."""

import asyncio
import json
import os
import subprocess

from . import hot_paths
from .report import Report


async def run(options, folder):
    report = Report("micro: the hot paths of the protocol crates")
    table = report.table("nanoseconds per call", "median", "from", "to")
    report.note("Criterion's median with its confidence interval of 95 %.")
    paths = hot_paths.build()
    for program in {path.program for path in paths}:
        await asyncio.to_thread(criterion, program, folder, options.quick)
    for path in paths:
        estimates = json.loads((folder / path.name / "new" / "estimates.json").read_text())["median"]
        interval = estimates["confidence_interval"]
        table.add(path.key, estimates["point_estimate"], interval["lower_bound"], interval["upper_bound"])
    return report


def criterion(program, folder, quick):
    command = [program, "--bench", "--noplot", "--warm-up-time", "0.3", "--measurement-time", "0.5" if quick else "1.5"]
    with (folder / "criterion.log").open("ab") as log:
        subprocess.run(command, check=True, stdout=log, stderr=log, env={**os.environ, "CRITERION_HOME": str(folder)})
