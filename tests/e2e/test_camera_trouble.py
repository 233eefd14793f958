"""Cameras that do what they should not: their viewers see it through, and those of another camera notice nothing."""

import asyncio
import contextlib
import dataclasses
import time

import pytest

from harness import rtp, wait
from harness.ffmpeg import picture_bytes
from harness.hapd import Hapd, config
from harness.home import Home
from harness.rough import Programme, RoughCamera, clip, slices
from harness.stream import Media, Stream, Want
from harness.view import finish, view
from test_feedback import watched
from test_live import check_sound_on_the_wire
from test_snapshot import picture, shades

pytestmark = pytest.mark.needs("ffmpeg")

WANT = Want(640, 360, 30, kbps=2000)
LEAD = 6  # seconds of good pictures before the trouble, for the daemon and its viewers to settle
PAUSE = 0.2  # seconds a viewer may wait for a packet
MOST = 4 << 20  # bytes of a picture that is passed on; a larger one is left out, with what depends on it
BUSY = 0.05  # seconds this process may be kept from running before the machine counts as stalled


class Stalls:
    """When the machine did not let this process run."""

    def __init__(self):
        self.seen, self.task = [], asyncio.create_task(self._watch())

    async def _watch(self):
        while True:
            before = time.monotonic()
            await asyncio.sleep(0.01)
            if time.monotonic() - before > BUSY:
                self.seen.append((before, time.monotonic()))

    def within(self, since, until):
        """Seconds lost between two times."""
        return sum(max(0.0, min(until, b) - max(since, a)) for a, b in self.seen)


class Troubled:
    """A daemon with a rough camera and a healthy one, both paired; the healthy one is watched all the time."""

    def __init__(self, hapd, rough, connection, second, healthy):
        self.hapd, self.rough, self.connection, self.second, self.healthy = hapd, rough, connection, second, healthy

    def moment(self, seconds):
        """When the programme is that far."""
        return self.rough.plays()[0] + seconds + time.monotonic() - time.time()

    async def until(self, seconds):
        await asyncio.sleep(max(0.0, self.moment(seconds) - time.monotonic()))


