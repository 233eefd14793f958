"""An RTSP camera that sends exactly what a test has written down, however wrong that is.

Its programme is a pickled list of (seconds from the first PLAY, "video" or "audio", RTP timestamp, payload): the NAL
units of an access unit, or the bytes of one packet of PCMU. Media travel in the RTSP connection. Prints one JSON line
with its port, and one per PLAY. Usage: rough_camera.py PROGRAMME
"""

import asyncio
import json
import pathlib
import pickle
import struct
import sys
import time

MTU = 1400
PAYLOAD_TYPES = {"video": 96, "audio": 0}
SDP = ("v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=rough\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
       "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\na=control:video\r\n"
       "m=audio 0 RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=control:audio\r\n")


def fragments(nal):
    """The payloads of one NAL unit (RFC 6184 §5.6, §5.8)."""
    if len(nal) <= MTU:
        return [nal]
    kind, rest = nal[0] & 0x1F, nal[1:]
    parts = [rest[at : at + MTU] for at in range(0, len(rest), MTU)]
    marks = [0x80] + [0] * (len(parts) - 2) + [0x40]
    return [bytes([nal[0] & 0x60 | 28, mark | kind]) + part for mark, part in zip(marks, parts)]


class Viewer:
    """One RTSP connection."""

    def __init__(self, camera, reader, writer):
        self.camera, self.reader, self.writer = camera, reader, writer
        self.channels, self.sequence = {}, {"video": 1, "audio": 1}

    async def serve(self):
        """Answers requests, and reads past RTCP."""
        try:
            while first := await self.reader.readexactly(1):
                if first == b"$":
                    _, size = struct.unpack("!BH", await self.reader.readexactly(3))
                    await self.reader.readexactly(size)
                else:
                    self.answer((first + await self.reader.readuntil(b"\r\n\r\n")).decode())
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            self.camera.viewers.discard(self)
            self.writer.close()

    def answer(self, request):
        lines = request.splitlines()
        method, url, _ = lines[0].split()
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:] if line)}
        more, body = getattr(self, method.lower(), self.other)(url, headers)
        more += f"Session: 1;timeout=60\r\nContent-Length: {len(body)}\r\n"
        self.writer.write(f"RTSP/1.0 200 OK\r\nCSeq: {headers['cseq']}\r\n{more}\r\n{body}".encode())
        if method == "PLAY":
            self.camera.play(self)

    def other(self, *_):
        return "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER\r\n", ""

    def describe(self, url, _):
        return f"Content-Type: application/sdp\r\nContent-Base: {url}/\r\n", SDP

    def setup(self, url, headers):
        channel = 2 * len(self.channels)
        self.channels[url.rsplit("/", 1)[-1]] = channel
        return f"Transport: RTP/AVP/TCP;unicast;interleaved={channel}-{channel + 1}\r\n", ""

    def send(self, medium, timestamp, payload):
        if medium in self.channels:
            packets = [f for nal in payload for f in fragments(nal)] if medium == "video" else [payload]
            for index, packet in enumerate(packets):
                self._packet(medium, timestamp, packet, medium == "video" and index == len(packets) - 1)

    def _packet(self, medium, timestamp, payload, marker):
        header = struct.pack("!BBHII", 0x80, PAYLOAD_TYPES[medium] | marker << 7, self.sequence[medium],
                             timestamp & 0xFFFFFFFF, 7 + PAYLOAD_TYPES[medium])
        self.sequence[medium] = self.sequence[medium] + 1 & 0xFFFF
        self.writer.write(struct.pack("!cBH", b"$", self.channels[medium], len(header) + len(payload)) + header + payload)


class Camera:
    def __init__(self, programme):
        self.programme, self.viewers, self.sending = programme, set(), None

    async def connected(self, reader, writer):
        await Viewer(self, reader, writer).serve()

    def play(self, viewer):
        say(client="plays", at=time.time())
        self.viewers.add(viewer)
        self.sending = self.sending or asyncio.create_task(self.send())

    async def send(self):
        began = time.monotonic()
        for at, medium, timestamp, payload in self.programme:
            await asyncio.sleep(began + at - time.monotonic())
            for viewer in list(self.viewers):
                viewer.send(medium, timestamp, payload)
        say(programme="over")


def say(**what):
    print(json.dumps(what), flush=True)


async def main():
    camera = Camera(pickle.loads(pathlib.Path(sys.argv[1]).read_bytes()))
    server = await asyncio.start_server(camera.connected, "127.0.0.1", 0)
    say(port=server.sockets[0].getsockname()[1])
    await server.serve_forever()


asyncio.run(main())
