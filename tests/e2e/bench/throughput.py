"""Packets per second of one core when nothing holds the sender back."""

import asyncio
import os
import socket
import subprocess
import threading

from . import clips, rivals
from .report import SPREAD, Report, median, ratio
from .viewers import Count, roomy

SIZE = 1200
SECONDS = 120  # of picture, sent as fast as it goes


async def run(options, folder):
    report = Report(f"throughput: packets of at most {SIZE} bytes per second of CPU, not paced")
    path = clips.busy().mp4(SECONDS // 2 if options.quick else SECONDS)
    source = rivals.file_source(path)
    unpaced = "sync=false" + (" pacing=0" if has_property("hapsrtpsink", "pacing") else "")
    kinds = {
        "own": lambda port: rivals.gst(source, rivals.own_sink(port, unpaced, SIZE)),
        "gst": lambda port: rivals.gst(source, rivals.stock_sink(port, mtu=SIZE)),
        "ffmpeg": lambda port: rivals.ffmpeg(path, [port], mtu=SIZE),
        "gst read": lambda _: rivals.gst(source, "! fakesink sync=false"),
        "ffmpeg read": lambda _: rivals.ffmpeg_null(path),
    }
    runs = {kind: [] for kind in kinds}
    for _ in range(options.samples):
        for kind, command in kinds.items():
            runs[kind].append(await asyncio.to_thread(Run, command))
    report.note(f"{os.path.getsize(path) >> 20} MiB of 1080p H.264 from a file through each in turn, {options.samples} times; "
                "CPU time of the whole process, and of it what is left without reading and parsing the file.")
    fill(report, runs)
    return report


def fill(report, runs):
    names = {"own": "gst-launch: h264parse!hapsrtpsink", "gst": "gst-launch: rtph264pay!srtpenc!udpsink",
             "ffmpeg": "ffmpeg -c copy -f rtp srtp://"}
    table = report.table("packets per CPU second", *SPREAD, "net of read", "own is", "us/packet net", "bytes/packet", "sent",
                         "not received")
    rates = {kind: [r.packets / r.cpu for r in runs[kind]] for kind in names}
    nets = {kind: [r.packets / (r.cpu - read.cpu) for r, read in zip(runs[kind], runs[_reader(kind)])] for kind in names}
    for kind, name in names.items():
        sent, lost = sum(r.packets for r in runs[kind]), sum(r.lost for r in runs[kind])
        table.samples(name, rates[kind], median(nets[kind]), median(ratio(nets["own"], nets[kind])),
                      1e6 / median(nets[kind]), sum(r.octets for r in runs[kind]) / max(1, sent - lost), sent, lost)
    reading = report.table("reading and parsing alone, CPU seconds", *SPREAD)
    for kind in ("gst read", "ffmpeg read"):
        reading.samples(kind, [r.cpu for r in runs[kind]])


def _reader(kind):
    return "ffmpeg read" if kind == "ffmpeg" else "gst read"


class Run:
    """One run of a command: what it sent, and the CPU seconds it took."""

    def __init__(self, command):
        with Collector() as collector:
            process = subprocess.Popen(command(collector.port), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE, env=rivals.gst_env())
            errors = process.stderr.read()
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = status
        if status:
            raise RuntimeError(f"{' '.join(command(0))}: {errors.decode(errors='replace')[-500:]}")
        self.cpu = usage.ru_utime + usage.ru_stime
        self.lost, self.octets = collector.count.lost, collector.count.octets
        self.packets = collector.count.packets + self.lost


class Collector:
    """A port that is read on a thread of its own until nothing has come for a moment."""

    def __init__(self):

        self.count = Count()
        self._socket = roomy(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._socket.bind(("127.0.0.1", 0))
        self._socket.settimeout(0.1)
        self.port = self._socket.getsockname()[1]
        self._end = False
        self._thread = threading.Thread(target=self._read)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_):
        self._end = True
        self._thread.join()
        self._socket.close()

    def _read(self):
        while True:
            try:
                self.count.feed(self._socket.recv(2048))
            except TimeoutError:
                if self._end:
                    return


def has_property(element, name):
    text = subprocess.run(["gst-inspect-1.0", element], capture_output=True, text=True, env=rivals.gst_env()).stdout
    return f"\n  {name} " in text
