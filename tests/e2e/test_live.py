"""Live view of the test picture: aiohomekit negotiates, our receiver counts, ffmpeg decrypts and decodes."""

import asyncio
import os
import time

import pytest

from harness import ffmpeg, rtp, wait
from harness.cameras import pattern_camera
from harness.ffmpeg import picture_bytes
from harness.hapd import Hapd, config
from harness.stream import RESUME, SUSPEND, Stream, Want
from harness.view import finish, paired, view

pytestmark = pytest.mark.needs("ffmpeg")


async def test_video_and_sound_decode_without_error_or_loss(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        want = Want(640, 360, 30, kbps=299)
        async with view(connection, folder, want) as (stream, receiver):
            assert await stream.status() == 1, "in use"
            await stream.run_for(4)
            await finish(stream, receiver)
        check_decoded(receiver, want, seconds=4)
        check_video_on_the_wire(stream)
        check_sound_on_the_wire(stream)
        check_reports(stream)


def check_decoded(receiver, want, seconds):
    sizes = receiver.frame_sizes()
    assert set(sizes) == {picture_bytes(want.width, want.height)}
    assert len(sizes) >= 0.8 * want.fps * seconds, f"{len(sizes)} pictures in {seconds} s"
    lasted = receiver.stream.video.span() / 90000
    assert len(sizes) <= 1.3 * want.fps * (lasted + 2), f"{len(sizes)} pictures in {lasted:.1f} s: more than asked for"
    length, loudness = receiver.sound()
    assert length >= 0.8 * seconds and loudness > 20, (length, loudness)


def check_video_on_the_wire(stream):
    nals, packets = stream.video.nals(), stream.video.packets
    kinds = [nal[0] & 0x1F for _, nal, _ in nals]
    assert kinds[:2] == [7, 8], "the stream begins with SPS and PPS"
    assert {how for _, nal, how in nals if nal[0] & 0x1F in (7, 8)} == {"stap-a"}
    assert set(kinds) <= {1, 5, 7, 8}, f"NAL unit types {set(kinds)}"
    assert packets[0].payload[0] & 0x1F == 24 and not packets[0].marker
    for timestamp in stream.video.key_frames():
        assert [n[0] & 0x1F for t, n, _ in nals if t == timestamp][:2] == [7, 8], "an IDR without SPS and PPS"
    steps = [(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in zip(packets, packets[1:])]
    assert all(step < 90000 for step in steps), "90 kHz timestamps that never go back"
    ends = [p for p in packets if p.marker]
    assert len(ends) == len({p.timestamp for p in packets}), "one marker per access unit"
    sps = rtp.sps_info(next(nal for _, nal, _ in nals if nal[0] & 0x1F == 7))
    assert (sps["width"], sps["height"]) == (stream.want.width, stream.want.height)
    assert sps["profile"] == {0: 66, 1: 77, 2: 100}[stream.want.profile]


def check_sound_on_the_wire(stream):
    packets, want = stream.audio.packets, stream.want
    assert {rtp.opus_duration_ms(p.payload) for p in packets} == {want.packet_time}
    step = want.clock * want.packet_time // 1000
    steps = [(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in zip(packets, packets[1:])]
    odd = [(i, s, round(packets[i + 1].at - packets[i].at, 3)) for i, s in enumerate(steps) if s != step]
    assert not odd, f"(packet, timestamp step, seconds between arrivals) of {len(packets)}: {odd[:10]}"


def check_reports(stream):
    """Sender reports from the start, every half second, and one clock for picture and sound."""
    video, audio = stream.video, stream.audio
    reports = video.rtcp.reports
    assert reports and reports[0].at - video.packets[0].at < 0.6
    gaps = [b.at - a.at for a, b in zip(reports, reports[1:])]
    assert max(gaps, default=0) < 1.5, gaps
    assert {r.ssrc for r in reports} == {stream.their_ssrcs[0]}
    assert audio.rtcp.reports, "no sender report for sound"
    assert video.rtcp.cnames and video.rtcp.cnames == audio.rtcp.cnames
    skew = abs(capture_delay(video, 90000) - capture_delay(audio, stream.want.clock))
    assert skew < 0.5, f"picture and sound are {skew:.3f} s apart by their sender reports"
    wall = time.time() + 2208988800
    assert abs(reports[-1].ntp - wall) < 60, "NTP time is not the time of day"


def capture_delay(media, clock):
    """Seconds from the NTP time of a packet, by the newest report, to its arrival; the median."""
    report = media.rtcp.reports[-1]
    offset = time.time() + 2208988800 - time.monotonic()
    delays = []
    for packet in media.packets:
        ticks = ((packet.timestamp - report.timestamp + 2**31) & 0xFFFFFFFF) - 2**31
        delays.append(packet.at + offset - (report.ntp + ticks / clock))
    return sorted(delays)[len(delays) // 2]


async def test_status_is_announced_to_another_subscriber(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (home, connection):
        service = (await connection.services("110"))[0]
        watcher = await home.connect(connection.data)
        async with Stream(connection, service, Want()) as stream:
            iid = stream._iid["120"]
            await watcher.subscribe(iid)
            assert await stream.setup() == 0
            await wait.until(lambda: watcher.events, 5, "event: in use")
            assert watcher.events[0] == (1, iid, "AQEB")
            assert await stream.start() == 0
            await stream.first_packets()
            await stream.end()
            await wait.until(lambda: watcher.events[-1] == (1, iid, "AQEA"), 5, "event: available")


@pytest.mark.parametrize("rate,packet_time", [(1, 20), (1, 60), (2, 20), (2, 40), (2, 60)])
async def test_opus_clock_and_packet_time_are_exactly_as_asked(folder, rate, packet_time):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        want = Want(320, 240, 15, kbps=132, rate=rate, packet_time=packet_time)
        async with view(connection, folder, want) as (stream, receiver):
            await stream.run_for(2)
            await finish(stream, receiver)
        check_sound_on_the_wire(stream)
        length, loudness = receiver.sound()
        assert length > 1.4 and loudness > 20, (length, loudness)


@pytest.mark.parametrize("width,height,fps,kbps,profile,level", [
    (320, 240, 15, 132, 0, 0), (480, 270, 30, 132, 1, 0), (1280, 720, 30, 800, 2, 0), (1920, 1080, 30, 1500, 2, 2)])
async def test_sizes_profiles_and_rates(folder, width, height, fps, kbps, profile, level):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        want = Want(width, height, fps, kbps, profile, level)
        async with view(connection, folder, want) as (stream, receiver):
            await stream.run_for(3)
            await finish(stream, receiver)
        assert set(receiver.frame_sizes()) == {picture_bytes(width, height)}
        packets = stream.video.packets
        seconds = packets[-1].at - packets[0].at
        pictures = len({p.timestamp for p in packets})
        assert 0.7 * fps * seconds <= pictures <= 1.1 * fps * seconds + 3, f"{pictures} in {seconds:.1f} s"
        sps = rtp.sps_info(next(nal for _, nal, _ in stream.video.nals() if nal[0] & 0x1F == 7))
        assert (sps["width"], sps["height"]) == (width, height)
        assert sps["profile"] <= {0: 66, 1: 77, 2: 100}[profile]


async def test_reconfigure_keeps_ssrc_and_sequence_and_changes_the_size(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        want = Want(640, 360, 30, kbps=299)
        async with view(connection, folder, want) as (stream, receiver):
            await stream.run_for(1.5)
            before = len(stream.video.packets)
            assert await stream.reconfigure(320, 180, 30, 132) == 0
            await wait.until(lambda: _size_now(stream) == (320, 180), 5, "the smaller picture")
            await asyncio.sleep(1)
            assert await stream.reconfigure(1280, 720, 30, 800) == 0
            await wait.until(lambda: _size_now(stream) == (1280, 720), 5, "the larger picture")
            await asyncio.sleep(1.5)
            await finish(stream, receiver)  # asserts one SSRC and no jump over all three sizes
        assert before > 10 and len(stream.video.packets) > before + 30
        expected = [picture_bytes(*size) for size in ((640, 360), (320, 180), (1280, 720))]
        sizes = receiver.frame_sizes()
        assert [s for i, s in enumerate(sizes) if i == 0 or sizes[i - 1] != s] == expected
        assert stream.audio.packets and stream.audio.lost() == 0


def _size_now(stream):
    parameter_sets = [nal for _, nal, _ in stream.video.nals() if nal[0] & 0x1F == 7]
    sps = rtp.sps_info(parameter_sets[-1])
    return sps["width"], sps["height"]


async def test_picture_loss_is_answered_with_a_key_frame(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        async with view(connection, folder, Want()) as (stream, receiver):
            await stream.run_for(1)
            for _ in range(3):
                await asyncio.sleep(0.7)
                known, asked = len(stream.video.key_frames()), time.monotonic()
                stream.video.ask_for_picture()
                await wait.until(lambda: len(stream.video.key_frames()) > known, 2, "key frame after PLI", 0.01)
                assert time.monotonic() - asked < 0.5
            await finish(stream, receiver)


async def test_suspend_stops_the_media_and_resume_goes_on_with_a_key_frame(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        async with view(connection, folder, Want()) as (stream, receiver):
            await stream.run_for(1)
            assert await stream.control(SUSPEND) == 0
            await asyncio.sleep(0.3)
            silent = len(stream.video.packets), len(stream.audio.packets)
            await asyncio.sleep(1)
            assert (len(stream.video.packets), len(stream.audio.packets)) == silent
            keys = len(stream.video.key_frames())
            assert await stream.control(RESUME) == 0
            await wait.until(lambda: len(stream.video.key_frames()) > keys, 3, "key frame after resume")
            after = stream.video.packets[silent[0]]
            assert after.payload[0] & 0x1F == 24, "goes on with SPS and PPS"
            await asyncio.sleep(0.5)
            assert await stream.end() == 0
            stream.video.check(stream.their_ssrcs[0], 99, stream.want.mtu)


async def test_two_viewers_at_once_and_a_third_is_told_busy(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (home, first):
        second = await home.connect(first.data)
        want = Want(640, 360, 30)
        async with view(first, folder, want, 0, name="one") as one, view(second, folder, want, 1, name="two") as two:
            await one[0].run_for(3)
            busy = (await second.services("110"))[0]
            async with Stream(second, busy, want) as third:
                assert await third.setup() == 1, "busy"
            await finish(*one)
            await asyncio.sleep(0.5)
            await finish(*two)
        for _, receiver in (one, two):
            check_decoded(receiver, want, seconds=3)
        assert one[0].their_ssrcs[0] != two[0].their_ssrcs[0] and one[0].their_keys != two[0].their_keys


async def test_a_slot_is_free_again_when_its_connection_is_gone(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (home, keeper):
        viewer = await home.connect(keeper.data)
        async with view(viewer, folder, Want()) as (stream, _):
            await stream.run_for(0.5)
            watching = Stream(keeper, (await keeper.services("110"))[0], Want())
            assert await watching.status() == 1
            await viewer.close()
            await wait.until(_free(watching), 3, "streaming status available")
            count = len(stream.video.packets)
            await asyncio.sleep(0.5)
            assert len(stream.video.packets) <= count + 1, "nothing is sent any more"
            stream.answer = None  # nobody is left to end it
        async with view(keeper, folder, Want(), name="again") as (stream, receiver):
            await stream.run_for(1)
            await finish(stream, receiver)


def _free(stream):
    async def free():
        return await stream.status() == 0
    return free


async def test_a_deactivated_stream_management_refuses_and_ends(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (home, connection):
        service = (await connection.services("110"))[0]
        active = next(c["iid"] for c in service["characteristics"] if c["type"].upper().startswith(("B0", "000000B0")))
        other = await home.connect(connection.data)
        async with view(connection, folder, Want()) as (stream, _):
            await stream.run_for(0.5)
            assert await other.put({"iid": active, "value": 0}) == [0]
            await stream.bye()
            assert await stream.connection.write_tlv(stream._iid["118"], b"\x01\x10" + bytes(16)) == -70412
            assert await other.put({"iid": active, "value": 1}) == [0]
            assert await stream.status() == 0
            stream.answer = None


async def test_old_session_ids_and_late_commands_are_rejected(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        async with view(connection, folder, Want()) as (stream, receiver):
            await stream.run_for(0.5)
            await finish(stream, receiver)
            assert await stream.reconfigure(320, 180, 30, 132) == -70410
            assert await stream.status() == 0
            count = len(stream.video.packets)
            await asyncio.sleep(0.5)
            assert len(stream.video.packets) == count


async def test_ten_views_one_after_the_other_leave_nothing_behind(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        sizes = []
        for i in range(10):
            async with view(connection, folder, Want(320, 240, 15, 132), slot=i % 2) as (stream, receiver):
                await stream.run_for(0.3)
                await finish(stream, receiver)
            sizes.append((hapd.rss_kib(), _open_files(hapd)))
        assert sizes[-1][0] - sizes[2][0] < 20_000, f"resident memory in KiB, open files: {sizes}"
        assert sizes[-1][1] <= sizes[2][1] + 2, f"resident memory in KiB, open files: {sizes}"


def _open_files(hapd):
    return len(os.listdir(f"/proc/{hapd.process.pid}/fd"))


async def test_live_view_over_ipv6(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (home, first):
        connection = await home.connect(first.data, host="::1")
        async with view(connection, folder, Want(mtu=1228), host="::1") as (stream, receiver):
            await stream.run_for(1.5)
            await finish(stream, receiver)
        assert set(receiver.frame_sizes()) == {picture_bytes(640, 360)}


async def test_small_mtu_is_obeyed(folder):
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        async with view(connection, folder, Want(mtu=600, kbps=800)) as (stream, receiver):
            await stream.run_for(1.5)
            await finish(stream, receiver)
        assert max(p.size for p in stream.video.packets) > 550, "packets are filled, too"


async def test_aes_256_where_the_controller_asks_for_it(folder):
    """ffmpeg has no such suite: only our receiver decrypts it."""
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        service = (await connection.services("110"))[0]
        async with Stream(connection, service, Want(suite=1)) as stream:
            assert await stream.setup() == 0 and await stream.start() == 0
            await stream.run_for(1)
            assert {len(key) for key, _ in stream.their_keys} == {32}
            stream.video.ask_for_picture()
            known = len(stream.video.key_frames())
            await wait.until(lambda: len(stream.video.key_frames()) > known, 2, "key frame after PLI")
            await stream.end()
            await stream.bye()
            stream.check()


@pytest.mark.deadline(90)
async def test_after_thirty_seconds_of_silence_a_slot_is_free_again(folder):
    """Of RTCP in a running stream, and of everything after Setup Endpoints."""
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        started, forgotten = await connection.services("110")
        want = Want(320, 240, 15, 132)
        async with Stream(connection, started, want) as silent, Stream(connection, forgotten, want) as never:
            assert await never.setup() == 0 and await never.status() == 1
            assert await silent.setup() == 0 and await silent.start() == 0
            await silent.first_packets()
            silent._stop_reports()
            since = time.monotonic()
            for stream in (never, silent):
                await wait.until(_free(stream), 40, "streaming status available", 0.25)
                assert time.monotonic() - since > 25, "not before some 30 s"
            silent.answer = never.answer = None


async def test_ffmpeg_alone_on_the_announced_ports(folder):
    """No code of ours between the daemon and the stranger."""
    async with Hapd(folder, config(pattern_camera())) as hapd, paired(hapd) as (_, connection):
        service = (await connection.services("110"))[0]
        async with Stream(connection, service, Want()) as stream:
            stream.ports = ffmpeg.free_ports(2)
            assert await stream.setup() == 0
            async with ffmpeg.Receiver(stream, folder, ports=stream.ports) as receiver:
                assert await stream.start() == 0
                await wait.until(lambda: receiver.pictures() > 80, 20, lambda: f"80 pictures: {receiver.pictures()}\n{receiver.log()}")
                assert await stream.control(0) == 0
                await receiver.finish()
            assert len(receiver.frame_sizes()) > 60
            assert receiver.sound()[0] > 2
