"""Recorded clips, as readers see them that know nothing of us: ffmpeg, ffprobe and GStreamer's qtdemux."""

import array
import json
import os
import re
import subprocess

from . import lipsync


def probe(path):
    """What ffprobe says of the file; a single warning is one too many."""
    done = subprocess.run(["ffprobe", "-v", "warning", "-show_streams", "-show_format", "-show_packets", "-of", "json", str(path)],
                          capture_output=True, text=True, timeout=60)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr
    found = json.loads(done.stdout)
    return {stream["codec_type"]: stream for stream in found["streams"]}, found["packets"]


def decode(path):
    """Decodes all of it, strictly; by the file's own clock, as that of an average frame rate is too coarse for every frame."""
    done = subprocess.run(["ffmpeg", "-hide_banner", "-nostdin", "-v", "warning", "-xerror", "-err_detect",
                           "explode+crccheck+bitstream+buffer", "-i", str(path), "-fps_mode", "passthrough",
                           "-enc_time_base", "-1", "-f", "null", "-"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and not done.stderr.strip(), done.stderr


def demux(path):
    """GStreamer reads all of it; its demuxer has nothing to complain about."""
    command = ["gst-launch-1.0", "-q", "filesrc", f"location={path}", "!", "qtdemux", "name=d"]
    kinds = probe(path)[0]
    command += ["d.video_0", "!", "queue", "!", "decodebin", "!", "fakesink"]
    if "audio" in kinds:
        command += ["d.audio_0", "!", "queue", "!", "decodebin", "!", "fakesink"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120,
                          env={**os.environ, "GST_DEBUG": "qtdemux:2", "GST_DEBUG_NO_COLOR": "1"})
    said = [line for line in done.stderr.splitlines() if "qtdemux" in line]
    assert done.returncode == 0 and not said, done.stderr


def check(path, codec="h264", sound=True):
    """Everybody's verdict; returns the tracks and the packets."""
    tracks, packets = probe(path)
    assert tracks["video"]["codec_name"] == codec and ("audio" in tracks) == sound, tracks
    first = next(p for p in packets if p["codec_type"] == "video")
    assert first["flags"].startswith("K"), first
    if sound:
        assert tracks["audio"]["codec_name"] == "aac" and tracks["audio"]["profile"] == "LC", tracks
    decode(path)
    demux(path)
    return tracks, packets


def flips(path):
    """Times at which the picture is inverted."""
    done = subprocess.run(["ffmpeg", "-nostdin", "-v", "info", "-nostats", "-copyts", "-i", str(path), "-map", "0:v", "-fps_mode",
                           "passthrough", "-vf", "showinfo=checksum=0,scale=8:8:flags=area", "-pix_fmt", "gray", "-f", "rawvideo",
                           "-"], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    times = [float(t) for t in re.findall(rb"pts_time:([-0-9.]+)", done.stderr)]
    dark = [sum(done.stdout[i : i + 64]) / 64 < 128 for i in range(0, len(done.stdout), 64)]
    assert len(times) == len(dark), (len(times), len(dark))
    return [now for now, before, after in zip(times[1:], dark, dark[1:]) if before != after]


def beeps(path):
    """Times at which a tone begins after silence."""
    start = float(probe(path)[0]["audio"]["start_time"])
    done = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", str(path), "-map", "0:a", "-ac", "1", "-ar", "48000", "-f",
                           "s16le", "-"], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    samples = array.array("h")
    samples.frombytes(done.stdout)
    return [start + at / 48000 for at in lipsync.onsets(samples)]
