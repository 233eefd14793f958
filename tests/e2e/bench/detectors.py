"""Motion detectors in `gst-launch-1.0`: when they say that something moves, and how right they are."""

import asyncio
import os
import re
import shlex
import subprocess
from dataclasses import dataclass, field

from harness import paths

HOLD = 1.0  # seconds, of every detector; taken off what it says
RATE = 5  # pictures a second that a detector looks at
LEARNING = 3.0  # seconds at the beginning that nobody is judged by
AFTER = 1.0  # seconds after motion in which it may be said to go on
DECODER = "filesrc location={path} ! qtdemux ! h264parse ! avdec_h264 max-threads=1"
OURS = f"hapmotion max-fps={RATE} hold-time={HOLD * 1000:.0f}"
# Its own input format, at the same rate.
STOCK = f"videorate drop-only=true max-rate={RATE} ! videoconvert ! motioncells display=false gap={HOLD:.0f}"
NS = 1e9


def stock(**properties):
    return " ".join([STOCK, *(f"{name}={value}" for name, value in properties.items())])


def environment(folder):
    return {**os.environ, "GST_PLUGIN_PATH": str(paths.TARGET / "release"), "GST_REGISTRY": str(folder / "registry"),
            "LC_ALL": "C"}


def launch(folder, pipeline, messages=False):
    """(output, CPU seconds) of a pipeline that ends by itself."""
    words = ["gst-launch-1.0", "-m" if messages else "-q", *shlex.split(pipeline)]
    with subprocess.Popen(words, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        output = process.stdout.read().decode(errors="replace")
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode or "ERROR" in output:
        raise RuntimeError(f"{pipeline}\n{output[-2000:]}")
    return output, usage.ru_utime + usage.ru_stime


def watch(folder, clip, detector):
    """When the detector saw motion in a clip, as (from, to) in seconds."""
    pipeline = f"{DECODER.format(path=shlex.quote(str(clip.path)))} ! {detector} ! fakesink sync=false"
    output, _ = launch(folder, pipeline, messages=True)
    return spans(output, clip.seconds)


def spans(output, end):
    found, begun = [], None
    for line in output.splitlines():
        if "hapmotion, motion=" in line:
            at = number(line, "timestamp") / NS
            if "motion=(boolean)true" in line:
                begun = at
            elif begun is not None:
                found.append((begun, max(begun, at - HOLD)))
                begun = None
        elif "motion_begin=" in line:
            begun = number(line, "motion_begin") / NS
        elif "motion_finished=" in line and begun is not None:
            found.append((begun, max(begun, number(line, "motion_finished") / NS)))
            begun = None
    return found + ([(begun, end)] if begun is not None else [])


def number(line, field):
    return int(re.search(rf"\b{field}=\(guint64\)(\d+)", line).group(1))


@dataclass
class Verdict:
    """What a detector said about one clip, and what was right: alarms, and single seconds."""

    spans: list
    right: int = 0  # alarms while something moved
    wrong: int = 0
    missed: int = 0  # motions without an alarm
    seconds_right: int = 0
    seconds_wrong: int = 0
    seconds_missed: int = 0

    def __str__(self):
        parts = [f"{self.right} right"] * bool(self.right) + [f"{self.wrong} false"] * bool(self.wrong)
        return ", ".join(parts + ["missed"] * bool(self.missed)) or "quiet"


def judge(clip, spans):
    verdict = Verdict(spans)
    spans = [(max(a, LEARNING), b) for a, b in spans if b > LEARNING]
    for begin, end in spans:
        right = any(begin < to + AFTER and end > since for since, to in clip.motion)
        verdict.right += right
        verdict.wrong += not right
    verdict.missed = sum(not any(a < to and b > since for a, b in spans) for since, to in clip.motion)
    for second in range(int(LEARNING), int(clip.seconds)):
        judge_second(clip, verdict, spans, second)
    return verdict


def judge_second(clip, verdict, spans, second):
    moved = covered(clip.motion, second)
    # Begun or ended within this second or shortly before: either answer is right.
    if 0 < moved < 1 or (not moved and covered([(a, b + AFTER) for a, b in clip.motion], second)):
        return
    said = covered(spans, second) > 0.2
    verdict.seconds_right += bool(moved and said)
    verdict.seconds_missed += bool(moved and not said)
    verdict.seconds_wrong += bool(said and not moved)


def covered(spans, second):
    return min(1.0, sum(max(0.0, min(b, second + 1) - max(a, second)) for a, b in spans))


@dataclass
class Score:
    """Precision and recall over all clips."""

    verdicts: dict = field(default_factory=dict)

    def of(self, clips):
        """On these clips only."""
        return Score({clip.name: self.verdicts[clip.name] for clip in clips})

    def total(self, name):
        return sum(getattr(verdict, name) for verdict in self.verdicts.values())

    @property
    def precision(self):
        right, wrong = self.total("right"), self.total("wrong")
        return right / max(1, right + wrong)

    @property
    def recall(self):
        missed = self.total("missed")
        events = sum(bool(v.right) or bool(v.missed) for v in self.verdicts.values())
        return (events - missed) / max(1, events)

    @property
    def second_precision(self):
        right = self.total("seconds_right")
        return right / max(1, right + self.total("seconds_wrong"))

    @property
    def second_recall(self):
        right = self.total("seconds_right")
        return right / max(1, right + self.total("seconds_missed"))

    @property
    def f1(self):
        return 2 * self.precision * self.recall / max(1e-9, self.precision + self.recall)


async def score(folder, clips, detector):
    """The verdicts of one detector on all clips, two at a time."""
    found, gate = Score(), asyncio.Semaphore(2)

    async def one(clip):
        async with gate:
            return judge(clip, await asyncio.to_thread(watch, folder, clip, detector))

    verdicts = await asyncio.gather(*(one(clip) for clip in clips))
    found.verdicts = {clip.name: verdict for clip, verdict in zip(clips, verdicts)}
    return found
