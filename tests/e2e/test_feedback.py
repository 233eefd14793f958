"""What a viewer asks for while it watches: PLI, FIR, TMMBR, TSTR; and what the stream does then."""

import asyncio
import time

from harness import rtp, wait
from harness.cameras import pattern_camera
from harness.hapctl import paired as hapctl_paired
from harness.hapd import Hapd, config
from harness.stream import Stream, Want
from harness.view import paired

ANSWERED = 0.25  # seconds from a request to the key frame: the next picture, encoded on a busy machine
SETTLED = 2.0  # seconds that a limit may take
# Nothing that compresses: an encoder uses all it may.
SNOW = "launch:videotestsrc is-live=true pattern=snow ! capsfilter caps=video/x-raw,format=I420,width=640,height=360,framerate=30/1"
TRIP = 0.3  # seconds of a round trip that is told, not true


class watched:
    """`async with watched(connection, want) as stream:` with nothing but our own receiver."""

    def __init__(self, connection, want, slot=0):
        self.connection, self.want, self.slot = connection, want, slot

    async def __aenter__(self):
        service = (await self.connection.services("110"))[self.slot]
        self.stream = await Stream(self.connection, service, self.want).__aenter__()
        assert await self.stream.setup() == 0 and await self.stream.start() == 0
        await self.stream.first_packets()
        return self.stream

    async def __aexit__(self, kind, *_):
        if kind is None:
            assert await self.stream.end() == 0
            await self.stream.bye()
            self.stream.check()
        await self.stream.__aexit__(kind)


def key_frames_since(media, at):
    """When the key frames after `at` began to arrive."""
    found = {}
    for packet in media.packets:
        kind = packet.payload[0] & 0x1F
        if kind == 5 or kind == 28 and packet.payload[1] & 0x1F == 5:
            found.setdefault(packet.timestamp, packet.at)
    return sorted(began for began in found.values() if began > at)


async def ask(media, *feedback):
    """Sends it and returns the time."""
    at = time.monotonic()
    media.ask(*feedback)
    return at


async def answered(media, at):
    """The time from the request at `at` to its key frame."""
    await wait.until(lambda: key_frames_since(media, at), 2, "key frame", 0.005)
    return key_frames_since(media, at)[0] - at


