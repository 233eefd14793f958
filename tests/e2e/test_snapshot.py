"""Snapshots: exact size, several at once, never in anybody's way."""

import asyncio
import io
import time

import pytest
from PIL import Image

from harness.cameras import pattern_camera
from harness.hapd import Hapd, config
from harness.view import paired

SIZES = [(640, 360), (1280, 720), (320, 240), (480, 270), (1920, 1080), (100, 75), (333, 211)]


def picture(answer):
    """Decodes the whole JPEG, not its header only."""
    assert answer.code == 200, (answer.code, bytes(answer.body)[:200])
    image = Image.open(io.BytesIO(bytes(answer.body)))
    image.load()
    assert image.format == "JPEG"
    return image


def shades(image):
    """How many different grey values: a placeholder or a picture, not one flat colour."""
    return len(set(image.convert("L").resize((64, 64)).tobytes()))


@pytest.mark.parametrize("width,height", SIZES)
async def test_snapshot_has_exactly_the_requested_size(folder, width, height):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        asked = time.monotonic()
        image = picture(await connection.snapshot(width, height))
        assert time.monotonic() - asked < 2.5
        assert image.size == (width, height) and shades(image) > 5


async def test_concurrent_snapshots_from_several_connections(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (home, first):
        connections = [first] + [await home.connect(first.data) for _ in range(5)]
        picture(await first.snapshot(640, 360))
        asked = time.monotonic()
        answers = await asyncio.gather(*[c.snapshot(*size) for c, size in zip(connections, SIZES)])
        assert time.monotonic() - asked < 4
        assert [picture(a).size for a in answers] == SIZES[:6]
        answers = await asyncio.gather(*[c.snapshot(640, 360, reason=i % 2) for i, c in enumerate(connections)])
        assert [picture(a).size for a in answers] == [(640, 360)] * 6


async def test_snapshot_goes_on_while_others_read(folder):
    """Other connections are answered while snapshots are made."""
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (home, first):
        second = await home.connect(first.data)
        await second.database()

        async def read():
            slowest = 0.0
            for _ in range(30):
                asked = time.monotonic()
                await second.get(2)
                slowest = max(slowest, time.monotonic() - asked)
            return slowest

        slowest, *pictures = await asyncio.gather(read(), *[first.snapshot(1920, 1080) for _ in range(3)])
        assert all(picture(p).size == (1920, 1080) for p in pictures)
        assert slowest < 0.5, f"a read took {slowest:.2f} s beside snapshots"


async def test_two_snapshots_show_a_moving_picture(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        early = picture(await connection.snapshot(640, 360))
        for _ in range(20):
            await asyncio.sleep(0.5)
            late = picture(await connection.snapshot(640, 360))
            if late.tobytes() != early.tobytes():
                return
        raise AssertionError("the snapshot is the same after 10 s")


@pytest.mark.parametrize("body,code", [
    ({"image-width": 640, "image-height": 360, "resource-type": "sound", "aid": 1}, 404),
    ({"image-width": 640, "image-height": 360, "resource-type": "image", "aid": 77}, 404),
    ({"image-width": 640, "resource-type": "image"}, 400),
    ({"image-width": 0, "image-height": 0, "resource-type": "image"}, 400),
    ({"image-width": 10**9, "image-height": 10**9, "resource-type": "image"}, 400),
])
async def test_bad_snapshot_requests_are_refused_and_harmless(folder, body, code):
    import json
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        answered, _ = await connection.raw("POST", "/resource", json.dumps(body).encode())
        assert answered == code or code == 400 and answered in (207, 422)
        assert picture(await connection.snapshot(320, 240)).size == (320, 240)
