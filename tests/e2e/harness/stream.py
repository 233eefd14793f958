"""A live view as a controller runs it: Setup Endpoints, Start, Reconfigure, End; and the receiver of its media."""

import asyncio
import contextlib
import os
import secrets as random
import socket
import struct
import time
import uuid
from dataclasses import dataclass

from . import rtp, secrets, srtp, tlv, wait

END, START, SUSPEND, RESUME, RECONFIGURE = range(5)
VIDEO_PT, AUDIO_PT = 99, 110


@dataclass
class Want:
    width: int = 640
    height: int = 360
    fps: int = 30
    kbps: int = 299
    profile: int = 0
    level: int = 0
    mtu: int = 1378
    audio: bool = True
    rate: int = 1  # 1 = 16 kHz, 2 = 24 kHz
    packet_time: int = 20
    suite: int = 0

    @property
    def clock(self):
        return {0: 8000, 1: 16000, 2: 24000}[self.rate]


class Media(asyncio.DatagramProtocol):
    """Receives one SRTP stream, reports on it and hands every datagram on to ffmpeg unchanged.

    ffmpeg counts the time of a stream from its first packet, and anew at the first sender report that follows another
    stream's: `reports_first` are the streams whose reports it gets before anything of this one, so that no time goes back.
    """

    _HELD_AT_MOST = 50

    def __init__(self, name, theirs, ours, ssrc):
        self.name, self.our_ssrc = name, ssrc
        self._unprotect, self._protect = srtp.Context(*theirs), srtp.Context(*ours)
        self.packets, self.rtcp, self.errors = [], rtp.RtcpLog(), []
        self.senders = set()
        self.forward = None
        self.reports_first = ()
        self._reported, self._held = False, []
        self.remote = None

    def connection_made(self, transport):
        self.transport = transport
        self._out = socket.socket(transport.get_extra_info("socket").family, socket.SOCK_DGRAM)

    def connection_lost(self, _):
        self._out.close()

    def rekey(self, theirs):
        self._unprotect = srtp.Context(*theirs)

    def datagram_received(self, data, sender):
        now = time.monotonic()
        self.senders.add(sender[1])
        if self.forward:
            self._hand_on(data)
        try:
            if srtp.is_rtcp(data):
                self.rtcp.read(self._unprotect.unprotect_rtcp(data), now)
            else:
                self.packets.append(rtp.parse(self._unprotect.unprotect_rtp(data), now, len(data)))
        except (srtp.SrtpError, ValueError) as error:
            self.errors.append(f"{self.name}: {error}")

    def _hand_on(self, data):
        self._reported |= srtp.is_rtcp(data)
        self._held.append(data)
        if all(media._reported for media in self.reports_first) or len(self._held) > self._HELD_AT_MOST:
            for datagram in sorted(self._held, key=lambda held: not srtp.is_rtcp(held)):
                self._out.sendto(datagram, self.forward)
            self._held, self.reports_first = [], ()

    def send_rtcp(self, compound):
        self.transport.sendto(self._protect.protect_rtcp(compound), self.remote)

    def report(self):
        source = self.packets[-1].ssrc if self.packets else 0
        highest = self.packets[-1].seq if self.packets else 0
        self.send_rtcp(rtp.receiver_report(self.our_ssrc, source, highest))

    def ask(self, *feedback):
        """A report, then `feedback(our SSRC, theirs)` each: one compound packet."""
        ours, theirs = self.our_ssrc, self.packets[-1].ssrc
        compound = rtp.receiver_report(ours, theirs, self.packets[-1].seq)
        self.send_rtcp(compound + b"".join(f(ours, theirs) for f in feedback))

    def ask_for_picture(self):
        self.ask(rtp.picture_loss)

    def report_round_trip(self, seconds):
        """As a viewer that far away would; the last sender report must be older than that."""
        last = self.rtcp.reports[-1]
        waited = time.monotonic() - last.at - seconds
        assert waited >= 0, f"{waited}"
        compact = int(last.ntp * 65536) & 0xFFFFFFFF
        self.send_rtcp(rtp.receiver_report(self.our_ssrc, last.ssrc, self.packets[-1].seq, last_sr=compact,
                                           delay=int(waited * 65536)))

    def wire_bits(self, since, until):
        """Bit/s on the wire between two times: everything from the IP header on."""
        size = sum(p.size + 28 for p in self.packets if since <= p.at < until)
        return size * 8 / (until - since)

    # --- what came

    def check(self, ssrc, payload_type, mtu):
        """No loss, no reordering, one SSRC, the payload type asked for, nothing too large, nothing undecryptable."""
        assert not self.errors, self.errors[:5]
        assert self.packets, f"no {self.name} packet"
        assert {p.ssrc for p in self.packets} == {ssrc}
        assert {p.payload_type for p in self.packets} == {payload_type}
        assert self.lost() == 0, f"{self.name}: {self.lost()} of {len(self.packets)} lost"
        assert max(p.size for p in self.packets) <= mtu, max(p.size for p in self.packets)
        assert len(self.senders) == 1, f"{self.name} came from ports {self.senders}"

    def span(self):
        """From the first packet's timestamp to the last one's."""
        return (self.packets[-1].timestamp - self.packets[0].timestamp) & 0xFFFFFFFF if self.packets else 0

    def lost(self):
        """Sequence numbers that did not come exactly one after the other."""
        jumps = [(b.seq - a.seq) & 0xFFFF for a, b in zip(self.packets, self.packets[1:])]
        return sum(1 for jump in jumps if jump != 1)

    def nals(self):
        depacketiser = rtp.H264()
        for packet in self.packets:
            depacketiser.push(packet)
        return depacketiser.nals

    def key_frames(self):
        return rtp.key_frames(self.nals())

    def first_key_frame_at(self):
        for packet in self.packets:
            kind = packet.payload[0] & 0x1F
            if kind == 5 or kind == 28 and packet.payload[1] & 0x1F == 5:
                return packet.at
        return None


