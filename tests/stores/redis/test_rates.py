"""A customer's messages in a minute, at one desk and over several: the same rules."""

from __future__ import annotations

import pytest

from kefu.stores.redis.connection import Client, key_of
from kefu.stores.redis.rates import SharedRates
from kefu.turn.rates import OwnRates, Rates, TooManyMessages

PER_MINUTE = 3


@pytest.fixture(params=["own", "shared"])
def rates(request: pytest.FixtureRequest, client: Client) -> Rates:
    return OwnRates(PER_MINUTE) if request.param == "own" else SharedRates(client, PER_MINUTE)


async def test_a_minutes_messages_may_come_at_once_and_no_more(rates: Rates):
    for _ in range(PER_MINUTE):
        await rates.count("ann")
    for _ in range(2):  # a message that is refused is not counted
        with pytest.raises(TooManyMessages, match="More than 3 messages") as refused:
            await rates.count("ann")
        assert refused.value.retry_after_seconds in (19, 20)
    await rates.count("bob")


async def test_one_more_when_its_share_of_the_minute_has_passed():
    now = [0.0]
    rates = OwnRates(PER_MINUTE, lambda: now[0])
    for _ in range(PER_MINUTE):
        await rates.count("ann")
    for seconds in (20.0, 40.0, 60.0):
        now[0] = seconds
        await rates.count("ann")
        with pytest.raises(TooManyMessages):
            await rates.count("ann")


async def test_it_is_the_same_with_redis_clock(client: Client):
    rates = SharedRates(client, PER_MINUTE)
    for _ in range(PER_MINUTE):
        await rates.count("ann")
    key = key_of("ann", "rate")
    assert 0 < await client.pttl(key) <= 60_000
    await client.set(key, int(await client.get(key)) - 20_000_000)  # as if 20 s had passed
    await rates.count("ann")
    with pytest.raises(TooManyMessages):
        await rates.count("ann")


async def test_desks_count_together(client: Client):
    one, two = SharedRates(client, PER_MINUTE), SharedRates(client, PER_MINUTE)
    for desk in (one, two, one):
        await desk.count("ann")
    with pytest.raises(TooManyMessages):
        await two.count("ann")


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("kefu.turn.rates.MAX_REMEMBERED", 2)
    rates = OwnRates(1)
    for uid in ("ann", "bob", "eve"):
        await rates.count(uid)
    await rates.count("ann")
    with pytest.raises(TooManyMessages):
        await rates.count("eve")
