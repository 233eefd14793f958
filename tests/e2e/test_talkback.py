"""What a viewer says comes out of the camera's loudspeaker: here a file of raw samples."""

import array
import asyncio
import struct
import subprocess

import pytest

from harness import srtp
from harness.cameras import pattern_camera
from harness.hapctl import paired as hapctl_paired
from harness.hapd import Hapd, config
from harness.stream import AUDIO_PT, Want
from harness.view import paired
from test_feedback import watched

pytestmark = pytest.mark.needs("ffmpeg")
RATE, TONE = 48000, 440


def speaking_camera(folder):
    sink = (f"audioconvert ! audioresample ! audio/x-raw,format=S16LE,rate={RATE},channels=1 ! "
            f"filesink buffer-mode=unbuffered location={folder}/heard.raw")
    return pattern_camera(talkback=f"launch:{sink}")


def tone(folder, seconds=5):
    path = folder / "tone.ogg"
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"sine={TONE}:sample_rate=48000:duration={seconds}",
                    "-af", "volume=4", "-c:a", "libopus", "-ac", "1", "-b:a", "24k", "-frame_duration", "20", str(path)],
                   check=True, timeout=60)
    return path


def heard(folder):
    samples = array.array("h")
    path = folder / "heard.raw"
    data = path.read_bytes() if path.exists() else b""
    samples.frombytes(data[: len(data) // 2 * 2])
    return samples


def loud_parts(samples, part=RATE // 10):
    """Of each tenth of a second: (frequency by its zero crossings, root mean square)."""
    found = []
    for at in range(0, len(samples) - part, part):
        window = samples[at : at + part]
        crossings = sum(1 for a, b in zip(window, window[1:]) if (a < 0) != (b < 0))
        found.append((crossings / 2 / (part / RATE), (sum(s * s for s in window) / part) ** 0.5))
    return found


async def talk(hapctl, folder, *more, seconds=8):
    return await hapctl.json("view", "cam", "--seconds", str(seconds), "--size", "320x240", "--talk", str(tone(folder)),
                             "--talk-at", "1", *more)


@pytest.mark.parametrize("rate,packet_time", [(16, 20), (24, 60)])
async def test_a_tone_is_heard_as_it_was_said(folder, rate, packet_time):
    async with Hapd(folder, config(speaking_camera(folder))) as hapd:
        hapctl = await hapctl_paired(hapd, folder)
        answer = await talk(hapctl, folder, "--audio-rate", str(rate), "--packet-time", str(packet_time))
    parts = loud_parts(heard(folder))
    tones = [(f, rms) for f, rms in parts if rms > 500]
    assert 4.5 <= len(tones) / 10 <= 5.5, f"{len(tones) / 10} s of a tone of 5 s, of {len(parts) / 10} s"
    right = [f for f, _ in tones if abs(f - TONE) <= 10]
    assert len(right) >= 0.95 * len(tones), sorted(f for f, _ in tones)
    audio = answer["audio"]
    assert 0 <= audio["talked_packets"] - 5000 // packet_time <= 1, audio["talked_packets"]
    assert audio["sender_reports_sent"] >= 1 and audio["rtt_ms"]["median"] < 50, audio
    assert audio["lost"] == 0 and audio["packets"] > 50, "it goes both ways"


async def test_mute_silences_and_volume_lowers(folder):
    async with Hapd(folder, config(speaking_camera(folder))) as hapd:
        hapctl = await hapctl_paired(hapd, folder)
        talking = asyncio.create_task(talk(hapctl, folder))
        await asyncio.sleep(3)
        await hapctl("put", "cam", "speaker/volume=25")
        await asyncio.sleep(1.3)
        await hapctl("put", "cam", "speaker/mute=true")
        await talking
    levels = [rms for _, rms in loud_parts(heard(folder))]
    loudest = max(levels)
    full, soft = (sum(1 for level in levels if a * loudest < level <= b * loudest) for a, b in ((0.8, 1), (0.05, 0.6)))
    silent = sum(1 for level in levels[-10:] if level < 20)
    assert full >= 5 and soft >= 5 and silent >= 5, [round(level) for level in levels]


async def test_a_stranger_is_not_heard(folder):
    """Opus with another key, another source or another payload type."""
    async with Hapd(folder, config(speaking_camera(folder))) as hapd, paired(hapd) as (_, connection):
        async with watched(connection, Want(320, 240, 30, kbps=132)) as stream:
            audio, ours = stream.audio, stream.our_ssrcs[1]
            own, foreign = srtp.Context(*stream.our_keys[1]), srtp.Context(bytes(16), bytes(14))
            for n in range(50):
                for context, payload_type, ssrc in ((foreign, AUDIO_PT, ours), (own, 99, ours), (own, AUDIO_PT, ours ^ 1)):
                    packet = struct.pack("!BBHII", 0x80, payload_type, n, 320 * n, ssrc) + b"\x48" + bytes(range(40))
                    audio.transport.sendto(context.protect_rtp(packet), audio.remote)
                await asyncio.sleep(0.02)
        assert not heard(folder)
