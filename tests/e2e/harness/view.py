"""The steps most media tests share: pair, take a stream management service, watch with ffmpeg beside."""

import contextlib

from . import ffmpeg
from .home import Home
from .stream import Stream


@contextlib.asynccontextmanager
async def paired(hapd, name=None):
    """(home, connection) of a fresh pairing with the camera `name`, or with the only one."""
    cameras = hapd.pairing_info()
    entry = cameras[name] if name else next(iter(cameras.values()))
    async with Home() as home:
        yield home, await home.pair(entry["device_id"], entry["setup_code"])


@contextlib.asynccontextmanager
async def view(connection, folder, want, slot=0, host="127.0.0.1", name="ffmpeg"):
    """A started stream, with ffmpeg receiving what it sends: (stream, receiver)."""
    service = (await connection.services("110"))[slot]
    async with Stream(connection, service, want, host) as stream:
        assert await stream.setup() == 0, "Setup Endpoints"
        async with ffmpeg.Receiver(stream, folder, name) as receiver:
            assert await stream.start() == 0, "Start"
            await stream.first_packets()
            yield stream, receiver


async def finish(stream, receiver):
    """End, BYE, and everybody's verdict."""
    assert await stream.end() == 0
    await stream.bye()
    assert await stream.status() == 0
    stream.check()
    await receiver.finish()
