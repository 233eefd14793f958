"""Every launch file of the repository runs as a person would paste it, and what it sends can be decrypted."""

import asyncio
import os
import re
import shlex
import socket
import subprocess

import pytest

from harness import paths, srtp, wait
from harness.cameras import RtspServer, make_file

PRESETS = sorted((paths.ROOT / "pipelines" / "presets").glob("*.launch"))
KEY = re.compile(r"\bkey=([0-9A-Fa-f]+)")


def runnable(text):
    return "gst-launch-1.0" in text


class Viewer:
    """A UDP port in place of one `port=N`, with the key that belongs to it."""

    def __init__(self, key):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.context = srtp.Context(key[:16], key[16:])
        self.packets = 0

    @property
    def port(self):
        return self.socket.getsockname()[1]

    def read(self):
        try:
            while True:
                data = self.socket.recv(2048)
                if srtp.is_rtcp(data):
                    self.context.unprotect_rtcp(data)
                else:
                    self.context.unprotect_rtp(data)
                    self.packets += 1
        except BlockingIOError:
            return self.packets >= 30


def with_viewers(launch):
    """The launch line with free ports, and who listens there."""
    viewers = []

    def replace(match):
        viewers.append(Viewer(bytes.fromhex(KEY.search(launch, match.end()).group(1))))
        return f"port={viewers[-1].port}"

    return re.sub(r"\bport=\d+", replace, launch), viewers


@pytest.mark.needs("gst-launch-1.0", "ffmpeg")
@pytest.mark.parametrize("preset", PRESETS, ids=lambda p: p.stem)
async def test_launch_file_runs(folder, preset):
    text = preset.read_text()
    launch = " ".join(line for line in text.splitlines() if not line.startswith("#"))
    if not runnable(text):
        assert "hapd" in text, "neither for gst-launch-1.0 nor for hapd"
        return  # test_rtsp.py gives it to hapd
    if device := re.search(r"device=(\S+)", launch):
        if not os.path.exists(device.group(1)):
            pytest.skip(f"no {device.group(1)} here")
    if "camera.mp4" in launch:
        make_file(folder / "camera.mp4")
    if rtsp := re.search(r"rtsp://[^\s\"]+", launch):
        async with RtspServer(folder, sound="none") as server:
            await run(launch.replace(rtsp.group(), server.url), folder)
    else:
        await run(launch, folder)


async def run(launch, folder):
    line, viewers = with_viewers(launch)
    speaks = "hapmotion" in line  # what it found is in a message
    log = folder / "gst-launch.log"
    env = {**os.environ, "GST_PLUGIN_PATH": str(paths.TARGET / "release"), "GST_REGISTRY": str(folder / "registry")}
    with log.open("wb") as out:
        command = ["gst-launch-1.0", *["-m"] * speaks, *shlex.split(line)]
        process = subprocess.Popen(command, cwd=folder, env=env, stdout=out, stderr=out)
    try:
        if viewers:
            await wait.until(lambda: all([v.read() for v in viewers]), 20,
                             lambda: f"{[v.packets for v in viewers]} packets\n{log.read_text()}")
            assert process.poll() is None, log.read_text()
        else:
            await wait.until(lambda: process.poll() is not None, 20, lambda: log.read_text())
            assert process.returncode == 0, log.read_text()
            written = [p for p in folder.iterdir() if p.suffix in (".jpg", ".mp4") and p.name != "camera.mp4"]
            assert "motion=(boolean)true" in log.read_text() if speaks else written
            assert all(p.stat().st_size for p in written)
            for path in written:
                check = subprocess.run(["ffmpeg", "-v", "warning", "-xerror", "-i", path, "-f", "null", "-"],
                                       stderr=subprocess.PIPE, text=True, timeout=60)
                assert check.returncode == 0 and not check.stderr, check.stderr
    finally:
        if process.poll() is None:
            process.terminate()
            await asyncio.to_thread(process.wait, 10)
    assert "ERROR" not in log.read_text() and "CRITICAL" not in log.read_text(), log.read_text()
