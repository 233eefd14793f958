"""What hapd says of triggers, and what a home sees of them."""

import asyncio
import re

from . import wait

SIGNAL = re.compile(r"(?P<signal>(?:motion|occupancy|privacy) (?:on|off|pulse)|ring) camera=\"?(?P<camera>[^\"]*?)\"? by=\"?(?P<by>\w+)")


def heard(hapd, camera=None, by=None):
    """The signals that the log tells of, in their order."""
    found = SIGNAL.finditer(re.sub(r"\x1b\[[0-9;]*m", "", hapd.log.read_text(errors="replace")))
    return [m["signal"] for m in found if camera in (None, m["camera"]) and by in (None, m["by"])]


async def hears(hapd, expected, seconds=5, **which):
    """Waits until exactly `expected` has been heard."""
    await wait.until(lambda: len(heard(hapd, **which)) >= len(expected), seconds,
                     lambda: f"{expected}, heard {heard(hapd, **which)}\n{hapd.tail(12)}")
    assert heard(hapd, **which) == expected


class Sensor:
    """One characteristic of a paired accessory, and its events."""

    def __init__(self, connection, iid):
        self.connection, self.iid = connection, iid

    @classmethod
    async def subscribed(cls, connection, service, kind):
        found = await connection.services(service)
        assert len(found) == 1, f"{len(found)} services {service}"
        characteristic = await connection.characteristic(found[0], kind)
        await connection.subscribe(characteristic["iid"])
        return cls(connection, characteristic["iid"])

    @classmethod
    async def motion(cls, connection):
        return await cls.subscribed(connection, "85", "22")

    @classmethod
    async def bell(cls, connection):
        return await cls.subscribed(connection, "121", "73")

    @classmethod
    async def occupancy(cls, connection):
        return await cls.subscribed(connection, "86", "71")

    def events(self):
        return [value for _, iid, value in self.connection.events if iid == self.iid]

    async def value(self):
        return await self.connection.value(self.iid)

    async def becomes(self, value, seconds=5):
        await wait.until(lambda: self.events()[-1:] == [value], seconds, lambda: f"{value}, events {self.events()}")

    async def presses(self, count, seconds=5):
        await wait.until(lambda: len(self.events()) >= count, seconds, lambda: f"{count} presses, events {self.events()}")
        await asyncio.sleep(0.3)
        assert self.events() == [0] * count
