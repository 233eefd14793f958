"""Cameras for the tests: configuration entries, and an RTSP server that can die and come back."""

import asyncio
import json
import os
import pathlib
import secrets as random
import signal
import subprocess
import time

from . import paths, secrets, wait

SETTLED = 6.0  # seconds; gst-rtsp-server's first RTCP comes within 5
_HERE = pathlib.Path(__file__).resolve().parents[1]


def unique(name):
    """Names differ from test to test, so that no mDNS cache confuses one with the next."""
    return f"{name} {random.token_hex(2).upper()}"


def pattern_camera(name="Pattern", **more):
    return {"name": unique(name), "source": "test", **more}


class RtspServer:
    """`rtsp_server.py` as a process: with a password, sound, and a record of what it sent."""

    def __init__(self, folder, **options):
        self.folder, self.options = pathlib.Path(folder), options
        self.user, self.password = "viewer", "pw" + random.token_hex(8)
        self.sent = self.folder / "sent.h264"
        self.port = 0
        self.process = None
        secrets.remember("RTSP password", self.password)

    @property
    def url(self):
        return f"rtsp://{self.user}:{self.password}@127.0.0.1:{self.port}/cam"

    def camera(self, name="Door", **more):
        return {"name": unique(name), "source": self.url, **more}

    async def __aenter__(self):
        await self.start()
        return self

    async def __aexit__(self, *_):
        self.kill()

    async def start(self):
        """On the port it had before, if it had one."""
        command = [paths.SYSTEM_PYTHON, str(_HERE / "rtsp_server.py"), "--port", str(self.port),
                   "--user", self.user, "--password", self.password, "--record", str(self.sent)]
        for key, value in self.options.items():
            command += [f"--{key}", str(value)]
        self.out = self.folder / "rtsp-server.out"
        at = self.out.stat().st_size if self.out.exists() else 0
        with self.out.open("ab") as out:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
                                            env={**os.environ, "PYTHONUNBUFFERED": "1"})
        await wait.until(lambda: self._read_port(at), 15, lambda: f"RTSP server\n{self.out.read_text()}")

    def _read_port(self, at):
        assert self.process.poll() is None, self.out.read_text()
        for line in self.out.read_text()[at:].splitlines():
            if line.startswith('{"port"'):
                self.port = json.loads(line)["port"]
                return True
        return False

    async def settle(self):
        """Waits until the camera's first sender report has come: then a receiver puts sound and picture in step."""
        await wait.until(self._plays, 20, "a client that plays")
        await asyncio.sleep(max(0.0, self._plays()[-1] + SETTLED - time.time()))

    def _plays(self):
        lines = self.out.read_text().splitlines()
        alive = max(i for i, line in enumerate(lines) if line.startswith('{"port"'))
        return [json.loads(line)["at"] for line in lines[alive:] if '"plays"' in line]

    def moments(self, kind):
        """With `moments=1`: running times at which a picture was inverted ("flip"), or a tone began ("beep")."""
        lines = [line for line in self.out.read_text().splitlines() if f'"{kind}"' in line]
        return [json.loads(line)[kind] for line in lines]

    def kill(self):
        """As a power cut would end it: nobody is told."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def freeze(self):
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self):
        self.process.send_signal(signal.SIGCONT)

    def sent_nals(self):
        """The bytes of every NAL unit the server's payloader got."""
        data, found, at = self.sent.read_bytes(), set(), 0
        starts = []
        while (at := data.find(b"\0\0\1", at)) >= 0:
            starts.append(at)
            at += 3
        for start, end in zip(starts, starts[1:] + [len(data)]):
            found.add(data[start + 3 : end].rstrip(b"\0"))
        return found


def make_file(path, seconds=3, width=640, height=360, fps=30):
    """An MP4 with H.264 and AAC, its ends not aligned."""
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"testsrc2=size={width}x{height}:rate={fps}",
         "-f", "lavfi", "-i", "sine=440:sample_rate=44100", "-t", str(seconds), "-c:v", "libx264", "-profile:v", "baseline",
         "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", str(fps), "-c:a", "aac", "-b:a", "64k", str(path)],
        check=True, timeout=60)
    return path
