"""A camera's switches as Home and its hub write them: the four modes, what to record, and what each mode allows."""

import struct
from dataclasses import dataclass

from . import tlv, wait
from .home import short

# 110.B0, 21B, 204.B0
MODES = {"off": (0, 0, 0), "detect": (0, 1, 0), "stream": (1, 1, 0), "record": (1, 1, 1)}
NOT_NOW = -70412


@dataclass(frozen=True)
class State:
    """A mode, and whether the privacy switch is on."""

    mode: str
    private: bool = False

    @property
    def sees(self):
        return MODES[self.mode][1] == 1 and not self.private

    @property
    def streams(self):
        return self.sees and MODES[self.mode][0] == 1

    @property
    def records(self):
        return self.sees and MODES[self.mode][2] == 1

    snapshots = streams  # what Home may not stream it may not show in tiles either

    def __str__(self):
        return self.mode + (" + privacy" if self.private else "")


def selection(width, height, fps, prebuffer=4000, triggers=1, container=0, fragment=4000, codec=0, profile=1, level=0, kbps=600,
              key_frames=4000, sound=0, channels=1, mode=0, rate=3, sound_kbps=32):
    """209; a member that is None is left out."""
    def members(*items):
        return tlv.encode([(tag, struct.pack(width, value) if width else value)
                           for tag, width, value in items if value is not None])

    fragments = members((1, "B", container), (2, None, members((1, "<I", fragment))))
    general = members((1, "<I", prebuffer), (2, "<Q", triggers), (3, None, fragments))
    stream = members((1, "B", profile), (2, "B", level), (3, "<I", kbps), (4, "<I", key_frames))
    picture = members((1, "<H", width), (2, "<H", height), (3, "B", fps))
    video = members((1, "B", codec), (2, None, stream), (3, None, picture))
    samples = members((1, "B", channels), (2, "B", mode), (3, "B", rate), (4, "<I", sound_kbps))
    audio = members((1, "B", sound), (2, None, samples))
    return members((1, None, general), (2, None, video), (3, None, audio))


class Switches:
    """The characteristics of one camera, over one connection."""

    def __init__(self, connection, iids, streams):
        self.connection, self.iid, self.streams = connection, iids, streams

    @classmethod
    async def of(cls, connection):
        services = (await connection.database())[0]["services"]
        iids = {f"{short(s['type'])}.{short(c['type'])}": c["iid"] for s in services for c in s["characteristics"]}
        streams = [s for s in services if short(s["type"]) == "110"]
        return cls(connection, iids, streams)

    def of_streams(self, kind):
        return [c["iid"] for s in self.streams for c in s["characteristics"] if short(c["type"]) == kind]

    async def set(self, **values):
        """`set(streaming=0, camera=0, recording=0, event=0, periodic=0)`, all at once."""
        where = {"streaming": self.of_streams("B0"), "camera": [self.iid["21A.21B"]], "recording": [self.iid["204.B0"]],
                 "event": [self.iid["21A.223"]], "periodic": [self.iid["21A.225"]], "audio": [self.iid["204.226"]]}
        entries = [{"iid": iid, "value": value} for name, value in values.items() for iid in where[name]]
        timed = await self.prepare() if "audio" in values else {}
        assert await self.connection.put(*entries, **timed) == [0] * len(entries)

    async def prepare(self):
        """What makes the next write a timed one."""
        link = await self.connection.link()
        assert (await link.put_json("/prepare", {"ttl": 5000, "pid": 4711}))["status"] == 0
        return {"pid": 4711}

    async def mode(self, name):
        """As Home's menu sets it."""
        streaming, camera, recording = MODES[name]
        await self.set(streaming=streaming, camera=camera, recording=recording)

    async def select(self, **members):
        """Selects what to record, as a hub does: the smallest picture that is offered."""
        assert await self.connection.write_tlv(self.iid["204.209"], await self.selection(**members)) == 0

    async def selection(self, **members):
        """209; see `selection` for its members."""
        offered = await self.connection.read_tlv(self.iid["204.206"])
        sizes = [tlv.decode(value) for tag, value in tlv.items(tlv.decode(offered)[1]) if tag == 3]
        width, height, fps = (tlv.u(sizes[-1][tag]) for tag in (1, 2, 3))
        return selection(**{"width": width, "height": height, "fps": fps, **members})

    async def arm(self, hapd=None):
        """Stream & Record, with sound, from what it offers."""
        await self.select()
        await self.set(audio=1)
        await self.mode("record")
        if hapd:
            await wait.until(lambda: "armed=true" in hapd.log.read_text(), 20, lambda: f"armed\n{hapd.tail()}")

    async def statuses(self):
        """Streaming Status of each stream service: 0 available, 1 in use, 2 unavailable."""
        return [tlv.decode(await self.connection.read_tlv(iid))[1][0] for iid in self.of_streams("120")]
