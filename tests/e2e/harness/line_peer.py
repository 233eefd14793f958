"""A program that is given commands and answers by lines of JSON."""

import asyncio
import json


class LinePeer:
    """`async with LinePeer(folder / "x.log", "program", ...) as peer: await peer(do="something")`"""

    def __init__(self, log, *command, env=None):
        self.log, self.command, self.env = log, [str(part) for part in command], env

    async def __aenter__(self):
        self.errors = self.log.open("ab")
        self.process = await asyncio.create_subprocess_exec(
            *self.command, env=self.env, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
            stderr=self.errors, limit=1 << 24)
        return self

    async def __aexit__(self, *_):
        self.process.stdin.close()
        try:
            await asyncio.wait_for(self.process.wait(), 10)
        except asyncio.TimeoutError:
            self.process.kill()
            await self.process.wait()
        self.errors.close()

    async def __call__(self, **command):
        """The answer to one command."""
        return (await self.all([command]))[0]

    async def all(self, commands):
        """The answers to many commands, all written before the first answer is read."""
        lines = "".join(json.dumps(command) + "\n" for command in commands)

        async def write():
            self.process.stdin.write(lines.encode())
            await self.process.stdin.drain()

        writing = asyncio.create_task(write())
        answers = [await self.line() for _ in commands]
        await writing
        return answers

    async def line(self, seconds=30):
        """The next line it says."""
        line = await asyncio.wait_for(self.process.stdout.readline(), seconds)
        assert line, f"{self.command[0]} has ended, see {self.log}"
        return json.loads(line)
