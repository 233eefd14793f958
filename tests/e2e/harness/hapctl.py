"""`hapctl` as a person would call it, with a store of its own."""

import asyncio
import json
import os

from . import paths


class Hapctl:
    def __init__(self, folder, wrap=lambda *command: command):
        """`wrap` makes another command line of it."""
        self.store, self.log, self.wrap = folder / "store", folder / "hapctl.log", wrap

    def command(self, *arguments):
        return self.wrap(str(paths.HAPCTL), "--store", str(self.store), *arguments)

    async def __call__(self, *arguments, check=True, timeout=60):
        process = await asyncio.create_subprocess_exec(
            *self.command(*arguments), stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE, env={**os.environ, "RUST_LOG": "debug"})
        out, error = await asyncio.wait_for(process.communicate(), timeout)
        with self.log.open("ab") as log:
            log.write(error)
        assert not check or process.returncode == 0, f"hapctl {arguments}: {error.decode()}\n{out.decode()}"
        return process.returncode, out.decode(), error.decode()

    async def json(self, *arguments, **more):
        return json.loads((await self(*arguments, "--json", **more))[1])


async def paired(hapd, folder, alias="cam", host="127.0.0.1", **more):
    (entry,) = hapd.pairing_info().values()
    hapctl = Hapctl(folder, **more)
    await hapctl("pair", "--address", f"{host}:{entry['port']}", "--code", entry["setup_code"], "--alias", alias)
    return hapctl
