"""ffmpeg as the stranger that decrypts and decodes what the daemon sends."""

import array
import base64
import contextlib
import pathlib
import re
import shutil
import socket
import struct
import subprocess

from . import srtp, wait

# What ffmpeg says of a packet that is not there; at warning level, so no exit code tells of it.
_LOSS = re.compile(r"missed \d+ packets|max delay reached|RTP: dropping|bad cseq|concealing", re.I)


def available():
    return shutil.which("ffmpeg") is not None and shutil.which("ffprobe") is not None


def free_ports(count, family=socket.AF_INET):
    """Even ports with a free odd neighbour, as ffmpeg wants them for RTP and RTCP."""
    found = []
    while len(found) < count:
        with socket.socket(family, socket.SOCK_DGRAM) as a, socket.socket(family, socket.SOCK_DGRAM) as b:
            host = "::1" if family == socket.AF_INET6 else "127.0.0.1"
            a.bind((host, 0))
            port = a.getsockname()[1]
            if port % 2 or port in found:
                continue
            with contextlib.suppress(OSError):
                b.bind((host, port + 1))
                found.append(port)
    return found


def sdp(stream, ports):
    """An SDP with the keys of the Setup Endpoints response."""
    family = "IP6" if ":" in stream.host else "IP4"
    suite = "AES_CM_128_HMAC_SHA1_80" if stream.want.suite == 0 else "AES_256_CM_HMAC_SHA1_80"
    keys = [base64.b64encode(key + salt).decode() for key, salt in stream.their_keys]
    lines = ["v=0", f"o=- 0 0 IN {family} {stream.host}", "s=live view", f"c=IN {family} {stream.host}", "t=0 0",
             f"m=video {ports[0]} RTP/SAVP 99", "a=rtpmap:99 H264/90000", "a=fmtp:99 packetization-mode=1",
             f"a=crypto:1 {suite} inline:{keys[0]}"]
    if stream.want.audio:
        lines += [f"m=audio {ports[1]} RTP/SAVP 110", f"a=rtpmap:110 opus/{stream.want.clock}/2",
                  f"a=crypto:1 {suite} inline:{keys[1]}"]
    return "\r\n".join(lines) + "\r\n"


def _sound_dated_anew(line):
    """Where nobody puts the reports first (see `Media`), the sound may once go back by less than 0.1 s at its beginning."""
    steps = re.search(r"\[s16le .*non monotonically increasing dts to muxer in stream 0: (-?\d+) >= (-?\d+)", line)
    before, after = map(int, steps.groups()) if steps else (0, 0)
    return before < 24000 and 0 < before - after < 4800