@contextlib.asynccontextmanager
async def troubled(folder, programme, **camera):
    pictures = clip(folder / "healthy.h264", "320x240", 90, 30)
    healthy = Programme().play(pictures * (int(programme.seconds) // 3 + 10), 30)
    async with RoughCamera(folder, programme) as rough, RoughCamera(folder, healthy, "Healthy") as well, \
            Hapd(folder, config(rough.camera(**camera), well.camera())) as hapd, Home() as home:
        first, neighbour = [await _paired(hapd, home, name) for name in (rough.name, well.name)]
        second = await home.connect(first.data)
        stalls = Stalls()
        await wait.until(lambda: rough.plays() and well.plays(), 5, "hapd at both cameras")
        async with watched(neighbour, Want(320, 240, 30, kbps=2000)) as stream:
            yield Troubled(hapd, rough, first, second, stream)
        stalls.task.cancel()
        for camera in (rough, well):
            assert len(camera.plays()) == 1, "a connection to a camera was lost"
        check_untouched(stream, pictures, stalls)
        hapd.no_panic()


async def _paired(hapd, home, name):
    entry = hapd.pairing_info()[name]
    return await home.pair(entry["device_id"], entry["setup_code"])


def check_untouched(stream, pictures, stalls):
    """Every picture of the camera, in order; every packet of sound; no pause. (No packet was lost: `watched`.)"""
    check_all_pictures(stream, pictures)
    check_sound_on_the_wire(stream)
    steps = time_steps(stream.video)
    assert 0 < min(steps) and max(steps) < PAUSE * 90000, (min(steps), max(steps))
    for media in stream.media:
        for a, b in zip(media.packets, media.packets[1:]):
            pause = b.at - a.at - stalls.within(a.at, b.at)
            assert pause < PAUSE, f"{media.name} paused for {pause:.3f} s"


def check_all_pictures(stream, pictures, since=0.0):
    """The viewer got each picture of a clip that is played over and over, from some picture on."""
    places = {nal: index for index, nal in enumerate(slices(pictures))}
    assert len(places) == len(pictures), "pictures are told apart"
    got = [places[nal] for nal in sent_slices(stream.video, since)]
    odd = [(a, b) for a, b in zip(got, got[1:]) if (b - a) % len(pictures) != 1]
    assert not odd and len(got) > 60, f"{len(got)} pictures, not one after the other: {odd[:10]}"


def sent_slices(media, since=0.0):
    depacketiser = rtp.H264()
    for packet in media.packets:
        if packet.at >= since:
            depacketiser.push(packet)
    return [nal.rstrip(b"\0") for _, nal, _ in depacketiser.nals if nal[0] & 0x1F in (1, 5)]


def time_steps(media):
    """Ticks from each picture (or packet of sound) to the next: negative where time goes back."""
    ends = [p for p in media.packets if p.marker or media.name == "audio"]
    return [(b.timestamp - a.timestamp + 2**31 & 0xFFFFFFFF) - 2**31 for a, b in zip(ends, ends[1:])]


def check_time_grows(media):
    steps = time_steps(media)
    assert min(steps) > 0, f"{media.name} goes back, or stands still: {[s for s in steps if s <= 0][:10]}"


def pictures_between(media, since, until):
    return len({p.timestamp for p in media.packets if since <= p.at < until})


def widths(media):
    """Of each parameter set that differs from the one before."""
    sets = [nal for _, nal, _ in media.nals() if nal[0] & 0x1F == 7]
    sizes = [rtp.sps_info(nal)["width"] for nal in sets]
    return [w for before, w in zip([None, *sizes], sizes) if w != before]


async def test_the_resolution_changes_and_back(folder):
    """To a smaller one, and to one that the viewer cannot take."""
    usual, small, large = [clip(folder / f"{size}.h264", size, 60, 30) for size in ("640x360", "320x240", "1280x720")]
    programme = Programme().play(usual * (LEAD // 2), 30).play(small, 30).play(usual, 30).play(large * 2, 30).play(usual * 2, 30)
    async with troubled(folder, programme) as trouble:
        async with view(trouble.connection, folder, WANT) as (stream, receiver):
            await trouble.until(programme.seconds - 0.5)
            await finish(stream, receiver)
        sizes = widths(stream.video)
        assert [w for w in sizes if w <= 640] in ([640, 320, 640], [640, 320, 640, 640]), sizes
        # The camera's own picture may be seen until the one made of it is there.
        assert receiver.frame_sizes().count(picture_bytes(1280, 720)) < 30, "the larger one as the viewer asked for it"
        check_time_grows(stream.video)
        check_sound_on_the_wire(stream)
        for name, since, until, least in [("small", LEAD, LEAD + 2, 55), ("large", LEAD + 5.5, LEAD + 8, 60),
                                          ("usual again", LEAD + 9, LEAD + 11, 55)]:
            count = pictures_between(stream.video, trouble.moment(since + 0.3), trouble.moment(until + 0.3))
            assert count >= least, f"{name}: {count} pictures in {until - since} s"


async def test_the_sound_is_lost_and_found(folder):
    pictures = clip(folder / "clip.h264", "640x360", 60, 30)
    programme = Programme().play(pictures * (LEAD // 2), 30).play(pictures * 2, 30, sound=False).play(pictures * 2, 30)
    async with troubled(folder, programme) as trouble:
        async with view(trouble.connection, folder, WANT) as (stream, receiver):
            await trouble.until(programme.seconds - 0.5)
            await finish(stream, receiver)
        check_all_pictures(stream, pictures)
        for media in stream.media:
            check_time_grows(media)
        later = [p for p in stream.audio.packets if p.at > trouble.moment(LEAD + 4.5)]
        assert len(later) > 100, f"{len(later)} packets of sound after it came back"
        before = [p for p in stream.audio.packets if p.at < trouble.moment(LEAD)]
        # By the packets that were delayed least: any may have waited for this process.
        start = before[0]
        late = lambda p: p.at - start.at - ((p.timestamp - start.timestamp) & 0xFFFFFFFF) / WANT.clock  # noqa: E731
        skew = min(map(late, later)) - min(map(late, before))
        assert abs(skew) < 0.2, f"the sound is {skew:.3f} s off after the gap"


def doubled(index, seconds):
    """Two pictures share each timestamp."""
    return seconds if index is None else seconds - index % 2 / 30


TRICKS = [
    ("repeated", 2, doubled),
    ("stopped", 1, lambda index, seconds: seconds if index is None else seconds - index / 30),
    ("corrected", 2, lambda _, seconds: seconds - 0.3),
    ("back a minute", 2, lambda _, seconds: seconds - 60),
    ("ahead a hundred seconds", 2, lambda _, seconds: seconds + 100),
    ("half the ticks", 2, lambda _, seconds: seconds / 2),
]


async def test_timestamps_repeat_and_jump(folder):
    pictures = clip(folder / "clip.h264", "640x360", 30, 30)
    programme = Programme().play(pictures * LEAD, 30)
    for _, seconds, stamp in TRICKS:
        programme.play(pictures * seconds, 30, stamp=stamp)
    programme.play(pictures * 3, 30)
    silent = dataclasses.replace(WANT, audio=False)
    async with troubled(folder, programme) as trouble:
        # Sound is not for ffmpeg here: it takes each report that corrects the clocks for a step of the sound itself.
        async with view(trouble.connection, folder, silent) as (seen, receiver), \
                watched(trouble.second, WANT, slot=1) as stream:
            await trouble.until(programme.seconds - 0.5)
            await finish(seen, receiver)
        assert "timestamps jumped camera=" in trouble.hapd.log.read_text(), "jumps are counted"
        check_all_pictures(seen, pictures)
        check_all_pictures(stream, pictures)
        for media in stream.media:
            check_time_grows(media)
            check_in_time(stream, media)


def check_in_time(stream, media):
    """What is sent keeps near the time it is sent at, all the way."""
    clock = 90000 if media is stream.video else stream.want.clock
    first = media.packets[0]
    # The first group of pictures comes in fast motion.
    delays = [p.at - first.at - ((p.timestamp - first.timestamp) & 0xFFFFFFFF) / clock for p in media.packets]
    assert max(delays) - min(delays) < 3, f"{media.name}: {min(delays):.2f} to {max(delays):.2f} s"


class Headers(Media):
    """Looks at headers only: a key frame of 10 MB in a quarter of a second is no small thing for Python."""

    def datagram_received(self, data, sender):
        if 200 <= data[1] <= 207:
            super().datagram_received(data, sender)
        else:
            self.packets.append(rtp.parse(data, time.monotonic(), len(data)))


class Hurried(Stream):
    receiver = Headers


@pytest.mark.parametrize("passthrough", ["auto", "always"])
async def test_a_key_frame_of_ten_megabytes(folder, passthrough):
    usual = clip(folder / "usual.h264", "640x360", 30, 30)
    noise = clip(folder / "noise.h264", "3072x1728", 10, 30, "-vf", "noise=alls=100:allf=u", "-qp", "1", source="smptebars")
    size = max(map(len, slices(noise)))
    assert size > 10_000_000 and size == len(slices(noise)[0]), f"{size} bytes"
    programme = Programme().play(usual * LEAD, 30).play(noise, 10).play(usual * 5, 30)
    async with troubled(folder, programme, passthrough=passthrough) as trouble:
        service = (await trouble.connection.services("110"))[0]
        async with Hurried(trouble.connection, service, WANT) as stream:
            assert await stream.setup() == 0 and await stream.start() == 0
            await trouble.until(programme.seconds - 2)
            async with view(trouble.second, folder, WANT, slot=1) as (late, receiver):
                await late.run_for(1.5)
                await finish(late, receiver)
            assert set(receiver.frame_sizes()) == {picture_bytes(640, 360)}
            assert await stream.end() == 0
            await stream.bye()
        check_time_grows(stream.video)
        count = pictures_between(stream.video, trouble.moment(LEAD + 3), trouble.moment(LEAD + 5))
        assert count >= 55, f"{count} pictures in two seconds, soon after the trouble"
        largest = max(bytes_of_pictures(stream.video))
        assert largest < MOST, f"{largest} bytes in one picture"


def bytes_of_pictures(media):
    sizes = {}
    for packet in media.packets:
        sizes[packet.timestamp] = sizes.get(packet.timestamp, 0) + len(packet.payload)
    return sizes.values()


@pytest.mark.deadline(150)
async def test_no_key_frame_for_a_minute(folder):
    """Who watches goes on watching; who comes sees the last key frame at once, and goes on with the next."""
    pictures = clip(folder / "clip.h264", "320x240", 900, 15, gop=900)
    programme = Programme().play(pictures + pictures[:60], 15)
    async with troubled(folder, programme) as trouble:
        async with view(trouble.connection, folder, WANT, slot=0, name="early") as (early, receiver):
            await trouble.until(15)
            async with view(trouble.second, folder, WANT, slot=1, name="late") as (late, latecomer):
                await wait.until(lambda: late.video.key_frames(), 1, "a still")
                waited = late.video.first_key_frame_at() - late.started_at
                assert waited < 0.5, f"{waited:.3f} s"
                await trouble.until(40)
                assert pictures_between(late.video, 0, time.monotonic()) == 1, "nothing that cannot be decoded"
                assert shades(picture(await trouble.second.snapshot(320, 180))) > 5
                reports = len(late.video.rtcp.reports)
                await trouble.until(programme.seconds - 0.5)
                assert len(late.video.rtcp.reports) > reports + 20, "reports come all the time"
                await finish(late, latecomer)
            await finish(early, receiver)
        check_all_pictures(early, pictures)
        for stream in (early, late):
            check_time_grows(stream.video)
            check_sound_on_the_wire(stream)
        assert sent_slices(late.video)[:1] == slices(pictures)[:1]
        check_again_from_the_key_frame(late, pictures, trouble.moment(59))
        assert len(latecomer.frame_sizes()) > 40


def check_again_from_the_key_frame(stream, pictures, since):
    got = sent_slices(stream.video, since)
    assert got == slices(pictures)[: len(got)] and len(got) > 40, f"{len(got)} pictures"