async def test_hapctl_asks_for_everything_and_says_what_came_of_it(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd:
        hapctl = await hapctl_paired(hapd, folder)
        answer = await hapctl.json("view", "cam", "--seconds", "11", "--size", "1280x720", "--bitrate", "802", "--pli", "2",
                                   "--fir", "3.5", "--tmmbr", "300k@5", "--tstr", "31@6")
    video = answer["video"]
    pli, fir, limit, trade_off = video["requests"]
    assert [r["kind"] for r in video["requests"]] == ["pli", "fir", "tmmbr", "tstr"]
    for request in (pli, fir):
        assert request["key_frame_whole"] and request["key_frame_ms"] < ANSWERED * 1000, request
    assert limit["asked"] == limit["notified"] == 300_000 and limit["notified_ms"] < 100, limit
    assert 0 < limit["kbps_after"] <= 300, limit
    assert trade_off["asked"] == trade_off["notified"] == 31 and trade_off["notified_ms"] < 1500, trade_off
    assert video["lost"] == answer["audio"]["lost"] == 0
    assert abs(answer["av_offset_ms"]["median"]) < 500, answer["av_offset_ms"]


async def test_hapctl_drops_and_reconfigures(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd:
        hapctl = await hapctl_paired(hapd, folder)
        answer = await hapctl.json("view", "cam", "--seconds", "10", "--size", "320x240", "--reconfigure", "640x360@7:299",
                                   "--drop", "@2-5:30%", "--pli-on-loss", "--seed", "3")
    video, audio = answer["video"], answer["audio"]
    assert video["dropped"] == video["lost"] > 10 and audio["dropped"] == audio["lost"] > 10
    assert {r["kind"] for r in video["requests"]} == {"pli"}
    assert all(2000 <= r["at_ms"] <= 6000 for r in video["requests"]), "it loses nothing before or after"
    assert video["requests"][-1]["key_frame_whole"], "and has recovered"
    assert [s["width"] for s in video["sizes"]] == [320, 640]


async def test_a_limit_is_kept_on_the_wire_and_answered_at_once(folder):
    camera = pattern_camera(source=SNOW)
    async with Hapd(folder, config(camera)) as hapd, paired(hapd) as (_, connection):
        async with watched(connection, Want(640, 360, 30, kbps=1500, audio=False)) as stream:
            video = stream.video
            await asyncio.sleep(2.5)
            before = video.wire_bits(time.monotonic() - 1.5, time.monotonic())
            at = await ask(video, lambda a, b: rtp.max_bitrate(a, b, 400_000))
            await wait.until(lambda: video.rtcp.of(rtp.TMMBN), 1, "TMMBN", 0.005)
            notice = video.rtcp.of(rtp.TMMBN)[0]
            assert notice.at - at < 0.1, f"TMMBN after {notice.at - at:.3f} s"
            assert notice.limits() == [(video.our_ssrc, 400_000, 40)], "the limit, and whose it is"
            await asyncio.sleep(SETTLED + 3)
            after = video.wire_bits(at + SETTLED, at + SETTLED + 3)
            assert after <= 400_000 < before, f"{before:.0f} bit/s before, {after:.0f} after"
            assert len({p.timestamp for p in video.packets if p.at > at + SETTLED}) > 40, "pictures go on"
            at = await ask(video, lambda a, b: rtp.max_bitrate(a, b, 1_500_000))
            await asyncio.sleep(SETTLED + 2)
            again = video.wire_bits(at + SETTLED, at + SETTLED + 2)
            assert again > 1.5 * after, f"lifted again, but {again:.0f} bit/s after {after:.0f}"


async def test_limit_before_picture_loss_in_one_packet(folder):
    """HAP R1 figure 11-1: the key frame that the PLI asks for is made under the new limit."""
    camera = pattern_camera(source=SNOW)
    async with Hapd(folder, config(camera)) as hapd, paired(hapd) as (_, connection):
        async with watched(connection, Want(640, 360, 30, kbps=1500, audio=False)) as stream:
            await asyncio.sleep(2)
            video = stream.video
            at = await ask(video, lambda a, b: rtp.max_bitrate(a, b, 300_000), rtp.picture_loss)
            assert await answered(video, at) < ANSWERED
            assert video.rtcp.of(rtp.TMMBN)[0].at < at + 0.1
            await asyncio.sleep(1.5)
            bits = video.wire_bits(at, at + 1.5)
            assert bits < 750_000, f"{bits:.0f} bit/s from the key frame on: made under the old limit"


async def test_picture_loss_within_two_round_trips_of_a_key_frame_is_not_answered(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        async with watched(connection, Want()) as stream:
            video = stream.video
            stream._stop_reports()
            for _ in range(3):
                known = len(video.rtcp.reports)
                await wait.until(lambda: len(video.rtcp.reports) > known, 2, "sender report")
                await asyncio.sleep(TRIP + 0.02)
                video.report_round_trip(TRIP)
            first = await ask(video, rtp.picture_loss)
            key = first + await answered(video, first)
            await asyncio.sleep(0.1)
            early = await ask(video, rtp.picture_loss)
            await asyncio.sleep(key + 2 * TRIP + 0.05 - time.monotonic())
            assert not key_frames_since(video, early), "the key frame on its way repairs it"
            late = await ask(video, rtp.picture_loss)
            assert await answered(video, late) < ANSWERED
            stream.media_tasks()


async def test_a_repeated_full_intra_request_is_one_request(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        async with watched(connection, Want()) as stream:
            await asyncio.sleep(1)
            for sequence in (7, 8):
                at = await ask(stream.video, lambda a, b, n=sequence: rtp.full_intra(a, b, n))
                assert await answered(stream.video, at) < ANSWERED
                again = await ask(stream.video, lambda a, b, n=sequence: rtp.full_intra(a, b, n))
                await asyncio.sleep(0.5)
                assert not key_frames_since(stream.video, again), f"FIR {sequence} a second time"


async def test_trade_off_is_notified(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        async with watched(connection, Want()) as stream:
            await ask(stream.video, lambda a, b: rtp.trade_off(a, b, 9, 20))
            await wait.until(lambda: stream.video.rtcp.of(rtp.TSTN), 2, "TSTN")
            (ssrc, word), = stream.video.rtcp.of(rtp.TSTN)[0].entries()
            assert (ssrc, word >> 24, word & 0x1F) == (stream.video.our_ssrc, 9, 20)
