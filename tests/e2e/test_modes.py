"""Home's four modes and the privacy switch: what each allows works, what it forbids does not happen, at any moment."""

import asyncio
import bisect
import collections
import contextlib
import itertools
import json
import os
import random
import time
from dataclasses import dataclass

import pytest

from harness import clip, hds, jpeg, wait
from harness.cameras import pattern_camera
from harness.hapd import Hapd, config
from harness.hds import DataStream, Refused
from harness.modes import MODES, NOT_NOW, State, Switches
from harness.stream import Stream, Want
from harness.view import paired

pytestmark = pytest.mark.needs("ffmpeg")

SECONDS = float(os.environ.get("MODES_SECONDS", 60))
SEED = os.environ.get("MODES_SEED")
GRACE = 0.5  # for packets that were under way
HOLD = 1  # of motion
WANT = Want(width=320, height=240, fps=15)
STATES = [State(mode, private) for private in (False, True) for mode in MODES]


class Scene:
    """A camera, and everything at it that a home does."""

    def __init__(self, hapd, home, connection, switches):
        self.hapd, self.home, self.connection, self.switches = hapd, home, connection, switches
        self.name = next(iter(hapd.pairing_info()))
        self.state = None

    async def another(self):
        """One more connection, and its switches."""
        connection = await self.home.connect(self.connection.data)
        return connection, await Switches.of(connection)

    async def trigger(self, *what):
        await asyncio.to_thread(self.hapd.trigger, self.name, *what)

    async def set(self, state):
        if self.state is None or state.mode != self.state.mode:
            await self.switches.mode(state.mode)
        if self.state is None or state.private != self.state.private:
            await self.private(state.private)
        self.state = state

    async def private(self, on):
        await self.trigger("privacy", "on" if on else "off")
        iid = self.switches.iid["21A.227"]
        await wait.until(lambda: self.reads(iid, on), 5, f"manually disabled {on}")

    async def reads(self, iid, value):
        return await self.connection.value(iid) == value

    async def moves(self, on):
        await self.trigger("motion", "on" if on else "off")

    async def live(self):
        """The status with which a live view is refused, or 0."""
        async with Stream(self.connection, self.switches.streams[0], WANT) as stream:
            status = await stream.setup() or await stream.start()
            if status == 0:
                await stream.first_packets()
                assert await stream.end() == 0
            return status


@contextlib.asynccontextmanager
async def scene(folder):
    camera = pattern_camera(size="640x360", fps=15, motion_hold=HOLD, privacy_switch=True)
    async with Hapd(folder, config(camera)) as hapd, paired(hapd) as (home, connection):
        switches = await Switches.of(connection)
        await switches.arm(hapd)
        yield Scene(hapd, home, connection, switches)


async def snapshot(connection, reason=None):
    """0 for a picture, or the status instead."""
    more = {} if reason is None else {"reason": reason}
    answer = await connection.snapshot(320, 180, **more)
    if answer.code == 207:
        return json.loads(bytes(answer.body))["status"]
    assert answer.code == 200 and jpeg.size(bytes(answer.body)) == (320, 180)
    return 0


async def hub_snapshot(stream, stream_id, reason):
    """0 for a picture, or the reason instead."""
    try:
        assert jpeg.size(await stream.snapshot(stream_id, reason, (320, 180))) == (320, 180)
    except Refused as refused:
        return refused.reason
    return 0


# --- exactly what the tables say


def table(state):
    return {
        "live": 0 if state.streams else NOT_NOW,
        "periodic snapshot": 0 if state.snapshots else NOT_NOW,
        "event snapshot": 0 if state.snapshots else NOT_NOW,
        "any snapshot": 0 if state.snapshots else NOT_NOW,
        "hub's snapshot": 0 if state.snapshots else hds.NOT_ALLOWED,
        "motion": state.sees,
        "recording": None if state.records else hds.NOT_ALLOWED,
        "streaming status": {0} if state.streams else {2},
        "sensor active": state.sees,
    }


