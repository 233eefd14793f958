"""hapd killed again and again while pairings come and go; see kill.py."""

import os
import random

import pytest

import kill


@pytest.mark.once
@pytest.mark.deadline(900)
async def test_no_pairing_is_lost_that_a_controller_was_told_is_stored(folder):
    kills = int(os.environ.get("KILLS", "200"))
    seed = int(os.environ.get("KILL_SEED", random.randrange(2**32)))
    done = await kill.run(folder, kills, seed)
    assert done.kills >= kills and done.confirmed > kills // 4, done