class Receiver:
    """`async with Receiver(stream, folder) as ffmpeg:` before Start; `await ffmpeg.finish()` after End."""

    def __init__(self, stream, folder, name="ffmpeg", ports=None):
        """`ports`: those announced to the accessory; then nothing is handed on from our own receiver."""
        self.stream, self.folder, self.name, self.ports = stream, pathlib.Path(folder), name, ports
        self.alone = ports is not None

    def _path(self, suffix):
        return self.folder / f"{self.name}.{suffix}"

    async def __aenter__(self):
        family = socket.AF_INET6 if ":" in self.stream.host else socket.AF_INET
        if not self.alone:
            self.ports = free_ports(2 if self.stream.want.audio else 1, family)
        self._path("sdp").write_text(sdp(self.stream, self.ports))
        command = ["ffmpeg", "-hide_banner", "-nostdin", "-y", "-loglevel", "level+warning", "-xerror",
                   "-err_detect", "explode+crccheck+bitstream+buffer", "-protocol_whitelist", "file,udp,rtp,srtp,crypto",
                   "-reorder_queue_size", "0", "-analyzeduration", "500000", "-fflags", "+genpts", "-i",
                   str(self._path("sdp")), "-map", "0:v", "-fps_mode", "passthrough", "-autoscale", "0",
                   "-f", "framecrc", "-flush_packets", "1", str(self._path("video.txt"))]
        if self.stream.want.audio:
            # Sound may begin before the first picture: times stay positive all the same.
            command += ["-map", "0:a", "-ac", "1", "-ar", "48000", "-output_ts_offset", "10", "-f", "s16le", str(self._path("audio.raw"))]
        with self._path("log").open("wb") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            await wait.until(self._listening, 10, "ffmpeg's UDP ports")
        except BaseException:
            self.process.kill()
            raise
        if not self.alone:
            for media, port in zip(self.stream.media, self.ports):
                media.forward = (self.stream.host, port)
            if self.stream.want.audio:
                self.stream.audio.reports_first = self.stream.media
        return self

    async def __aexit__(self, *_):
        for media in self.stream.media:
            media.forward = None
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def _listening(self):
        assert self.process.poll() is None, self.log()
        bound = set()
        for table in ("/proc/net/udp", "/proc/net/udp6"):
            with contextlib.suppress(OSError):
                for line in pathlib.Path(table).read_text().splitlines()[1:]:
                    bound.add(int(line.split()[1].rpartition(":")[2], 16))
        return bound >= set(self.ports)

    def log(self):
        return self._path("log").read_text(errors="replace")

    async def finish(self, seconds=10):
        """ffmpeg ends at BYE; no error, no loss. Where the sender owes it a BYE, it gets one from here."""
        if not all(media.rtcp.byes for media in self._media()):
            self._say_bye()
        await wait.until(lambda: self.process.poll() is not None, seconds, lambda: f"end of ffmpeg\n{self.log()}")
        assert self.process.returncode == 0, self.log()
        self.check_log()
        return self

    def _media(self):
        return [media for media in self.stream.media if media.forward]

    def _say_bye(self):
        for media, keys, ssrc in zip(self._media(), self.stream.their_keys, self.stream.their_ssrcs):
            bye = srtp.Context(*keys).protect_rtcp(struct.pack("!BBHIBBHI", 0x80, 201, 1, ssrc, 0x81, 203, 1, ssrc))
            media.transport.sendto(bye, media.forward)

    def check_log(self):
        log = self.log()
        bad = [line for line in log.splitlines()
               if re.search(r"\[(error|fatal|panic)\]", line) or _LOSS.search(line)]
        bad = [line for line in bad if "Exiting normally, received signal" not in line]
        if self.alone:
            bad = [line for line in bad if not _sound_dated_anew(line)]
        assert not bad, "ffmpeg complains:\n" + "\n".join(bad[:20])

    def pictures(self):
        """How many are decoded by now."""
        path = self._path("video.txt")
        return path.read_text().count("\n") if path.exists() else 0

    def frame_sizes(self):
        """Bytes of each decoded picture, in order: 4:2:0 planar, so width*height*3/2."""
        sizes = []
        for line in self._path("video.txt").read_text().splitlines():
            if not line.startswith("#") and line.strip():
                sizes.append(int(line.split(",")[4]))
        return sizes

    def checksums(self):
        """One of each decoded picture, in order."""
        return _checksums(self._path("video.txt").read_text())

    def sound(self):
        """(seconds, root mean square) of the decoded sound, 16-bit."""
        return sound_of(self._path("audio.raw").read_bytes())


def sound_of(raw):
    samples = array.array("h")
    samples.frombytes(raw[: len(raw) // 2 * 2])
    if not samples:
        return 0.0, 0.0
    return len(samples) / 48000, (sum(s * s for s in samples) / len(samples)) ** 0.5


def _checksums(lines):
    return [line.split(",")[5].strip() for line in lines.splitlines() if line.strip() and not line.startswith("#")]


def checksums_of(path):
    """As `Receiver.checksums`, of a file."""
    done = subprocess.run(["ffmpeg", "-nostdin", "-v", "error", "-i", str(path), "-map", "0:v", "-fps_mode", "passthrough",
                           "-f", "framecrc", "-"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return _checksums(done.stdout)


def picture_bytes(width, height):
    return width * height * 3 // 2


def decode_file(path, *more):
    """Decodes a whole file strictly; returns ffmpeg's complaints, empty if there are none."""
    done = subprocess.run(["ffmpeg", "-hide_banner", "-nostdin", "-v", "error", "-xerror", "-err_detect", "explode",
                           "-i", str(path), *more, "-f", "null", "-"], capture_output=True, text=True, timeout=120)
    return done.stderr.strip() or ("" if done.returncode == 0 else f"exit code {done.returncode}")