async def found(scene, stream, ids):
    connection, iid = scene.connection, scene.switches.iid
    answers = {
        "live": await scene.live(),
        "periodic snapshot": await snapshot(connection, 0),
        "event snapshot": await snapshot(connection, 1),
        "any snapshot": await snapshot(connection),
        "hub's snapshot": await hub_snapshot(stream, next(ids), "periodic"),
        "recording": await stream.refusal(stream_id=next(ids)),
        "streaming status": set(await scene.switches.statuses()),
        "sensor active": bool(await connection.value(iid["85.75"])),
    }
    seen = len(connection.events)
    await scene.moves(True)
    await asyncio.sleep(1.5)
    reads = bool(await connection.value(iid["85.22"]))
    told = [value for _, which, value in connection.events[seen:] if which == iid["85.22"]]
    assert told == [True] * reads, (told, reads)
    await scene.moves(False)
    await wait.until(lambda: scene.reads(iid["85.22"], False), 5, "the end of motion")
    await asyncio.sleep(0.3)
    return {**answers, "motion": reads}


async def test_each_mode_allows_exactly_what_it_should(folder):
    async with scene(folder) as home:
        await home.connection.subscribe(home.switches.iid["85.22"])
        ids = itertools.count(1)
        async with await DataStream.over(home.connection) as stream:
            for state in STATES:
                await home.set(state)
                assert await found(home, stream, ids) == table(state), str(state)


async def test_snapshots_periodic_and_of_events(folder):
    async with scene(folder) as home:
        async with await DataStream.over(home.connection) as stream:
            for event, periodic, answers, hub in [
                    (1, 1, (0, 0, 0), (0, 0)), (0, 1, (0, NOT_NOW, -70401), (0, 1)), (1, 0, (NOT_NOW, 0, -70401), (1, 0)),
                    (0, 0, (NOT_NOW, NOT_NOW, -70401), (1, 1))]:
                await home.switches.set(event=event, periodic=periodic)
                assert tuple([await snapshot(home.connection, reason) for reason in (0, 1, None)]) == answers, (event, periodic)
                assert tuple([await hub_snapshot(stream, 1, r) for r in ("periodic", "event")]) == hub, (event, periodic)


# --- in the middle of a stream and a recording


WAYS = {
    "off": (State("off"), {"streaming": 0, "camera": 0, "recording": 0}),
    "camera off": (State("off"), {"camera": 0}),
    "streaming off": (State("detect"), {"streaming": 0}),
    "recording off": (State("stream"), {"recording": 0}),
    "detect": (State("detect"), {"streaming": 0, "recording": 0}),
    "privacy": (State("record", True), None),
}


@pytest.mark.deadline(180)
async def test_switched_off_in_the_middle_of_a_stream_and_a_recording(folder):
    async with scene(folder) as home:
        iid, connection = home.switches.iid, home.connection
        watcher, switches = await home.another()
        await watcher.subscribe(*switches.of_streams("120"), iid["85.22"])
        async with await DataStream.over(watcher) as stream:
            for number, (way, (after, values)) in enumerate(WAYS.items()):
                streams, records = after.streams, after.records or way == "streaming off"
                async with Stream(watcher, switches.streams[0], WANT) as view:
                    assert await view.setup() == 0 and await view.start() == 0, way
                    await view.first_packets()
                    await home.moves(True)
                    transfer = await stream.open(number + 1)
                    await transfer.has(2)
                    flipped = await flip(home, values)
                    if streams:
                        await view.run_for(1)
                        assert view.video.packets[-1].at > flipped + 0.5, way
                        assert await view.end() == 0
                    else:
                        await ended(view, watcher, switches, flipped, way)
                    if records:
                        await transfer.has(len(transfer.pieces) + 1)
                        await transfer.over()
                    else:
                        assert await transfer.closed() == hds.NOT_ALLOWED, way
                        await asyncio.sleep(0.5)
                        assert not [m for at, h, m in stream.strays if h.get("event") == "data"], way
                        assert await stream.refusal(stream_id=99) == hds.NOT_ALLOWED, way
                await home.moves(False)
                await (home.private(False) if values is None else home.switches.mode("record"))
                assert await switches.statuses() == [0] * len(switches.streams)
            transfer = await stream.open(100)
            await transfer.has(2)
            await transfer.over()


async def flip(home, values):
    """When it was done."""
    await (home.private(True) if values is None else home.switches.set(**values))
    return time.monotonic()


