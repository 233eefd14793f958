"""`hapctl hub` as the home hub of a camera that records."""

import asyncio
import contextlib
import json

from . import wait


class Hub:
    """A running hub; `clips` fills as recordings end."""

    def __init__(self, process, folder):
        self.process, self.folder, self.clips, self.log = process, folder, [], []

    async def _follow(self):
        async for line in self.process.stdout:
            self.clips.append(json.loads(line))

    async def _listen(self):
        with (self.folder / "hub.log").open("ab") as log:
            async for line in self.process.stderr:
                self.log.append(line.decode(errors="replace"))
                log.write(line)

    async def clip(self, count=1, seconds=60):
        await wait.until(lambda: len(self.clips) >= count or self.process.returncode is not None, seconds, self.tail, 0.05)
        assert len(self.clips) >= count, self.tail()
        return self.clips[count - 1]

    def tail(self):
        return f"{len(self.clips)} clips\n" + "".join(self.log[-30:])

    async def ended(self, seconds=30):
        return await asyncio.wait_for(self.process.wait(), seconds)


@contextlib.asynccontextmanager
async def hub(hapctl, *arguments, name="cam", clips="clips"):
    folder = hapctl.store.parent
    (folder / clips).mkdir(exist_ok=True)
    process = await asyncio.create_subprocess_exec(
        *hapctl.command("hub", name, "--clips", str(folder / clips), "--json", *arguments), stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, limit=1 << 24)
    hub = Hub(process, folder)
    tasks = [asyncio.create_task(hub._follow()), asyncio.create_task(hub._listen())]
    try:
        yield hub
    finally:
        if process.returncode is None:
            process.terminate()
            with contextlib.suppress(asyncio.TimeoutError):
                await asyncio.wait_for(process.wait(), 10)
        if process.returncode is None:
            process.kill()
        await asyncio.gather(*tasks)


async def armed(hapd, seconds=20):
    """Waits until the daemon keeps the past."""
    await wait.until(lambda: "armed=true" in hapd.log.read_text(), seconds, lambda: f"armed\n{hapd.tail()}")
