"""What a camera sends, written down by the test: a programme for `rough_camera.py`."""

import json
import math
import os
import pathlib
import pickle
import subprocess
import sys

from . import wait
from .cameras import unique

_HERE = pathlib.Path(__file__).resolve().parents[1]
_SPOKEN = 20  # milliseconds of sound in a packet
# A square wave of 400 Hz at 8 kHz, as µ-law (ITU-T G.711).
_TONE = (b"\x90" * 10 + b"\x10" * 10) * 8


def clip(path, size, frames, fps, *more, source="testsrc2", gop=30):
    """Access units, each a list of NAL units, of a Baseline stream made by ffmpeg."""
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"{source}=size={size}:rate={fps}", *more,
         "-frames:v", str(frames), "-c:v", "libx264", "-preset", "ultrafast", "-profile:v", "baseline", "-pix_fmt", "yuv420p",
         "-g", str(gop), "-keyint_min", str(gop), "-sc_threshold", "0", "-x264-params", "slices=1:repeat-headers=1",
         "-f", "h264", str(path)],
        check=True, timeout=100)
    units, unit = [], []
    for nal in pathlib.Path(path).read_bytes().split(b"\0\0\1")[1:]:
        unit.append(nal.rstrip(b"\0"))
        if nal[0] & 0x1F in (1, 5):
            units.append(unit)
            unit = []
    assert len(units) == frames, f"{len(units)} access units of {frames} pictures"
    return units


def slices(units):
    """What carries pictures."""
    return [nal for unit in units for nal in unit if nal[0] & 0x1F in (1, 5)]


class Programme:
    """Grows piece by piece; `seconds` is its length so far."""

    def __init__(self):
        self.items, self.seconds = [], 0.0

    def play(self, units, fps, sound=True, stamp=lambda index, seconds: seconds):
        """`stamp` tells the time a camera claims for a picture, from its number here and its true time."""
        for index, unit in enumerate(units):
            at = self.seconds + index / fps
            self.items.append((at, "video", round(stamp(index, at) * 90000), unit))
        end = self.seconds + len(units) / fps
        for number in range(math.ceil(self.seconds * 1000 / _SPOKEN), math.ceil(end * 1000 / _SPOKEN)) if sound else ():
            at = number * _SPOKEN / 1000
            self.items.append((at, "audio", round(stamp(None, at) * 8000), _TONE))
        self.seconds = end
        return self


class RoughCamera:
    """`rough_camera.py` as a process."""

    def __init__(self, folder, programme, name="Rough"):
        self.name, self.out = unique(name), folder / f"{name}.out"
        self._file = folder / f"{name}.programme"
        self._file.write_bytes(pickle.dumps(sorted(programme.items, key=lambda item: item[0])))

    async def __aenter__(self):
        with self.out.open("wb") as out:
            self.process = subprocess.Popen([sys.executable, str(_HERE / "rough_camera.py"), str(self._file)],
                                            stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={**os.environ})
        await wait.until(lambda: self._said("port"), 15, lambda: f"rough camera\n{self.out.read_text()}")
        return self

    async def __aexit__(self, *_):
        self.process.kill()
        self.process.wait()
        self._file.unlink()

    def camera(self, **more):
        port = self._said("port")[0]
        return {"name": self.name, "source": f"rtsp://127.0.0.1:{port}/cam", "rtsp_transport": "tcp", **more}

    def plays(self):
        """When it was asked for its picture, by the time of day."""
        return self._said("at")

    def _said(self, key):
        assert self.process.poll() is None, self.out.read_text()
        lines = [json.loads(line) for line in self.out.read_text().splitlines() if line.endswith("}")]
        return [line[key] for line in lines if key in line]