async def ended(view, watcher, switches, flipped, way):
    """BYE, silence, the status, and no way back in."""
    await view.bye()
    await asyncio.sleep(1)
    for media in (view.video, view.audio):
        assert media.packets[-1].at < flipped + GRACE, f"{way}: {media.name} {media.packets[-1].at - flipped:.2f} s later"
    assert await switches.statuses() == [2] * len(switches.streams), way
    assert await view.setup() == NOT_NOW, way
    told = [value for _, which, value in watcher.events if which in switches.of_streams("120")]
    assert told and told[-1] == "AQEC", (way, told)
    watcher.events.clear()


# --- at random


@dataclass
class Change:
    begun: float
    done: float
    state: State


class Timeline:
    """Which state the camera was in, as far as that is certain."""

    def __init__(self):
        self.changes, self.beats = [], []

    async def beat(self):
        """How late this program itself is: what it notes as now may have come that much earlier."""
        while True:
            due = time.monotonic() + 0.02
            await asyncio.sleep(0.02)
            now = time.monotonic()
            self.beats.append((now, now - due))

    def late(self, at):
        low, high = (bisect.bisect(self.beats, (t, 0)) for t in (at - 1, at + 0.5))
        return max((late for _, late in self.beats[low:high]), default=0.0)

    def during(self, begun, ended, grace=0.0):
        """The state from `begun` to `ended`, or None where it changed, or may have."""
        number = bisect.bisect(self.changes, begun, key=lambda change: change.begun) - 1
        if number < 0:
            return None
        change = self.changes[number]
        after = self.changes[number + 1].begun if number + 1 < len(self.changes) else float("inf")
        return change.state if change.done + grace <= begun and ended < after else None

    def at(self, moment):
        """What must not be seen must not be seen at `moment` any more."""
        return self.during(moment, moment, GRACE + self.late(moment))


