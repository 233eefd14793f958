"""Receivers that cost little: they drain their sockets and count what is missing."""

import asyncio
import socket

from harness import rtp, srtp
from harness.stream import Media, Stream

SO_RCVBUFFORCE = 33
BUFFER = 16 << 20


class Count:
    """Packets and pictures of one RTP stream, and gaps in its sequence numbers: SRTP leaves headers readable.

    Pictures tell what sequence numbers cannot: what the sender left out before it counted packets.
    """

    def __init__(self):
        self._next = None
        self.mark()

    def feed(self, data):
        if srtp.is_rtcp(data):
            return
        sequence = data[2] << 8 | data[3]
        if self._next is not None:
            missing = (sequence - self._next) & 0xFFFF
            self.lost += missing if missing < 0x8000 else 0
        self._next = (sequence + 1) & 0xFFFF
        self.packets += 1
        self.pictures += data[1] >> 7
        self.octets += len(data)

    @property
    def highest(self):
        return ((self._next or 0) - 1) & 0xFFFF

    def mark(self):
        """Forgets what was counted so far."""
        self.packets = self.pictures = self.octets = self.lost = 0


def roomy(sock):
    """A receive buffer that outlasts a pause of this program, beyond the system's limit where that is allowed."""
    try:
        sock.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    except PermissionError:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
    return sock


class Drain(Count):
    """A UDP port of its own, for senders that are told where to send."""

    def __init__(self):
        super().__init__()
        self.socket = roomy(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.socket.bind(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]
        asyncio.get_running_loop().add_reader(self.socket, self._read)

    def _read(self):
        try:
            while data := self.socket.recv(2048):
                self.feed(data)
        except BlockingIOError:
            return

    def close(self):
        asyncio.get_running_loop().remove_reader(self.socket)
        self.socket.close()


class CountingMedia(Media):
    """Counts what comes and reports on it; decrypts nothing."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.count, self.ssrc = Count(), 0

    def connection_made(self, transport):
        super().connection_made(transport)
        roomy(transport.get_extra_info("socket"))

    def datagram_received(self, data, sender):
        self.count.feed(data)
        self.ssrc = int.from_bytes(data[8:12], "big")

    def report(self):
        self.send_rtcp(rtp.receiver_report(self.our_ssrc, self.ssrc, self.count.highest))


class Viewer(Stream):
    """A controller's stream whose pictures nobody looks at."""

    receiver = CountingMedia

    @property
    def count(self):
        return self.video.count
