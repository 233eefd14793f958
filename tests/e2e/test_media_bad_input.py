"""Bad input on the media ports: the session goes on, or ends as it should, and another viewer loses nothing."""

import asyncio
import contextlib
import os
import random
import socket
import struct
import time

import pytest

from harness import rtp, srtp, wait
from harness.cameras import pattern_camera
from harness.hapd import Hapd, config
from harness.stream import Stream, Want
from harness.view import paired
from test_feedback import ANSWERED, answered, ask, key_frames_since, watched

WANT = Want(320, 240, 30, kbps=299)


@contextlib.asynccontextmanager
async def two_viewers(folder, want=WANT):
    """(hapd, the one that is attacked, its neighbour); the neighbour must not have lost a packet at the end."""
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (home, first):
        second = await home.connect(first.data)
        async with watched(second, want, slot=1) as neighbour:
            service = (await first.services("110"))[0]
            async with Stream(first, service, want) as stream:
                assert await stream.setup() == 0 and await stream.start() == 0
                await stream.first_packets()
                yield hapd, stream, neighbour
        check_steady(neighbour)


def check_steady(stream):
    """No packet missing (`watched` has looked), and no pause."""
    for media in stream.media:
        gaps = [b.at - a.at for a, b in zip(media.packets, media.packets[1:])]
        assert max(gaps) < 0.7, f"{media.name} paused for {max(gaps):.2f} s"


async def goes_on(stream):
    """Pictures come, none was lost, and the stream still listens to its viewer."""
    count = len(stream.video.packets)
    await wait.until(lambda: len(stream.video.packets) > count + 10, 2, "more packets")
    assert await answered(stream.video, await ask(stream.video, rtp.picture_loss)) < ANSWERED
    stream.check()
    assert await stream.end() == 0
    await stream.bye()
    stream.answer = None


def report(media):
    return rtp.receiver_report(media.our_ssrc, media.packets[-1].ssrc, media.packets[-1].seq)


def pli(media):
    return report(media) + rtp.picture_loss(media.our_ssrc, media.packets[-1].ssrc)


# Each returns datagrams that must not be acted on, given the stream.


def forged(stream):
    media = stream.video
    yield pli(media)  # not even encrypted
    for size in (1, 2, 7, 8, 11, 12, 13, 20, 27, 28, 100, 1400, 9000):
        for start in (b"\x80\xc8", b"\x81\xc9", b"\x81\xce", b"\x80\x63", b"\x90\x63", b"\xff\xff", b"\x00\x00"):
            yield (start + os.urandom(size))[:size]


def wrong_key(stream):
    context = srtp.Context(os.urandom(16), os.urandom(14))
    for _ in range(20):
        yield context.protect_rtcp(pli(stream.video))
        header = struct.pack("!BBHII", 0x80, 99, random.randrange(65536), 1, stream.video.our_ssrc)
        yield context.protect_rtp(header + bytes(50))


def audio_key(stream):
    """The key of the other medium, and the accessory's own."""
    for key, salt in (stream.our_keys[1], *stream.their_keys):
        yield srtp.Context(key, salt).protect_rtcp(pli(stream.video))


def truncated(stream):
    whole = stream.video._protect.protect_rtcp(pli(stream.video))
    yield from (whole[:length] for length in range(len(whole)))
    flipped = bytearray(whole)
    for at in range(0, len(whole), 3):
        flipped[at] ^= 0x10
        yield bytes(flipped)


HARMLESS = [forged, wrong_key, audio_key, truncated]


@pytest.mark.parametrize("attack", HARMLESS, ids=lambda a: a.__name__)
async def test_what_is_not_authentic_is_ignored(folder, attack):
    async with two_viewers(folder) as (_, stream, _):
        await asyncio.sleep(0.7)
        at = time.monotonic()
        stranger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        for datagram in attack(stream):
            stranger.sendto(datagram, stream.video.remote)
            stream.video.transport.sendto(datagram, stream.video.remote)
        await asyncio.sleep(0.7)
        assert not key_frames_since(stream.video, at), "nobody asked for one"
        await goes_on(stream)
        stranger.close()


async def test_a_replayed_request_is_heard_once(folder):
    async with two_viewers(folder) as (_, stream, _):
        video = stream.video
        await asyncio.sleep(0.7)
        whole, at = video._protect.protect_rtcp(pli(video)), time.monotonic()
        video.transport.sendto(whole, video.remote)
        await answered(video, at)
        for _ in range(10):
            await asyncio.sleep(0.1)
            video.transport.sendto(whole, video.remote)
        assert len(key_frames_since(video, at)) == 1
        await goes_on(stream)


