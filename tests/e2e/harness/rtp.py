"""RTP, RTCP and the two payload formats, read the way a receiver reads them."""

import struct
from dataclasses import dataclass, field


@dataclass
class Packet:
    at: float
    size: int  # of the whole UDP payload, SRTP tag included
    payload_type: int
    marker: bool
    seq: int
    timestamp: int
    ssrc: int
    payload: bytes


def parse(data, at, size):
    if data[0] >> 6 != 2:
        raise ValueError(f"RTP version {data[0] >> 6}")
    if data[0] & 0x3F:
        raise ValueError(f"padding, extension or CSRC in the first byte {data[0]:#x}")
    _, second, seq, timestamp, ssrc = struct.unpack("!BBHII", data[:12])
    return Packet(at, size, second & 0x7F, bool(second & 0x80), seq, timestamp, ssrc, data[12:])


@dataclass
class SenderReport:
    at: float
    ssrc: int
    ntp: float  # seconds since 1900
    timestamp: int
    packets: int
    octets: int


@dataclass
class Feedback:
    """A packet of type 205 or 206, from the sender's SSRC on (RFC 4585 §6.1)."""

    at: float
    kind: int
    fmt: int
    body: bytes

    def entries(self):
        """(SSRC, word) of FIR, TMMBR, TMMBN, TSTR and TSTN (RFC 5104 §4)."""
        return [struct.unpack("!II", self.body[i : i + 8]) for i in range(8, len(self.body), 8)]

    def limits(self):
        """(SSRC, bit/s, overhead) of TMMBR and TMMBN."""
        return [(ssrc, (word >> 9 & 0x1FFFF) << (word >> 26), word & 0x1FF) for ssrc, word in self.entries()]


TMMBR, TMMBN, FIR, TSTR, TSTN = (205, 3), (205, 4), (206, 4), (206, 5), (206, 6)


@dataclass
class RtcpLog:
    """What came by RTCP, in order."""

    reports: list = field(default_factory=list)
    cnames: set = field(default_factory=set)
    byes: list = field(default_factory=list)
    types: list = field(default_factory=list)
    feedback: list = field(default_factory=list)

    def read(self, compound, at):
        offset = 0
        while offset < len(compound):
            first, kind, words = struct.unpack("!BBH", compound[offset : offset + 4])
            if first >> 6 != 2:
                raise ValueError("RTCP version")
            body = compound[offset + 4 : offset + 4 + 4 * words]
            if len(body) != 4 * words:
                raise ValueError("RTCP packet cut short")
            self.types.append(kind)
            if kind == 200:
                ssrc, high, low, ts, packets, octets = struct.unpack("!IIIIII", body[:24])
                self.reports.append(SenderReport(at, ssrc, high + low / 2**32, ts, packets, octets))
            elif kind == 202 and first & 0x1F:
                self._cname(body)
            elif kind in (205, 206):
                self.feedback.append(Feedback(at, kind, first & 0x1F, body))
            elif kind == 203:
                self.byes += struct.unpack(f"!{first & 0x1F}I", body[: 4 * (first & 0x1F)])
            offset += 4 + 4 * words

    def of(self, which):
        """The feedback of one kind, such as `TMMBN`."""
        return [f for f in self.feedback if (f.kind, f.fmt) == which]

    def _cname(self, body):
        if body[4] == 1:
            self.cnames.add(body[6 : 6 + body[5]].decode())


