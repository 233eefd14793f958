"""hapd beside ffmpeg: the same camera, the same two copies, at the same time. See scripts/compare."""

import argparse
import asyncio
import base64
import os
import pathlib
import socket
import statistics
import subprocess
import time

from harness import paths, srtp, wait
from harness.cameras import RtspServer
from harness.hapd import Hapd, config
from harness.stream import Stream, Want
from harness.view import paired

SETTLE = 5


def rss_kib(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise RuntimeError(f"process {pid} is gone")


def cpu_seconds(pid):
    """Of all threads, to the nanosecond; threads that end within a sample are lost to it."""
    tasks = pathlib.Path(f"/proc/{pid}/task").glob("*/schedstat")
    return sum(int(task.read_text().split()[0]) for task in tasks) / 1e9


class Sink:
    """A UDP port that counts what it gets."""

    def __init__(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port, self.packets = self.socket.getsockname()[1], 0
        asyncio.get_running_loop().add_reader(self.socket, self._read)

    def _read(self):
        try:
            while data := self.socket.recv(2048):
                self.packets += not srtp.is_rtcp(data)
        except BlockingIOError:
            return


def ffmpeg_copy(url, ports, log):
    """One ffmpeg, one input, an SRTP output per viewer."""
    command = ["ffmpeg", "-hide_banner", "-nostdin", "-v", "error", "-rtsp_transport", "tcp", "-i", url]
    for port in ports:
        key = base64.b64encode(os.urandom(30)).decode()
        command += ["-map", "0:v", "-c", "copy", "-payload_type", "99", "-f", "rtp",
                    "-srtp_out_suite", "AES_CM_128_HMAC_SHA1_80", "-srtp_out_params", key,
                    f"srtp://127.0.0.1:{port}?pkt_size=1378"]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=log)


async def sample(pids, seconds):
    """(resident KiB, share of one core) of each process over `seconds`."""
    before, begun = [cpu_seconds(pid) for pid in pids], time.monotonic()
    await asyncio.sleep(seconds)
    spent = time.monotonic() - begun
    return [(rss_kib(pid), (cpu_seconds(pid) - b) / spent) for pid, b in zip(pids, before)]


async def measure(options, folder):
    width, height = map(int, options.size.split("x"))
    async with RtspServer(folder, sound="none", size=options.size, kbps=options.kbps) as server:
        camera = server.camera(audio=False)
        async with Hapd(folder, config(camera), env={"HAPD_LOG": "info"}) as hapd, paired(hapd) as (home, first):
            await wait.until(lambda: '"plays"' in server.out.read_text(), 20, "hapd at the camera")
            second = await home.connect(first.data)
            want = Want(width, height, 30, kbps=2 * options.kbps, audio=False)
            streams = [Stream(c, (await c.services("110"))[i], want) for i, c in enumerate((first, second))]
            sinks = [Sink(), Sink()]
            async with streams[0] as one, streams[1] as two:
                for stream in (one, two):
                    assert await stream.setup() == 0 and await stream.start() == 0
                    await wait.until(lambda s=stream: s.video.packets, 10, "packets from hapd")
                with (folder / "ffmpeg.log").open("wb") as log:
                    copy = ffmpeg_copy(server.url, [s.port for s in sinks], log)
                try:
                    await wait.until(lambda: all(s.packets for s in sinks), 15, "packets from ffmpeg")
                    await asyncio.sleep(SETTLE)
                    counts = packets(one, two, sinks)
                    samples = []
                    for _ in range(options.samples):
                        samples.append(await sample([hapd.process.pid, copy.pid], options.seconds))
                    sent = [b - a for a, b in zip(counts, packets(one, two, sinks))]
                    lost = one.video.lost() + two.video.lost()
                finally:
                    copy.kill()
                    copy.wait()
                for stream in (one, two):
                    await stream.end()
    return samples, sent, lost


def packets(one, two, sinks):
    return [len(one.video.packets) + len(two.video.packets), sum(s.packets for s in sinks)]


def table(samples, sent, lost, options):
    columns = list(zip(*samples))
    rss = [[value for value, _ in column] for column in columns]
    cpu = [[share * 100 for _, share in column] for column in columns]
    ratios = [[a / b if b else float("nan") for a, b in zip(*pair)] for pair in (rss, cpu)]
    seconds = options.samples * options.seconds
    print(f"{options.size} at 30/s, {options.kbps} kbit/s, H.264 copied to two SRTP viewers; "
          f"{options.samples} samples of {options.seconds:g} s, both at the same time")
    print(f"{'':<26}{'hapd':>12}{'ffmpeg':>12}{'ratio':>9}")
    row("resident memory, MiB", [statistics.median(r) / 1024 for r in rss], statistics.median(ratios[0]))
    row("  highest sample", [max(r) / 1024 for r in rss], max(rss[0]) / max(rss[1]))
    row("CPU, % of one core", [statistics.median(c) for c in cpu], statistics.median(ratios[1]))
    row("  highest sample", [max(c) for c in cpu], max(cpu[0]) / max(cpu[1]) if max(cpu[1]) else float("nan"))
    row("packets per second", [n / seconds for n in sent], sent[0] / sent[1])
    print(f"lost by hapd's viewers: {lost}")


def row(name, values, ratio):
    print(f"{name:<26}{values[0]:>12.2f}{values[1]:>12.2f}{ratio:>9.2f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--samples", type=int, default=10)
    parser.add_argument("--seconds", type=float, default=3.0)
    parser.add_argument("--size", default="1280x720")
    parser.add_argument("--kbps", type=int, default=2000)
    options = parser.parse_args()
    table(*asyncio.run(measure(options, paths.folder("run"))), options)


main()