async def test_requests_about_others_are_not_ours(folder):
    """Authentic, but of a media source the accessory does not have."""
    async with two_viewers(folder) as (_, stream, _):
        video = stream.video
        await asyncio.sleep(0.7)
        at = time.monotonic()
        for other in (0, 1, stream.their_ssrcs[1], stream.their_ssrcs[0] ^ 1):
            video.send_rtcp(report(video) + rtp.picture_loss(video.our_ssrc, other))
            video.send_rtcp(report(video) + rtp.full_intra(video.our_ssrc, other, 200))
            video.send_rtcp(report(video) + rtp.max_bitrate(video.our_ssrc, other, 10_000))
        await asyncio.sleep(0.7)
        assert not key_frames_since(video, at) and not video.rtcp.of(rtp.TMMBN)
        await goes_on(stream)


async def test_authentic_packets_with_absurd_contents(folder):
    async with two_viewers(folder) as (_, stream, _):
        video = stream.video
        ours, theirs = video.our_ssrc, stream.their_ssrcs[0]
        whole = [
            struct.pack("!BBHI", 0x81, 201, 0xFFFF, ours),  # a length beyond the datagram
            struct.pack("!BBHI", 0x9F, 201, 1, ours),  # 31 blocks announced, none there
            report(video) + struct.pack("!BBH", 0x81, 206, 0xFFFF),
            report(video) + struct.pack("!BBHII", 0x84, 206, 2, ours, 0),  # FIR without an entry
            report(video) + struct.pack("!BBHII", 0x83, 205, 2, ours, 0),  # TMMBR without an entry
            report(video) + rtp.feedback(rtp.TMMBR, ours, theirs, 0xFFFFFFFF),  # beyond 64 bits
            report(video) + struct.pack("!BBHI", 0xDF, 202, 1, ours),
            report(video) + rtp.picture_loss(ours, theirs)[:-4],
            struct.pack("!BBHI", 0x80, 201, 1, ours) * 200,
            struct.pack("!BBHI", 0x81, 203, 1, theirs),  # BYE in the accessory's name
            struct.pack("!BBHI", 0x80, 255, 1, ours), struct.pack("!BBHI", 0x80, 192, 1, ours),
            rtp.receiver_report(ours, theirs, 0, lost=0x7FFFFF, jitter=0xFFFFFFFF, last_sr=1, delay=0xFFFFFFFF),
        ]
        for compound in whole:
            video.send_rtcp(compound)
        for _ in range(200):
            video.send_rtcp(struct.pack("!BBHI", 0x81, random.randrange(192, 224), random.randrange(65536), ours)
                            + os.urandom(4 * random.randrange(100)))
        await asyncio.sleep(0.5)
        await goes_on(stream)


@pytest.mark.parametrize("limit", [0, 1, 2**63], ids=["nothing", "one bit", "2^63"])
async def test_absurd_limits_are_kept_within_what_can_be_done_and_said_so(folder, limit):
    async with two_viewers(folder) as (_, stream, _):
        video = stream.video
        await asyncio.sleep(1)
        at = await ask(video, lambda a, b: rtp.max_bitrate(a, b, limit))
        await wait.until(lambda: video.rtcp.of(rtp.TMMBN), 1, "TMMBN")
        ((owner, kept, _),) = video.rtcp.of(rtp.TMMBN)[0].limits()
        assert owner == video.our_ssrc and kept >= 1000, f"TMMBN {kept} bit/s for a TMMBR of {limit}"
        await asyncio.sleep(2)
        pictures = len({p.timestamp for p in video.packets if p.at > at + 1})
        assert pictures > 10, f"{pictures} pictures in a second: it goes on"
        await goes_on(stream)


async def test_a_flood_of_authentic_requests(folder):
    """A thousand PLIs are no thousand key frames."""
    async with two_viewers(folder) as (_, stream, _):
        at = time.monotonic()
        for _ in range(1000):
            stream.video.ask_for_picture()
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.3)
        seconds = time.monotonic() - at
        assert len(key_frames_since(stream.video, at)) <= 31 * seconds
        await goes_on(stream)


async def test_a_viewer_that_never_reads(folder):
    """Its socket is full from the first moment; its reports keep the session."""
    async with two_viewers(folder) as (_, stream, neighbour):
        for media in stream.media:
            asyncio.get_running_loop()._remove_reader(media.transport.get_extra_info("socket").fileno())
        await asyncio.sleep(6)
        assert await stream.status() == 1, "it reports, so it is there"
        assert len(neighbour.video.packets) > 150
        assert await stream.end() == 0
        assert await stream.status() == 0
        stream.answer = None


@pytest.mark.deadline(90)
async def test_closed_ports_end_the_session_after_its_silence(folder):
    """The kernel answers with ICMP; thirty seconds without a report end it, and the slot is free."""
    async with two_viewers(folder) as (hapd, stream, _):
        stream._stop_reports()
        for media in stream.media:
            media.transport.close()
        since = time.monotonic()

        async def free():
            return await stream.status() == 0
        await wait.until(free, 40, "streaming status available", 0.25)
        assert time.monotonic() - since > 1, "not at the first ICMP: a viewer's port may be closed for a moment"
        stream.answer = None
        assert hapd.process.poll() is None