def receiver_report(ssrc, source, highest, lost=0, jitter=0, last_sr=0, delay=0, fraction=0):
    """An RR with one block (`fraction` lost: of 256), and the SDES that has to follow it (RFC 3550 §6.1)."""
    block = struct.pack("!IIIIII", source, fraction << 24 | lost & 0xFFFFFF, highest, jitter, last_sr, delay)
    rr = struct.pack("!BBHI", 0x81, 201, 7, ssrc) + block
    name = b"controller"
    sdes = struct.pack("!IBB", ssrc, 1, len(name)) + name
    sdes += bytes(4 - len(sdes) % 4)
    return rr + struct.pack("!BBH", 0x81, 202, len(sdes) // 4) + sdes


def picture_loss(ssrc, source):
    return struct.pack("!BBHII", 0x81, 206, 2, ssrc, source)


def feedback(which, ssrc, source, word):
    """A packet of one entry (RFC 5104 §4)."""
    kind, fmt = which
    return struct.pack("!BBHIIII", 0x80 | fmt, kind, 4, ssrc, 0, source, word)


def full_intra(ssrc, source, sequence):
    return feedback(FIR, ssrc, source, sequence << 24)


def trade_off(ssrc, source, sequence, index):
    return feedback(TSTR, ssrc, source, sequence << 24 | index)


def max_bitrate(ssrc, source, bitrate, overhead=40):
    exponent = max(0, bitrate.bit_length() - 17)
    return feedback(TMMBR, ssrc, source, exponent << 26 | (bitrate >> exponent) << 9 | overhead)


class H264:
    """Depacketises RFC 6184 mode 1 from packets in order: `nals` of (timestamp, bytes, how it travelled)."""

    def __init__(self):
        self.nals = []
        self._parts = None
        self._units = {}  # timestamp -> ended by marker

    def push(self, packet):
        kind = packet.payload[0] & 0x1F
        if kind == 24:
            self._aggregate(packet)
        elif kind == 28:
            self._fragment(packet)
        elif 1 <= kind <= 23:
            self._no_open_fragment()
            self.nals.append((packet.timestamp, packet.payload, "single"))
        else:
            raise ValueError(f"H.264 payload of type {kind}")

    def _no_open_fragment(self):
        if self._parts is not None:
            raise ValueError("fragment never ended")

    def _aggregate(self, packet):
        self._no_open_fragment()
        if packet.marker:
            raise ValueError("marker on a STAP-A that is not the end of its access unit")
        data, at = packet.payload, 1
        while at < len(data):
            size = int.from_bytes(data[at : at + 2], "big")
            nal = data[at + 2 : at + 2 + size]
            if not size or len(nal) != size:
                raise ValueError("STAP-A cut short")
            self.nals.append((packet.timestamp, nal, "stap-a"))
            at += 2 + size

    def _fragment(self, packet):
        indicator, header = packet.payload[0], packet.payload[1]
        if header & 0x80:
            self._no_open_fragment()
            self._parts = bytearray([indicator & 0xE0 | header & 0x1F])
        elif self._parts is None:
            raise ValueError("fragment without a start")
        self._parts += packet.payload[2:]
        if header & 0x40:
            self.nals.append((packet.timestamp, bytes(self._parts), "fu-a"))
            self._parts = None


def key_frames(nals):
    """Timestamps of the access units that hold an IDR slice, in order and once each."""
    found = []
    for timestamp, nal, _ in nals:
        if nal[0] & 0x1F == 5 and (not found or found[-1] != timestamp):
            found.append(timestamp)
    return found


class Bits:
    """Reads a raw byte sequence payload (H.264 §7.2)."""

    def __init__(self, data):
        clean, zeros = bytearray(), 0
        for byte in data:
            if zeros >= 2 and byte == 3:
                zeros = 0
                continue
            zeros = zeros + 1 if byte == 0 else 0
            clean.append(byte)
        self._bits = "".join(f"{b:08b}" for b in clean)
        self._at = 0

    def take(self, n):
        value = int(self._bits[self._at : self._at + n] or "0", 2)
        self._at += n
        return value

    def ue(self):
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32:
                raise ValueError("Exp-Golomb code too long")
        return (1 << zeros) - 1 + (self.take(zeros) if zeros else 0)


def sps_info(nal):
    """profile_idc, level_idc, width and height of a sequence parameter set (4:2:0 or 4:0:0..4:4:4, no scaling lists)."""
    profile, level, bits = nal[1], nal[3], Bits(nal[4:])
    bits.ue()
    chroma = 1
    if profile in (100, 110, 122, 244, 44, 83, 86, 118, 128):
        chroma = bits.ue()
        if chroma == 3:
            bits.take(1)
        bits.ue(), bits.ue(), bits.take(1)
        if bits.take(1):
            raise ValueError("scaling lists")
    bits.ue()
    order = bits.ue()
    if order == 0:
        bits.ue()
    elif order == 1:
        raise ValueError("picture order count type 1")
    bits.ue(), bits.take(1)
    width, height = (bits.ue() + 1) * 16, (bits.ue() + 1) * 16
    frame_only = bits.take(1)
    if not frame_only:
        height *= 2
        bits.take(1)
    bits.take(1)
    if bits.take(1):
        left, right, top, bottom = bits.ue(), bits.ue(), bits.ue(), bits.ue()
        x, y = (1 if chroma in (0, 3) else 2), (2 if chroma == 1 else 1)
        width -= x * (left + right)
        height -= y * (2 - frame_only) * (top + bottom)
    return {"profile": profile, "level": level, "width": width, "height": height}


# Frame duration in tenths of a millisecond by the configuration number of the TOC (RFC 6716 §3.1, table 2).
_OPUS = [100, 200, 400, 600] * 3 + [100, 200] * 2 + [25, 50, 100, 200] * 4


def opus_duration_ms(payload):
    """How much sound one Opus packet holds."""
    config, code = payload[0] >> 3, payload[0] & 3
    frames = {0: 1, 1: 2, 2: 2}.get(code)
    if frames is None:
        frames = payload[1] & 0x3F
    return _OPUS[config] * frames / 10
