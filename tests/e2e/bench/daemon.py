"""hapd at an RTSP camera, with viewers."""

import contextlib

from harness import wait
from harness.cameras import RtspServer
from harness.hapd import Hapd, config
from harness.stream import Want
from harness.view import paired

from .viewers import Viewer

ENV = {"HAPD_LOG": "info"}
WANT = Want(1920, 1080, 30, kbps=8000, profile=2, level=2, audio=False)
MOST_VIEWERS = 10


def rtsp(folder, clip):
    folder.mkdir(parents=True, exist_ok=True)
    return RtspServer(folder, sound="none", clip=clip.annexb)


@contextlib.asynccontextmanager
async def running(folder, *cameras):
    """A daemon that has started; nothing is known of its cameras yet."""
    folder.mkdir(parents=True, exist_ok=True)
    async with Hapd(folder, config(*cameras), env=ENV) as hapd:
        yield hapd


@contextlib.asynccontextmanager
async def watched(folder, server, viewers, receiver=Viewer):
    """(hapd, streams): one camera, and that many viewers that have had their first packet."""
    camera = server.camera(audio=False, max_streams=MOST_VIEWERS)
    async with running(folder, camera) as hapd, paired(hapd) as (home, connection), contextlib.AsyncExitStack() as open:
        streams = []
        for number in range(viewers):
            if number:
                connection = await home.connect(connection.data)
            service = (await connection.services("110"))[number]
            stream = await open.enter_async_context(receiver(connection, service, WANT))
            await begin(stream)
            open.push_async_callback(stream.end)
            streams.append(stream)
        yield hapd, streams


async def begin(stream):
    assert await stream.setup() == 0, "Setup Endpoints"
    assert await stream.start() == 0, "Start"
    await wait.until(lambda: stream.count.packets, 15, "packets from hapd")


async def connected(server, clients):
    """Waits until that many clients play the camera's stream."""
    await wait.until(lambda: server.out.read_text().count('"plays"') >= clients, 40, f"{clients} clients at the camera")
