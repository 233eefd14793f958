"""What a press of the doorbell shows: that moment, not the last key frame before it."""

import asyncio
import io

import pytest
from PIL import Image, ImageStat

from harness import lipsync, wait
from harness.cameras import RtspServer
from harness.hapd import Hapd, config
from harness.view import paired

pytestmark = pytest.mark.needs("/usr/bin/python3")


async def after_the_next_flip(server):
    """Half a second after the camera's picture was inverted."""
    before = len(server.moments("flip"))
    await wait.until(lambda: len(server.moments("flip")) > before, 6, "an inverted picture", 0.01)
    await asyncio.sleep(0.5)


async def test_the_snapshot_of_a_press_shows_that_moment(folder):
    options = {"size": "640x360", "pattern": lipsync.BALL, "fps": lipsync.FPS, "gop": 10 * lipsync.FPS, "moments": 1}
    async with RtspServer(folder, **options) as server:
        camera = server.camera(doorbell=True)
        async with Hapd(folder, config(camera)) as hapd, paired(hapd) as (_, home):
            await server.settle()
            shades = []
            for _ in range(4):
                await after_the_next_flip(server)
                hapd.trigger(camera["name"], "ring")
                picture = await home.snapshot(640, 360, reason=1)
                shades.append(ImageStat.Stat(Image.open(io.BytesIO(picture.body)).convert("L")).mean[0] > 128)
    # Inverted from press to press, although there is a key frame every ten seconds only.
    assert shades in ([True, False] * 2, [False, True] * 2), shades
