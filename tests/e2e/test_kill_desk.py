"""kill -9 of the desk at random moments: `python -m loadtests.crash` on a small scale."""

from __future__ import annotations

import pytest
from loadtests.crash import crash

from tests.e2e.conftest import NewDesk

pytestmark = pytest.mark.models

SEED = 20_261_122
KILLS = 6
CLIENTS = 20


async def test_killed_at_random_moments_it_keeps_what_it_acknowledged_once(new_desk: NewDesk):
    print(f"seed {SEED}")
    outcome = await crash(new_desk(), kills=KILLS, clients=CLIENTS, seed=SEED, shown=4)
    print(outcome)
    assert outcome.problems == []
    assert outcome.kills == KILLS
    assert outcome.acknowledged == outcome.turns_kept > 100
    assert outcome.generated > 0
    assert outcome.retries > 0
