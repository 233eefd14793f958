"""The picture that every side sends: 1080p30 H.264 of about 4 Mbit/s, made once."""

import pathlib
import subprocess
from dataclasses import dataclass

from harness import paths

CACHE = paths.ROOT / ".cache" / "bench"
FPS = 30
GOP = 30


@dataclass
class Clip:
    """`annexb` holds `seconds` of pictures of one slice each, to be played over and over."""

    annexb: pathlib.Path
    seconds: int

    @property
    def bits_per_second(self):
        return self.annexb.stat().st_size * 8 / self.seconds

    def mp4(self, seconds):
        """At least `seconds` of the same pictures in a container with timestamps."""
        path = self.annexb.with_name(f"{self.annexb.stem}-{seconds}s.mp4")
        if not path.exists():
            part = path.with_suffix(".part")
            one = self.annexb.with_suffix(".mp4")
            _ffmpeg("-r", FPS, "-i", self.annexb, "-c", "copy", "-f", "mp4", one)
            _ffmpeg("-stream_loop", -(-seconds // self.seconds), "-i", one, "-c", "copy", "-f", "mp4", part)
            part.rename(path)
        return path


def busy(seconds=10):
    """Moving, noisy pictures at 4 Mbit/s; key frames of about a hundred kilobytes, one a second."""
    return _clip("busy", seconds, "testsrc2=s=1920x1080:r=30,noise=alls=18:allf=t", "4M")


def still(seconds=4):
    """Pictures so plain that a ring of them weighs next to nothing."""
    return _clip("still", seconds, "color=gray:s=1920x1080:r=30", "20k")


def _clip(name, seconds, pictures, rate):
    path = CACHE / f"{name}.h264"
    if not path.exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        _ffmpeg("-f", "lavfi", "-i", pictures, "-ss", 1, "-t", seconds, "-pix_fmt", "yuv420p", "-c:v", "libx264",
                "-preset", "veryfast", "-tune", "zerolatency", "-x264-params", "sliced-threads=0",
                "-profile:v", "baseline", "-g", GOP, "-keyint_min", GOP, "-sc_threshold", 0,
                "-b:v", rate, "-maxrate", rate, "-bufsize", rate, "-f", "h264", part)
        part.rename(path)
    return Clip(path, seconds)


def _ffmpeg(*arguments):
    subprocess.run(["ffmpeg", "-hide_banner", "-nostdin", "-v", "error", "-y", *map(str, arguments)], check=True)