class Household:
    """A live view, a hub that records, another that wants pictures, and something that moves."""

    def __init__(self, home, rng):
        self.home, self.rng, self.timeline = home, rng, Timeline()
        self.views, self.transfers, self.hubs = [], [], []
        self.asked = []  # (what, begun, ended, answer)
        self.flows = collections.defaultdict(list)  # times at which something was seen
        self.complete, self.wrong = 0, []
        self.ids = itertools.count(1)

    async def __aenter__(self):
        connections = [await self.home.another() for _ in range(3)]
        for connection, switches in connections:
            self.hubs.append(await DataStream.over(connection))
        self.watcher, self.recorder, self.photographer = connections
        await self.recorder[0].subscribe(*[self.home.switches.iid[k] for k in ("85.22", "85.75", "21A.227")])
        self.tasks = [asyncio.create_task(task()) for task in (
            self.timeline.beat, self.watch, self.record, self.photograph, self.hub_photographs, self.move)]
        return self

    async def __aexit__(self, *_):
        pending = self.tasks
        while pending:  # a task may miss being cancelled at the moment at which what it waits for happens
            for task in pending:
                task.cancel()
            _, pending = await asyncio.wait(pending, timeout=1)
        for stream in self.hubs:
            stream.close()

    def still_live(self):
        for task in self.tasks:
            if task.done():
                task.result()
        for stream in self.hubs:
            assert not stream.gone.is_set() and not stream.problems, f"a hub was thrown out: {stream.problems}"

    def note(self, what, begun, answer):
        now = time.monotonic()
        self.asked.append((what, begun, now, answer))
        if answer == 0:
            self.flows[what].append(now)

    async def watch(self):
        connection, switches = self.watcher
        for slot in itertools.cycle(range(len(switches.streams))):
            async with Stream(connection, switches.streams[slot], WANT) as view:
                begun = time.monotonic()
                try:
                    status = await view.setup() or await view.start()
                except (AssertionError, KeyError):
                    status = None  # the answer was taken back
                self.note("live", begun, status)
                if status != 0:
                    await asyncio.sleep(0.1)
                    continue
                self.views.append(view)
                await self.until_bye(view)
                await asyncio.sleep(GRACE + 0.2)  # for what must not come any more

    async def until_bye(self, view):
        seen = time.monotonic()
        while not view.video.rtcp.byes:
            await asyncio.sleep(0.02)
            if view.video.packets:
                seen = max(seen, view.video.packets[-1].at)
            if time.monotonic() - seen > 6:
                self.note("silence", seen, "no packet")
                return

    async def record(self):
        """At the next motion, or without."""
        connection, stream, seen = self.recorder[0], self.hubs[1], 0
        while True:
            await self.motion(connection, seen, self.rng.uniform(0.5, 3))
            seen, begun = len(connection.events), time.monotonic()
            try:
                transfer = await stream.open(next(self.ids), keep=False)
            except Refused as refused:
                self.note("recording", begun, refused.reason)
                continue
            self.note("recording", begun, 0)
            self.transfers.append(transfer)
            while not transfer.ended and transfer.reason is None:
                await asyncio.sleep(0.02)
            if transfer.ended:
                await transfer.end()
                self.complete += 1

    async def motion(self, connection, seen, seconds):
        """Until something moves, or for so long."""
        iid, until = self.home.switches.iid["85.22"], time.monotonic() + seconds
        while not any(which == iid and value for _, which, value in connection.events[seen:]) and time.monotonic() < until:
            await asyncio.sleep(0.02)

    async def photograph(self):
        for reason in itertools.cycle((0, 1)):
            begun = time.monotonic()
            self.note("snapshot", begun, await snapshot(self.photographer[0], reason))
            await asyncio.sleep(self.rng.uniform(0.05, 0.3))

    async def hub_photographs(self):
        for reason in itertools.cycle(("periodic", "event")):
            begun = time.monotonic()
            self.note("hub's snapshot", begun, await hub_snapshot(self.hubs[2], next(self.ids), reason))
            await asyncio.sleep(self.rng.uniform(0.1, 0.6))

    async def move(self):
        for on in itertools.cycle((True, False)):
            await self.home.moves(on)
            await asyncio.sleep(self.rng.uniform(0.2, 2.5))

    # --- the flips

    async def flip(self, state):
        begun = time.monotonic()
        await self.home.set(state)
        self.timeline.changes.append(Change(begun, time.monotonic(), state))

    async def hold(self, state, how):
        """For a while; or until everything that may be has been seen, and statuses tell the truth."""
        if how != "works":
            return await asyncio.sleep(how)
        since = time.monotonic()
        await asyncio.sleep(GRACE)
        statuses = set(await self.home.switches.statuses())
        assert statuses <= ({0, 1} if state.streams else {2}), (str(state), statuses)
        sensor = await self.home.connection.value(self.home.switches.iid["85.22"])
        assert state.sees or not sensor, f"{state}: motion"
        wanted = {"rtp": state.streams, "snapshot": state.snapshots, "hub's snapshot": state.snapshots, "data": state.records,
                  "motion": state.sees}
        missing = lambda: [flow for flow, may in wanted.items() if may and self.last(flow) < since]
        await wait.until(lambda: self.still_live() or not missing(), 20, lambda: f"{state}: no {missing()} after 20 s")

    def last(self, flow):
        match flow:
            case "rtp":
                return max((v.video.packets[-1].at for v in self.views[-1:] if v.video.packets), default=0.0)
            case "data":
                return max((t.arrivals[-1][0] for t in self.transfers[-1:] if t.arrivals), default=0.0)
            case "motion":
                return max(self.motion_times(), default=0.0)
        return self.flows[flow][-1] if self.flows[flow] else 0.0

    def motion_times(self):
        connection, iid = self.recorder[0], self.home.switches.iid["85.22"]
        events = zip(connection.events, connection.event_times)
        return [at for (_, which, value), at in events if which == iid and value]

    # --- the verdict

    def everything(self):
        """(flow, time) of all that was seen."""
        for view in self.views:
            for media in (view.video, view.audio):
                yield from (("rtp", packet.at) for packet in media.packets)
        for transfer in self.transfers:
            yield from (("data", at) for at, _ in transfer.arrivals)
        for stream in self.hubs:
            yield from (("data", at) for at, header, _ in stream.strays if header.get("event") == "data")
        yield from (("motion", at) for at in self.motion_times())
        for flow in ("snapshot", "hub's snapshot"):
            yield from ((flow, at) for at in self.flows[flow])

    def judge(self):
        """Counts of flows by state; `wrong` fills."""
        may = {"rtp": "streams", "data": "records", "motion": "sees", "snapshot": "snapshots", "hub's snapshot": "snapshots"}
        counts = collections.defaultdict(collections.Counter)
        for flow, at in self.everything():
            state = self.timeline.at(at)
            if state is None:
                continue
            counts[str(state)][flow] += 1
            if not getattr(state, may[flow]):
                since = at - max(c.done for c in self.timeline.changes if c.begun <= at)
                self.wrong.append(f"{flow} in {state}, {since:.2f} s after the switch")
        for what, begun, ended, answer in self.asked:
            self.judge_answer(what, begun, ended, answer)
        for transfer in self.transfers:
            self.judge_close(transfer)
        return counts

    def judge_answer(self, what, begun, ended, answer):
        state = self.timeline.during(begun, ended)
        if state is None:
            return
        right = {"live": 0 if state.streams else NOT_NOW, "recording": 0 if state.records else hds.NOT_ALLOWED,
                 "snapshot": 0 if state.snapshots else NOT_NOW, "hub's snapshot": 0 if state.snapshots else hds.NOT_ALLOWED,
                 "silence": None if state.streams else answer}
        if answer != right[what]:
            self.wrong.append(f"{what} in {state}: {answer}")

    def judge_close(self, transfer):
        if transfer.reason is None:
            return
        state = self.timeline.at(transfer.closed_at)
        if transfer.reason != hds.NOT_ALLOWED or state and state.records:
            self.wrong.append(f"a recording was closed with {transfer.reason} in {state}")


