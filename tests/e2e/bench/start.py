"""From the Start write to the first key frame at the controller."""

import asyncio
import contextlib
import random
import time

from harness import rtp, srtp, wait
from harness.cameras import pattern_camera
from harness.stream import Media, Stream, Want
from harness.view import paired

from . import clips, daemon, rivals
from .process import Child
from .report import Report, median, percentile
from .viewers import Drain, roomy

GOP_MS = clips.GOP / clips.FPS * 1000
PATIENCE = 20
ENCODER_LINGERS = 6.5  # seconds after the last viewer, and the next look at the clock
HD = Want(1280, 720, 30, kbps=2000, level=0, audio=False)


async def run(options, folder):
    report = Report("start: Start write to first key frame")
    report.note(f"{options.runs} runs each. \"Key frame\" is the last packet of the first picture that decoding can start "
                "with, at the receiver's socket; \"packet\" the first packet of any kind.")
    table = report.table("milliseconds", "key median", "key p95", "key worst", "packet median", "packet p95", "runs")
    clip = clips.busy()
    async with daemon.rtsp(folder / "camera", clip) as server, \
            Child(folder, "keeper", rivals.gst(rivals.rtsp_source(server.url), "! fakesink")):
        warm = await rtsp_warm(options, folder / "warm", server)
        add(table, "RTSP camera 1080p30 copied, warm", warm)
        cold, whole = await rtsp_cold(options, folder / "cold", server)
        add(table, "RTSP camera 1080p30 copied, daemon just started", cold)
        add(table, "  the same, since the daemon was started", whole)
        few = max(3, options.runs // 10)
        add(table, "ffmpeg started for the viewer", await spawned(
            few, folder, "ffmpeg", lambda port, key: rivals.ffmpeg_rtsp(server.url, [port], key)))
        add(table, "gst-launch rtspsrc..srtpenc started for the viewer", await spawned(
            few, folder, "gst", lambda port, key: rivals.gst(
                rivals.rtsp_source(server.url), rivals.stock_sink(port, secret=key))))
    cold_encoder, warm_encoder, beside = await pattern(options, folder / "test")
    add(table, "test picture 720p30 encoded, encoder gone", cold_encoder)
    add(table, "test picture 720p30 encoded, a viewer has just left", warm_encoder)
    add(table, "test picture 720p30 encoded, another viewer watches", beside)
    report.goal("warm RTSP start, p95", percentile([s.key for s in warm], 0.95), 50.0, "ms")
    report.goal("warm RTSP start, worst", max(s.key for s in warm), 50.0, "ms")
    report.goal("cold RTSP start, p95", percentile([s.key for s in cold], 0.95), GOP_MS + 300, "ms")
    return report


def add(table, name, runs):
    key, packet = [s.key for s in runs], [s.packet for s in runs]
    table.add(name, median(key), percentile(key, 0.95), max(key), median(packet), percentile(packet, 0.95), len(runs))


# --- hapd

async def rtsp_warm(options, folder, server):
    async with daemon.running(folder, server.camera(audio=False)) as hapd, paired(hapd) as (_, connection):
        await began(connection, daemon.WANT)
        await asyncio.sleep(2 * GOP_MS / 1000)
        return [await began(connection, daemon.WANT) for _ in range(options.runs)]


async def rtsp_cold(options, folder, server):
    """(since the Start write, since the start of the daemon)."""
    cold, whole = [], []
    async with daemon.running(folder, server.camera(audio=False)) as hapd, paired(hapd) as (home, connection):
        for _ in range(options.runs):
            await connection.close()
            await hapd.stop()
            await asyncio.sleep(random.random() * GOP_MS / 1000)
            launched = time.monotonic()
            await hapd.start()
            connection = await home.connect(connection.data)
            cold.append(await began(connection, daemon.WANT))
            whole.append(cold[-1].since(launched))
        await connection.close()
    return cold, whole


async def pattern(options, folder):
    """(first viewer, viewer after another, viewer beside another)."""
    camera = pattern_camera(audio=False, max_streams=4)
    async with daemon.running(folder, camera) as hapd, paired(hapd) as (home, connection):
        cold = []
        for _ in range(max(3, options.runs // 4)):
            await asyncio.sleep(ENCODER_LINGERS)
            cold.append(await began(connection, HD))
        warm = [await began(connection, HD) for _ in range(options.runs)]
        other = await home.connect(connection.data)
        async with Stream(other, (await other.services("110"))[1], HD) as watcher:
            assert await watcher.setup() == 0 and await watcher.start() == 0
            await watcher.first_packets()
            beside = [await began(connection, HD) for _ in range(options.runs)]
            await watcher.end()
    return cold, warm, beside


async def began(connection, want):
    """One view from Setup Endpoints to End, at a random moment of the group of pictures."""
    await asyncio.sleep(random.random() * GOP_MS / 2000)
    async with Stamped(connection, (await connection.services("110"))[0], want) as stream:
        assert await stream.setup() == 0, "Setup Endpoints"
        assert await stream.start() == 0, "Start"
        await wait.until(lambda: stream.video.has_key_frame(stream.their_keys[0]), PATIENCE, "a key frame", 0.005)
        await stream.end()
        return Began(stream.started_at, stream.video)


class Began:
    """One start, in milliseconds."""

    def __init__(self, started, arrivals):
        self._arrivals = arrivals
        first = self.since(started)
        self.key, self.packet = first.key, first.packet

    def since(self, moment):
        return _Milliseconds((self._arrivals.key_at - moment) * 1000, (self._arrivals.came[0][0] - moment) * 1000)


class _Milliseconds:
    def __init__(self, key, packet):
        self.key, self.packet = key, packet


class Arrivals:
    """Packets with the moment they came at, decrypted only when a picture has ended."""

    def __init__(self):
        self.came, self.key_at = [], None
        self._read = 0
        self._ended = False

    def feed(self, data):
        if not srtp.is_rtcp(data):
            self.came.append((time.monotonic(), data))
            self._ended |= bool(data[1] & 0x80)

    def has_key_frame(self, key):
        """Looks only when there is a new end of a picture; `key`: master key and salt."""
        if self.key_at is None and self._ended:
            self._ended = False
            self._look(key)
        return self.key_at is not None

    def _look(self, key):
        context, within = srtp.Context(*key), False
        for at, data in self.came:
            packet = rtp.parse(context.unprotect_rtp(data), at, len(data))
            within |= holds_idr(packet.payload)
            if packet.marker and within:
                self.key_at = at
                return


def holds_idr(payload):
    kind = payload[0] & 0x1F
    return kind == 5 or kind == 28 and payload[1] & 0x1F == 5


class StampedMedia(Arrivals, Media):
    """A controller's socket that keeps what comes as it came."""

    def __init__(self, *arguments):
        Arrivals.__init__(self)
        Media.__init__(self, *arguments)

    def connection_made(self, transport):
        super().connection_made(transport)
        roomy(transport.get_extra_info("socket"))

    def datagram_received(self, data, sender):
        self.feed(data)

    def report(self):
        self.send_rtcp(rtp.receiver_report(self.our_ssrc, 0, 0))


class Stamped(Stream):
    receiver = StampedMedia


# --- what is started anew for each viewer

async def spawned(runs, folder, name, command):
    """From the start of a process that fetches from the camera and sends to the controller."""
    found = []
    for _ in range(runs):
        await asyncio.sleep(random.random() * GOP_MS / 1000)
        key, arrivals = rivals.key(), Arrivals()
        with contextlib.closing(Stamping(arrivals)) as drain:
            started = time.monotonic()
            async with Child(folder, name, command(drain.port, key), rivals.gst_env()) as child:
                await wait.until(lambda: child.still_runs() or arrivals.has_key_frame((key[:16], key[16:])), PATIENCE,
                                 lambda: f"a key frame from {name}\n{child.tail()}", 0.005)
        found.append(Began(started, arrivals))
    return found


class Stamping(Drain):
    def __init__(self, arrivals):
        super().__init__()
        self.feed = arrivals.feed
