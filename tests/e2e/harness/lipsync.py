"""When a picture and a sound happened, as a viewer knows it: RTP timestamps by way of sender reports.

The sources are `BALL` at `FPS` and `TICKS`: every two seconds of one clock the picture is inverted and a tone begins. Not
in the same instant, because live sources of GStreamer begin when they do; the RTSP server says when (`moments`).
"""

import array
import bisect
import re
import subprocess

FPS = 25
BALL = "ball flip=true"  # every 50 frames
# 20 ms a packet at 8 kHz, as cameras send it.
TICKS = "audiotestsrc is-live=true samplesperbuffer=160 wave=ticks tick-interval=2000000000 freq=1000 volume=0.8"
EVERY = 2.0  # seconds
_FLIP = 128  # mean brightness between a ball on black and a ball on white


def _wall(media, clock):
    """A function from a packet to the NTP time of its timestamp, by the newest report then known."""
    reports = media.rtcp.reports
    times = [r.at for r in reports]

    def wall(packet):
        report = reports[max(0, bisect.bisect_right(times, packet.at) - 1)]
        ticks = ((packet.timestamp - report.timestamp + 2**31) & 0xFFFFFFFF) - 2**31
        return report.ntp + ticks / clock
    return wall


def flips(media, path):
    """NTP times of the pictures that are inverted against the one right before, and so at a known time."""
    wall, walls, at = _wall(media, 90000), {}, {}
    for packet in media.packets:
        walls.setdefault(packet.timestamp, wall(packet))
    with path.open("wb") as out:
        for timestamp, nal, _ in media.nals():
            at.setdefault(out.tell(), walls[timestamp])
            out.write(b"\0\0\0\1" + nal)
    # What the camera's own network lost cannot be decoded: positions tell which picture is which.
    both = [(at[position], shade) for position, shade in _brightness(path)]
    assert len(both) >= 0.95 * len(walls), f"{len(both)} pictures decoded of {len(walls)}"
    return [now for (before, a), (now, b) in zip(both, both[1:])
            if (a < _FLIP) != (b < _FLIP) and now - before < 1.5 / FPS]


def _brightness(path):
    """(position in the file, mean brightness) of each picture that can be decoded."""
    done = subprocess.run(["ffmpeg", "-nostdin", "-v", "info", "-nostats", "-i", str(path), "-fps_mode", "passthrough", "-vf",
                           "showinfo=checksum=0,scale=8:8:flags=area", "-pix_fmt", "gray", "-f", "rawvideo", "-"],
                          capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    positions = [int(p) for p in re.findall(rb" pos: *(\d+) ", done.stderr)]
    shades = [sum(done.stdout[i : i + 64]) / 64 for i in range(0, len(done.stdout), 64)]
    assert len(positions) == len(shades)
    return list(zip(positions, shades))


def beeps(media, clock, packet_ms, path):
    """NTP times at which a tone begins after silence, as decoded."""
    path.write_bytes(ogg([p.payload for p in media.packets], packet_ms))
    done = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", str(path), "-ac", "1", "-ar", "48000", "-f",
                           "s16le", "-"], capture_output=True, timeout=600)
    assert done.returncode == 0, done.stderr.decode()
    samples = array.array("h")
    samples.frombytes(done.stdout)
    wall, size = _wall(media, clock), 48 * packet_ms
    assert abs(len(samples) - size * len(media.packets)) <= size, "every packet was decoded"
    return [wall(media.packets[at // size]) + at % size / 48000 for at in onsets(samples)]


def onsets(samples):
    """Where a millisecond is loud after 200 quiet ones."""
    loud = max(map(abs, samples)) / 4
    found, quiet = [], 0
    for at in range(0, len(samples) - 48, 48):
        peak = max(map(abs, samples[at : at + 48]))
        if peak < loud:
            quiet += 1
            continue
        if quiet >= 200:
            found.append(at + next(i for i in range(48) if abs(samples[at + i]) >= loud))
        quiet = 0
    return found


def make_file(path, seconds):
    """The same as an MP4 with H.264 and AAC, in the same instant."""
    subprocess.run(
        ["ffmpeg", "-v", "error", "-y", "-f", "lavfi", "-i", f"color=black:size=640x360:rate={FPS}", "-f", "lavfi", "-i",
         "aevalsrc=exprs='if(lt(mod(t,2),0.02),0.8*sin(2*PI*1000*t),0)':sample_rate=48000", "-t", str(seconds), "-vf",
         "drawbox=color=white:thickness=fill:enable='lt(mod(t,4),2)'", "-c:v", "libx264", "-profile:v", "baseline",
         "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", str(FPS), "-c:a", "aac", "-b:a", "64k", str(path)],
        check=True, timeout=180)
    return path


def offsets(flips_at, beeps_at):
    """(time, seconds that the picture is later than the sound) for each flip with a beep."""
    found = []
    for flip in flips_at:
        i = bisect.bisect(beeps_at, flip)
        near = min(beeps_at[max(0, i - 1) : i + 1], key=lambda b: abs(b - flip), default=None)
        if near is not None and abs(flip - near) < 0.5:
            found.append((flip, flip - near))
    return found


# --- Ogg Opus (RFC 3533, RFC 7845)


def _crc_table():
    table = []
    for byte in range(256):
        value = byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C11DB7 if value >> 31 else value << 1) & 0xFFFFFFFF
        table.append(value)
    return table


_CRC = _crc_table()


def _page(flags, granule, number, packet):
    lacing = bytes([255] * (len(packet) // 255) + [len(packet) % 255])
    page = bytearray(b"OggS\0" + bytes([flags]) + granule.to_bytes(8, "little") + b"hap1" + number.to_bytes(4, "little")
                     + bytes(4) + bytes([len(lacing)]) + lacing + packet)
    crc = 0
    for byte in page:
        crc = (crc << 8 & 0xFFFFFFFF) ^ _CRC[crc >> 24 ^ byte]
    page[22:26] = crc.to_bytes(4, "little")
    return bytes(page)


def ogg(packets, packet_ms):
    """The packets as they are, a page each, and nothing to skip at the beginning."""
    head = b"OpusHead\1\1" + bytes(2) + (48000).to_bytes(4, "little") + bytes(3)
    pages = [_page(2, 0, 0, head), _page(0, 0, 1, b"OpusTags" + bytes(8))]
    for n, packet in enumerate(packets):
        pages.append(_page(4 if n + 1 == len(packets) else 0, (n + 1) * 48 * packet_ms, n + 2, packet))
    return b"".join(pages)
