"""`hapmotion` beside `motioncells`: what they see in clips that are labelled, and what they cost."""

import asyncio
import contextlib
import itertools
import shlex

from . import detectors, footage
from .detectors import DECODER, OURS, RATE, STOCK
from .process import Child, cpu_shares
from .report import SPREAD, Report, difference, median

# What else motioncells was tried with; its defaults are sensitivity 0.5, threshold 0.01.
SENSITIVITIES, THRESHOLDS = (0.3, 0.5), (0.01, 0.03)
RAW_PICTURES = 300
SLOW = f"hapmotion, and {RATE} pictures a second come"


async def run(options, folder):
    report = Report("motion: hapmotion beside motioncells")
    clips = await asyncio.to_thread(footage.make, footage.everything())
    scores = await judged(report, folder, clips, options.quick)
    await costs(report, folder, options)
    ours = scores["hapmotion"]
    report.goal("hapmotion: 1 - precision of its alarms", 1 - ours.precision, 0.1)
    report.goal("hapmotion: 1 - recall", 1 - ours.recall, 0.1)
    return report


# --- precision and recall

async def judged(report, folder, clips, quick):
    scores = {"hapmotion": await detectors.score(folder, clips, OURS),
              "motioncells": await detectors.score(folder, clips, STOCK)}
    if not quick:
        name, best = await best_of_stock(folder, clips)
        scores[name] = best
    table = report.table("clip", "pictures", "moves", *scores)
    for clip in clips:
        table.add(clip.name, clip.origin, clip.label, *(str(score.verdicts[clip.name]) for score in scores.values()))
    held_out = {clip.name for clip in footage.held_out()}
    sets = {"held out": [c for c in clips if c.name in held_out], "all clips": clips}
    for title, some in sets.items():
        table = report.table(f"{title}: {len(some)}", "precision", "recall", "seconds: precision", "recall ")
        for name, score in scores.items():
            score = score.of(some)
            table.add(name, score.precision, score.recall, score.second_precision, score.second_recall)
    report.note(f"{len(clips)} clips of 640x360, H.264, {footage.FPS} pictures a second, {RATE} of them looked at; defaults, hold "
                f"time {detectors.HOLD:.0f} s. An alarm is right if something moves while it lasts. Frozen: a real picture "
                f"with noise; rendered: weather, light or people put into real pictures. Held out: made after the detector.")
    return scores


async def best_of_stock(folder, clips):
    """The setting of motioncells that is best on these very clips, which no user would know beforehand."""
    settings = list(itertools.product(SENSITIVITIES, THRESHOLDS))
    scores = [await detectors.score(folder, clips, detectors.stock(sensitivity=s, threshold=t)) for s, t in settings]
    best = max(range(len(settings)), key=lambda i: scores[i].f1)
    sensitivity, threshold = settings[best]
    return f"motioncells {sensitivity}/{threshold}", scores[best]


# --- CPU

async def costs(report, folder, options):
    clip = await asyncio.to_thread(footage.substream)
    shares = await live(folder, clip, options)
    table = report.table(f"% of a core: H.264 640x360, {footage.FPS} pictures a second", *SPREAD)
    for name, samples in shares.items():
        table.samples(name, samples)
    added = {name: difference(shares[name], shares["decoder alone"]) for name in ("hapmotion", "motioncells")}
    for name, samples in added.items():
        table.samples(f"{name}: beyond the decoder", samples)
    alone = await asyncio.to_thread(element_alone, folder, clip, options.samples)
    table.samples("hapmotion: raw video, every picture looked at, beyond identity", alone)
    report.goal(f"hapmotion at {RATE} pictures a second, raw video, % of a core", median(alone), 1.0)
    report.goal(f"decoder and hapmotion, {RATE} pictures a second come, % of a core", median(shares[SLOW]), 1.0)
    report.goal("hapmotion beyond the decoder : motioncells beyond it", median(added["hapmotion"]) / median(added["motioncells"]), 1.0)


async def live(folder, clip, options):
    """All at the same time, in real time: CPU shares over the same windows."""
    source = DECODER.format(path=shlex.quote(str(clip)))
    slow = DECODER.format(path=shlex.quote(str(footage.substream(RATE))))
    lines = {"decoder alone": f"{source} ! fakesink sync=true",
             "hapmotion": f"{source} ! {OURS} ! fakesink sync=true",
             "motioncells": f"{source} ! {STOCK} ! fakesink sync=true",
             SLOW: f"{slow} ! {OURS} ! fakesink sync=true"}
    environment = detectors.environment(folder)
    children = [Child(folder, name, ["gst-launch-1.0", "-q", *shlex.split(line)], environment) for name, line in lines.items()]
    async with contextlib.AsyncExitStack() as stack:
        for child in children:
            await stack.enter_async_context(child)
        await asyncio.sleep(4)
        shares = await cpu_shares({child.name: child.pid for child in children}, options.samples, options.seconds * 2)
        for child in children:
            child.still_runs()
    return shares


def element_alone(folder, clip, samples):
    """What it takes for the pictures of a second, in percent of a core: all pictures of a raw file are looked at."""
    raw = folder / "pictures.raw"
    detectors.launch(folder, f"{DECODER.format(path=shlex.quote(str(clip)))} ! identity eos-after={RAW_PICTURES + 1} ! filesink location={raw}")
    source = (f"filesrc location={raw} blocksize=345600 ! rawvideoparse format=i420 width={footage.WIDTH} height={footage.HEIGHT} "
              f"framerate={RATE}/1")
    seconds = {"identity": [], f"hapmotion max-fps={RATE}": []}
    for _ in range(samples):
        for element, found in seconds.items():
            found.append(detectors.launch(folder, f"{source} ! {element} ! fakesink")[1])
    raw.unlink()
    identity, ours = seconds.values()
    return [(b - a) / RAW_PICTURES * RATE * 100 for a, b in zip(identity, ours)]