def course(rng):
    """States without end: of all modes equally often, some with the privacy switch on; and how long each is held."""
    while True:
        states = STATES[:4] + rng.sample(STATES[4:], 2)
        rng.shuffle(states)
        for state in states:
            yield state, rng.choice([0.02, 0.2, 0.6, 1.2, "works", "works"])


@pytest.mark.once
@pytest.mark.deadline(SECONDS + 180)
async def test_flipped_at_random_nothing_flows_that_must_not(folder):
    seed = int(SEED) if SEED else random.randrange(1 << 32)
    print(f"MODES_SEED={seed} MODES_SECONDS={SECONDS:g}")
    rng = random.Random(seed)
    async with scene(folder) as home:
        await home.set(State("record"))
        async with Household(home, rng) as household:
            visits, until = collections.Counter(), time.monotonic() + SECONDS
            for state, how in course(rng):
                if time.monotonic() > until:
                    break
                await household.flip(state)
                await household.hold(state, how)
                visits[str(state)] += 1
                household.still_live()
            await household.flip(State("record"))
            await household.hold(State("record"), "works")
        counts = household.judge()
        report = [f"MODES_SEED={seed}: {sum(visits.values())} flips, {len(household.views)} live views, "
                  f"{len(household.transfers)} recordings, {household.complete} of them complete, this program at most "
                  f"{max(late for _, late in household.timeline.beats):.2f} s late"]
        report += [f"{state:17} {visits[state]:3} times  {dict(counts[state])}" for state in map(str, STATES)]
        print("\n".join(report))
        (folder / "flows.txt").write_text("\n".join(report + household.wrong) + "\n")
        assert not household.wrong, household.wrong[:10]
        for state in STATES[:4]:
            assert visits[str(state)] >= max(1, SECONDS // 30), f"{state} only {visits[str(state)]} times"
        assert sum(n for state, n in visits.items() if "privacy" in state) >= max(1, SECONDS // 30)
        await a_whole_clip(home, folder)


async def a_whole_clip(home, folder):
    """After all of that, a recording is as good as ever."""
    await home.moves(False)
    await asyncio.sleep(6)
    async with await DataStream.over(home.connection) as stream:
        await home.moves(True)
        transfer = await stream.open(1)
        await asyncio.sleep(4)
        await home.moves(False)
        await transfer.end()
    assert [p.kind for p in transfer.pieces] == ["mediaInitialization"] + ["mediaFragment"] * (len(transfer.pieces) - 1)
    path = folder / "last.mp4"
    path.write_bytes(transfer.whole())
    tracks, packets = clip.check(path)
    video = [float(p["pts_time"]) for p in packets if p["codec_type"] == "video"]
    assert max(video) - min(video) > 7.5, "four seconds before, and four after"
