"""Kills hapd with SIGKILL at random moments while a controller adds and removes pairings.

After each death the state must be readable and hold exactly what the controller was told: every pairing whose
addition was confirmed, none whose removal was confirmed; the one request that was under way may have gone either way.
Every tenth kill or so falls into the removal of the last administrator, which removes all, or into the Pair Setup after it.
Run alone: `python kill.py [KILLS] [SEED]` in the environment of the tests.
"""

import asyncio
import contextlib
import random
import sys
from dataclasses import dataclass, field

from harness import paths
from harness.cameras import pattern_camera
from harness.hapd import Hapd, config
from harness.home import Home, new_identity

MAX_PAIRINGS = 12


@dataclass
class Told:
    """What the controller knows."""

    stored: dict = field(default_factory=dict)  # pairing id -> identity
    doubtful: set = field(default_factory=set)  # ids of the request no answer came to
    identities: dict = field(default_factory=dict)
    admins: set = field(default_factory=set)
    kills: int = 0
    confirmed: int = 0


async def change(connection, told, dice, main):
    """One request; `doubtful` names its pairing until the answer is there."""
    others = [pairing_id for pairing_id in told.stored if pairing_id != main]
    if others and (len(others) >= MAX_PAIRINGS or dice.random() < 0.45):
        victim = dice.choice(others)
        told.doubtful = {victim}
        await connection.remove_pairing(victim)
        del told.stored[victim]
    else:
        identity = new_identity(connection.data)
        told.identities[identity["iOSPairingId"]] = identity
        told.doubtful = {identity["iOSPairingId"]}
        role = dice.choice(["Admin", "User"])
        if role == "Admin":
            told.admins.add(identity["iOSPairingId"])
        await connection.add_pairing(identity, role)
        told.stored[identity["iOSPairingId"]] = identity
    told.doubtful = set()
    told.confirmed += 1


async def killed_meanwhile(hapd, told, work, seconds):
    """Kills hapd after `seconds` of `work`; what `work` gave if it was done by then."""
    worker = asyncio.create_task(work)
    await asyncio.sleep(seconds)
    hapd.kill()
    told.kills += 1
    if not worker.done():
        worker.cancel()
    with contextlib.suppress(BaseException):
        return await worker


async def changes(connection, told, dice, main):
    while True:
        await change(connection, told, dice, main)


async def start_over(home, hapd, told, dice, main):
    """All pairings removed, and a new first one made, with kills in between; returns the new first one."""
    connection = await home.connect(told.stored[main])
    for other in [pairing_id for pairing_id in told.stored if pairing_id in told.admins and pairing_id != main]:
        await connection.remove_pairing(other)
        del told.stored[other]
    gone = await killed_meanwhile(hapd, told, remove(connection, main), dice.uniform(0.0, 0.02))
    await connection.close()
    await hapd.start()
    (entry,) = hapd.pairing_info().values()
    if entry["paired"]:
        assert not gone, f"removed, yet there after kill {told.kills}"
        return told.stored[main]
    told.stored.clear()
    while True:
        setup = home.pair(entry["device_id"], entry["setup_code"])
        first = await killed_meanwhile(hapd, told, setup, dice.uniform(0.0, 0.5))
        await hapd.start()
        if first:
            await first.close()
            told.confirmed += 1
            told.stored[first.data["iOSPairingId"]] = told.identities[first.data["iOSPairingId"]] = first.data
            return first.data
        if hapd.pairing_info()[entry["name"]]["paired"]:
            # M6 never came: the pairing is there and nobody has its key. The owner's way out:
            await hapd.stop()
            assert hapd.command("unpair").returncode == 0
            await hapd.start()


async def remove(connection, pairing_id):
    await connection.remove_pairing(pairing_id)
    return True


async def compare(connection, told):
    """What is stored against what was told; settles the doubtful one."""
    listed = {p["pairingId"]: p["publicKey"] for p in await connection.list_pairings()}
    lost = set(told.stored) - set(listed) - told.doubtful
    risen = set(listed) - set(told.stored) - told.doubtful
    assert not lost, f"lost after kill {told.kills}: {lost}"
    assert not risen, f"removed, yet there after kill {told.kills}: {risen}"
    for pairing_id in told.doubtful:
        if pairing_id in listed:
            told.stored[pairing_id] = told.identities[pairing_id]
        else:
            told.stored.pop(pairing_id, None)
    for pairing_id, key in listed.items():
        assert key == told.identities[pairing_id]["iOSDeviceLTPK"], "another key than the one added"
    told.doubtful = set()


async def run(folder, kills, seed):
    print(f"seed {seed}, {kills} kills")
    dice, told = random.Random(seed), Told()
    hapd = Hapd(folder, config(pattern_camera()))
    async with hapd:
        await killing(hapd, told, dice, kills)
    print(f"{told.kills} kills, {told.confirmed} changes confirmed, {len(told.stored)} pairings at the end")
    return told


async def killing(hapd, told, dice, kills):
    (entry,) = hapd.pairing_info().values()
    async with Home() as home:
        connection = await home.pair(entry["device_id"], entry["setup_code"])
        first = connection.data
        told.stored[first["iOSPairingId"]] = told.identities[first["iOSPairingId"]] = first
        await connection.close()
        while told.kills < kills:
            connection = await home.connect(first)
            await compare(connection, told)
            if dice.random() < 0.05:
                await connection.close()
                first = await start_over(home, hapd, told, dice, first["iOSPairingId"])
                continue
            work = changes(connection, told, dice, first["iOSPairingId"])
            await killed_meanwhile(hapd, told, work, dice.uniform(0.0, 0.12))
            await connection.close()
            await hapd.start()
        connection = await home.connect(first)
        await compare(connection, told)
        for identity in list(told.stored.values()):
            verified = await home.connect(identity)
            await verified.get(2)
            await verified.close()


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    start = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
    asyncio.run(run(paths.folder("kill"), count, start))
