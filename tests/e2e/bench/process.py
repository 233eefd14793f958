"""What processes cost, read from the kernel, and samples of several of them over the same seconds."""

import asyncio
import pathlib
import subprocess
import time


def cpu_seconds(pid):
    """Of all threads, to the nanosecond; threads that end within a sample are lost to it."""
    return sum(thread_seconds(pid).values())


def thread_seconds(pid):
    found = {}
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            found[task.name] = int((task / "schedstat").read_text().split()[0]) / 1e9
        except (FileNotFoundError, ProcessLookupError):
            continue
    return found


def threads(pid):
    return len(list(pathlib.Path(f"/proc/{pid}/task").iterdir()))


def memory(pid):
    """{"rss", "pss", "private"} in MiB: everything, its fair share, and what is this process's alone."""
    rollup = {}
    for line in pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        key, value, *_ = line.split()
        rollup[key.rstrip(":")] = int(value) / 1024
    private = rollup["Private_Clean"] + rollup["Private_Dirty"]
    return {"rss": rollup["Rss"], "pss": rollup["Pss"], "private": private}


async def cpu_shares(pids, samples, seconds):
    """Percent of one core: a list per name of `pids`, one value per sample, all over the same windows."""
    shares = {name: [] for name in pids}
    for _ in range(samples):
        before, begun = {name: cpu_seconds(pid) for name, pid in pids.items()}, time.monotonic()
        await asyncio.sleep(seconds)
        spent = time.monotonic() - begun
        for name, pid in pids.items():
            shares[name].append((cpu_seconds(pid) - before[name]) / spent * 100)
    return shares


class Child:
    """A program that runs until the block ends, its output in a file."""

    def __init__(self, folder, name, command, env=None):
        self.name, self.command, self.env = name, command, env
        self.log = folder / f"{name}.log"

    async def __aenter__(self):
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, env=self.env)
        self.pid = self.process.pid
        return self

    async def __aexit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def still_runs(self):
        if self.process.poll() is not None:
            raise RuntimeError(f"{self.name} ended with {self.process.returncode}:\n{self.tail()}")

    def tail(self):
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-12:])
