"""The contract of hapctl, against hapd."""

import asyncio
import itertools
import json

import pytest
from PIL import Image

from harness import ffmpeg
from harness.cameras import RtspServer, pattern_camera
from harness.hapctl import Hapctl, paired
from harness.hapd import Hapd, config

VIDEO = {"codec", "width", "height", "packets", "bytes", "lost", "ssrc", "payload_type", "key_frames", "first_packet_ms",
         "first_key_frame_ms", "sender_reports", "bitrate_kbps"}


def check_view(answer, folder, want_first_key_frame=True):
    video, audio = answer["video"], answer["audio"]
    assert VIDEO <= set(video), VIDEO - set(video)
    assert VIDEO - {"width", "height", "key_frames", "first_key_frame_ms"} <= set(audio), audio
    assert video["lost"] == audio["lost"] == 0
    assert video["packets"] > 50 and audio["packets"] > 50 and video["key_frames"] >= 1
    assert video["payload_type"] == 99 and audio["payload_type"] == 110
    assert video["sender_reports"] >= 2 and audio["sender_reports"] >= 1
    assert video["first_key_frame_ms"] < 300, f"first key frame after {video['first_key_frame_ms']} ms"
    assert ffmpeg.decode_file(folder / "v.h264") == ""
    assert ffmpeg.decode_file(folder / "a.ogg") == ""


@pytest.mark.needs("ffmpeg")
async def test_view_of_the_test_picture(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd:
        hapctl = await paired(hapd, folder)
        await hapctl("snapshot", "cam", "--output", str(folder / "warm.jpg"), check=False)
        answer = await hapctl.json("view", "cam", "--seconds", "5", "--video", str(folder / "v.h264"),
                                   "--audio", str(folder / "a.ogg"))
        check_view(answer, folder)


@pytest.mark.needs("ffmpeg")
async def test_view_of_an_rtsp_camera(folder):
    async with RtspServer(folder) as server, Hapd(folder, config(server.camera())) as hapd:
        hapctl = await paired(hapd, folder)
        await server.settle()
        answer = await hapctl.json("view", "cam", "--seconds", "5", "--video", str(folder / "v.h264"),
                                   "--audio", str(folder / "a.ogg"))
        check_view(answer, folder)
        assert (answer["video"]["width"], answer["video"]["height"]) == (1280, 720)


async def test_pair_read_write_picture_unpair(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd:
        hapctl = await paired(hapd, folder)
        (entry,) = hapd.pairing_info().values()
        assert entry["paired"] is True
        assert "110" in json.dumps(await hapctl.json("accessories", "cam"))
        statuses = (await hapctl.json("get", "cam", "streaming-status"))["characteristics"]
        assert [c["value"] for c in statuses] == ["AQEA", "AQEA"]
        picture = await hapctl.json("snapshot", "cam", "--size", "480x270", "--output", str(folder / "p.jpg"))
        assert (picture["width"], picture["height"]) == (480, 270) == Image.open(folder / "p.jpg").size
        active = "camera-rtp-stream-management#1/active"
        assert (await hapctl.json("put", "cam", f"{active}=0"))["ok"] is True
        assert (await hapctl.json("get", "cam", active))["characteristics"][0]["value"] == 0
        status, _, error = await hapctl("put", "cam", "name=x", "--json", check=False)
        assert status != 0 and json.loads(error.strip().splitlines()[-1])["error"]
        await hapctl("unpair", "cam")
        assert next(iter(hapd.pairing_info().values()))["paired"] is False


async def test_discover_finds_the_camera_and_its_state(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd:
        (entry,) = hapd.pairing_info().values()
        found = json.dumps(await Hapctl(folder).json("discover", "--wait", entry["name"]))
        assert entry["device_id"] in found and str(entry["port"]) in found


async def test_watch_prints_the_event_of_another_controller(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd:
        hapctl = await paired(hapd, folder)
        second = Hapctl(folder)
        second.store = folder / "second"
        await hapctl("pairings", "cam", "share", str(second.store), "--admin")
        active = "camera-rtp-stream-management#1/active"
        watch = asyncio.create_task(second("watch", "cam", active, "--count", "1", "--seconds", "20", "--json"))
        for value in itertools.cycle("01"):
            await hapctl("put", "cam", f"{active}={value}")
            if (await asyncio.wait([watch], timeout=0.3))[0]:
                break
        _, out, _ = await watch
        event = json.loads(out.splitlines()[0])
        assert event["value"] in (0, 1) and event["iid"]


async def test_wrong_code_is_an_error_that_says_so(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd:
        (entry,) = hapd.pairing_info().values()
        wrong = "031-45-154" if entry["setup_code"] != "031-45-154" else "031-45-155"
        status, _, error = await Hapctl(folder)("pair", "--address", f"127.0.0.1:{entry['port']}", "--code", wrong,
                                                "--alias", "cam", check=False)
        assert status not in (0, 101) and error.strip()


@pytest.mark.parametrize("command", ["discover", "pair", "accessories", "get", "put", "watch", "snapshot", "view",
                                     "unpair"])
async def test_help_of_every_command(folder, command):
    _, out, _ = await Hapctl(folder)(command, "--help")
    assert "--json" in out and len(out.splitlines()) > 5
