"""A camera that somebody switched off by hand stays off, whatever happens to the daemon."""

from harness import wait
from harness.cameras import pattern_camera
from harness.hapd import Hapd, config
from harness.view import paired

NOT_ALLOWED = -70412


async def test_commands_reach_a_daemon_whose_state_lies_deep(folder):
    deep = folder / ("d" * 60) / ("e" * 60)
    deep.mkdir(parents=True)
    camera = pattern_camera(privacy_switch=True)
    async with Hapd(deep, config(camera)) as hapd:
        assert "privacy on" in hapd.trigger(camera["name"], "privacy", "on")


async def test_the_privacy_switch_outlives_a_restart(folder):
    camera = pattern_camera(privacy_switch=True)
    async with Hapd(folder, config(camera)) as hapd:
        async with paired(hapd) as (home, connection):
            assert len((await connection.snapshot(640, 360)).body) > 1000
            hapd.trigger(camera["name"], "privacy", "on")
            await wait.until(lambda: '"privacy": true' in next(hapd.state.glob("cameras/*.json")).read_text(), 5, "the saved switch")
            data = connection.data
        hapd.kill()
        await hapd.start()
        connection = await home.connect(data)
        code, body = await connection.raw(
            "POST", "/resource", b'{"aid":1,"resource-type":"image","image-width":640,"image-height":360}')
        assert code == 207 and str(NOT_ALLOWED).encode() in body, (code, body)
        hapd.trigger(camera["name"], "privacy", "off")
        await wait.until(lambda: '"privacy": false' in next(hapd.state.glob("cameras/*.json")).read_text(), 5, "the saved switch")
        assert len((await connection.snapshot(640, 360)).body) > 1000
