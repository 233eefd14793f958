"""Kills hapd with SIGKILL at random moments while a controller adds and removes pairings.

After each death the state must be readable and hold exactly what the controller was told: every pairing whose
addition was confirmed, none whose removal was confirmed; the one request that was under way may have gone either way.
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
        await connection.add_pairing(identity, dice.choice(["Admin", "User"]))
        told.stored[identity["iOSPairingId"]] = identity
    told.doubtful = set()
    told.confirmed += 1


async def work_until_killed(hapd, connection, told, dice, main):
    async def changes():
        while True:
            await change(connection, told, dice, main)

    worker = asyncio.create_task(changes())
    await asyncio.sleep(dice.uniform(0.0, 0.12))
    hapd.kill()
    told.kills += 1
    worker.cancel()
    with contextlib.suppress(BaseException):
        await worker


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
    hapd = Hapd(folder, config(pattern_camera(), interfaces=("lo",)))
    await hapd.start()
    (entry,) = hapd.pairing_info().values()
    async with Home() as home:
        first = await home.pair(entry["device_id"], entry["setup_code"])
        main = first.data["iOSPairingId"]
        told.stored[main] = told.identities[main] = first.data
        await first.close()
        while told.kills < kills:
            connection = await home.connect(first.data)
            await compare(connection, told)
            await work_until_killed(hapd, connection, told, dice, main)
            await connection.close()
            await hapd.start()
        connection = await home.connect(first.data)
        await compare(connection, told)
        for identity in list(told.stored.values()):
            verified = await home.connect(identity)
            await verified.get(2)
            await verified.close()
    await hapd.stop()
    print(f"{told.kills} kills, {told.confirmed} changes confirmed, {len(told.stored)} pairings at the end")
    return told


if __name__ == "__main__":
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 200
    start = int(sys.argv[2]) if len(sys.argv) > 2 else random.randrange(2**32)
    asyncio.run(run(paths.folder("kill"), count, start))