class Stream:
    """One session on one RTP stream management service (110)."""

    receiver = Media

    def __init__(self, connection, service, want, host="127.0.0.1"):
        self.connection, self.want, self.host = connection, want, host
        self._iid = {kind: _iid(service, kind) for kind in ("117", "118", "120")}
        self.session = uuid.uuid4().bytes
        self.answer = None
        self._reporter = None
        size = 16 if want.suite == 0 else 32
        self.our_keys = [(os.urandom(size), os.urandom(14)) for _ in range(2)]
        self.our_ssrcs = [random.randbelow(2**32 - 1) + 1 for _ in range(2)]
        for key, salt in self.our_keys:
            secrets.remember("SRTP master key", key)
            secrets.remember("SRTP master salt", salt)

    async def __aenter__(self):
        loop, family = asyncio.get_running_loop(), socket.AF_INET6 if ":" in self.host else socket.AF_INET
        self.media = []
        for i, name in enumerate(("video", "audio")):
            sock = socket.socket(family, socket.SOCK_DGRAM)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
            sock.bind((self.host, 0))
            _, protocol = await loop.create_datagram_endpoint(
                lambda i=i, name=name: self.receiver(name, self.our_keys[i], self.our_keys[i], self.our_ssrcs[i]), sock=sock)
            self.media.append(protocol)
        self.video, self.audio = self.media
        self.ports = [m.transport.get_extra_info("sockname")[1] for m in self.media]
        return self

    async def __aexit__(self, kind, *_):
        self._stop_reports()
        with contextlib.suppress(Exception):
            if self.answer and kind is not None:
                await self.control(END)
        for media in self.media:
            media.transport.close()

    async def status(self):
        """120: 0 available, 1 in use, 2 unavailable."""
        return tlv.decode(await self.connection.read_tlv(self._iid["120"]))[1][0]

    async def setup(self):
        """Writes 118 and reads the answer; returns its status, or that of a write that was refused."""
        address = tlv.encode([(1, bytes([":" in self.host])), (2, self.host.encode()),
                              (3, struct.pack("<H", self.ports[0])), (4, struct.pack("<H", self.ports[1]))])
        srtps = [tlv.encode([(2, key), (3, salt), (1, bytes([self.want.suite]))]) for key, salt in self.our_keys]
        request = tlv.encode([(1, self.session), (3, address), (4, srtps[0]), (5, srtps[1])])
        written = await self.connection.write_tlv(self._iid["118"], request)
        if written != 0:
            return written
        self.answer = tlv.decode(await self.connection.read_tlv(self._iid["118"]))
        assert self.answer[1] == self.session, self.answer
        status = tlv.u(self.answer[2])
        if status == 0:
            self._take_answer()
        return status

    def _take_answer(self):
        address = tlv.decode(self.answer[3])
        assert address[2].decode() == self.host, address
        assert address[1] == bytes([":" in self.host])
        self.their_keys, self.their_ports = [], [tlv.u(address[3]), tlv.u(address[4])]
        for tag, port, media in zip((4, 5), self.their_ports, self.media):
            keys = tlv.decode(self.answer[tag])
            assert keys[1] == bytes([self.want.suite]), keys
            self.their_keys.append((keys[2], keys[3]))
            secrets.remember("SRTP master key", keys[2])
            secrets.remember("SRTP master salt", keys[3])
            media.rekey(self.their_keys[-1])
            media.remote = (self.host, port)
        self.their_ssrcs = [tlv.u(self.answer[6]), tlv.u(self.answer[7])]
        assert all(self.their_ssrcs) and all(self.their_ports)

    async def start(self):
        """Writes 117 with Start and begins to report; returns the write's status."""
        w = self.want
        video = tlv.encode([
            (1, b"\0"),
            (2, [(1, bytes([w.profile])), (2, bytes([w.level])), (3, b"\0")]),
            (3, self._attributes(w.width, w.height, w.fps)),
            (4, [(1, bytes([VIDEO_PT])), (2, struct.pack("<I", self.our_ssrcs[0])), (3, struct.pack("<H", w.kbps)),
                 (4, struct.pack("<f", 0.5)), (5, struct.pack("<H", w.mtu))])])
        audio = tlv.encode([
            (1, b"\x03"),
            (2, [(1, b"\x01"), (2, b"\0"), (3, bytes([w.rate])), (4, bytes([w.packet_time]))]),
            (3, [(1, bytes([AUDIO_PT])), (2, struct.pack("<I", self.our_ssrcs[1])), (3, struct.pack("<H", 24)),
                 (4, struct.pack("<f", 5.0)), (6, b"\x0d")]),
            (4, b"\0")])
        self.started_at = time.monotonic()
        status = await self.connection.write_tlv(
            self._iid["117"], tlv.encode([(1, self._command(START)), (2, video)] + [(3, audio)] * w.audio))
        self.media_tasks()
        return status

    def _command(self, command):
        return tlv.encode([(2, bytes([command])), (1, self.session)])

    @staticmethod
    def _attributes(width, height, fps):
        return tlv.encode([(1, struct.pack("<H", width)), (2, struct.pack("<H", height)), (3, bytes([fps]))])

    async def reconfigure(self, width, height, fps, kbps):
        """As iOS writes it: attributes and bit rate only, RTCP interval 0."""
        video = tlv.encode([(3, self._attributes(width, height, fps)),
                            (4, [(3, struct.pack("<H", kbps)), (4, struct.pack("<f", 0.0))])])
        return await self.connection.write_tlv(
            self._iid["117"], tlv.encode([(1, self._command(RECONFIGURE)), (2, video)]))

    async def control(self, command):
        return await self.connection.write_tlv(self._iid["117"], tlv.encode([(1, self._command(command))]))

    async def end(self):
        """Writes End; the reports stop with it."""
        status = await self.control(END)
        self._stop_reports()
        return status

    def media_tasks(self):
        if self._reporter is None:
            self._reporter = asyncio.create_task(self._report())

    def _stop_reports(self):
        if self._reporter:
            self._reporter.cancel()
            self._reporter = None

    async def _report(self):
        while True:
            for media in self.media:
                media.report()
            await asyncio.sleep(0.5)

    # --- waiting

    async def first_packets(self, seconds=5):
        await wait.until(lambda: self.video.packets and (not self.want.audio or self.audio.packets), seconds,
                         lambda: f"first packets: video {len(self.video.packets)}, audio {len(self.audio.packets)}, "
                                 f"errors {self.video.errors[:2] + self.audio.errors[:2]}")

    async def run_for(self, seconds):
        """Until that much was seen and heard; where nothing comes, not much longer than that."""
        await self.first_packets()
        await asyncio.sleep(seconds)
        with contextlib.suppress(AssertionError):
            await wait.until(lambda: self.received() >= seconds - 0.1, 3, "media")

    def received(self):
        """Seconds of media that came, the past that is shown in fast motion left out."""
        spans = [self.video.span() / 90000] + [self.audio.span() / self.want.clock] * self.want.audio
        return min(spans)

    async def bye(self, seconds=3):
        await wait.until(lambda: self.their_ssrcs[0] in self.video.rtcp.byes, seconds, "BYE of the video stream")
        if self.want.audio:
            await wait.until(lambda: self.their_ssrcs[1] in self.audio.rtcp.byes, seconds, "BYE of the audio stream")

    def check(self):
        self.video.check(self.their_ssrcs[0], VIDEO_PT, self.want.mtu)
        assert self.video.senders == {self.their_ports[0]}
        if self.want.audio:
            self.audio.check(self.their_ssrcs[1], AUDIO_PT, self.want.mtu)
            assert self.audio.senders == {self.their_ports[1]}


def _iid(service, kind):
    from .home import short
    return next(c["iid"] for c in service["characteristics"] if short(c["type"]) == kind)
