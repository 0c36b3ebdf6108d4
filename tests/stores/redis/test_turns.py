"""A customer's turns, in one desk and over several: the same rules."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from kefu.errors import TooManyWaiting
from kefu.stores.redis import connection
from kefu.stores.redis import turns as turns_module
from kefu.stores.redis.connection import Client, SharedStateAway, key_of
from kefu.stores.redis.turns import SharedTurns
from kefu.turn.queues import TurnQueues, UidQueues
from tests.redis_server import RedisServer
from tests.stores.redis.conftest import desk_at
from tests.turn.conftest import until

AT_MOST = 3


@pytest.fixture(params=["own", "shared"])
async def turns(request: pytest.FixtureRequest, client: Client) -> AsyncIterator[TurnQueues]:
    own = UidQueues(AT_MOST)
    if request.param == "own":
        yield own
        return
    async with SharedTurns(client, own) as shared:
        yield shared


class Customer:
    """Takes turns, notes when, and lets go when told."""

    def __init__(self) -> None:
        self.inside: list[str] = []
        self.order: list[str] = []
        self.fences: list[int] = []
        self.let_go = asyncio.Event()

    async def visit(self, turns: TurnQueues, name: str, uid: str = "ann") -> None:
        async with turns.turn_of(uid) as fence:
            self.inside.append(name)
            self.order.append(name)
            self.fences.append(fence)
            await self.let_go.wait()
            self.inside.remove(name)


async def test_one_after_another_in_the_order_of_arrival(turns: TurnQueues):
    customer = Customer()
    tasks = []
    for name in "abc":
        tasks.append(asyncio.create_task(customer.visit(turns, name)))
        await asyncio.sleep(0)
    await until(lambda: customer.inside == ["a"])
    customer.let_go.set()
    await asyncio.gather(*tasks)
    assert customer.order == ["a", "b", "c"]
    assert customer.fences == sorted(customer.fences)


async def test_customers_do_not_wait_for_each_other(turns: TurnQueues):
    customer = Customer()
    tasks = [asyncio.create_task(customer.visit(turns, uid, uid)) for uid in ("ann", "bob")]
    await until(lambda: sorted(customer.inside) == ["ann", "bob"])
    customer.let_go.set()
    await asyncio.gather(*tasks)


async def test_too_many_are_sent_away(turns: TurnQueues):
    customer = Customer()
    tasks = [asyncio.create_task(customer.visit(turns, str(i))) for i in range(AT_MOST + 1)]
    await until(lambda: len(customer.inside) == 1)
    with pytest.raises(TooManyWaiting):
        await customer.visit(turns, "one too many")
    customer.let_go.set()
    await asyncio.gather(*tasks)


async def test_who_fails_or_leaves_holds_up_nobody(turns: TurnQueues):
    async def fail() -> None:
        async with turns.turn_of("ann"):
            raise ValueError("the turn failed")

    customer = Customer()
    first = asyncio.create_task(customer.visit(turns, "a"))
    await until(lambda: customer.inside == ["a"])
    leaving = asyncio.create_task(customer.visit(turns, "b"))
    await asyncio.sleep(0)
    leaving.cancel()
    customer.let_go.set()
    await asyncio.gather(first, leaving, return_exceptions=True)
    with pytest.raises(ValueError, match="the turn failed"):
        await fail()
    async with asyncio.timeout(turns_module._LEFT_AFTER_SECONDS / 2):
        await customer.visit(turns, "c")
    assert customer.order == ["a", "c"]


# Over several desks


async def test_desks_take_turns_and_fences_rise(redis_server: RedisServer):
    customer = Customer()
    customer.let_go.set()
    async with desk_at(redis_server.url) as one, desk_at(redis_server.url) as two:
        visits = [customer.visit((one, two)[i % 2], str(i)) for i in range(50)]
        most = 0

        async def watch() -> None:
            nonlocal most
            while True:
                most = max(most, len(customer.inside))
                await asyncio.sleep(0)

        watching = asyncio.create_task(watch())
        await asyncio.gather(*visits)
        watching.cancel()
    assert most <= 1
    assert len(set(customer.fences)) == 50
    assert customer.fences == sorted(customer.fences)


async def test_who_came_first_is_next_whichever_the_desk(redis_server: RedisServer):
    async with desk_at(redis_server.url) as one, desk_at(redis_server.url) as two:
        customer = Customer()
        tasks = [asyncio.create_task(customer.visit(one, "a"))]
        await until(lambda: customer.inside == ["a"])
        tasks.append(asyncio.create_task(customer.visit(two, "b")))
        await until_in_line(redis_server.url, 1)
        tasks.append(asyncio.create_task(customer.visit(one, "c")))
        customer.let_go.set()
        await asyncio.gather(*tasks)
    assert customer.order == ["a", "b", "c"]


async def until_in_line(url: str, number: int) -> None:
    async with connection.open_redis(url) as client, asyncio.timeout(5):
        while await client.zcard(key_of("ann", "line")) != number:
            await asyncio.sleep(0.001)


async def test_a_desk_that_waits_no_more_is_passed_over(
    redis_server: RedisServer, client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(turns_module, "_LEFT_AFTER_SECONDS", 0.05)
    await client.zadd(key_of("ann", "line"), {"of a desk that died": 1})
    await client.hset(key_of("ann", "turn"), "of a desk that died", 1)
    customer = Customer()
    customer.let_go.set()
    async with desk_at(redis_server.url) as desk, asyncio.timeout(5):
        await customer.visit(desk, "a")


async def test_the_turn_of_a_desk_that_died_goes_on_when_its_lease_is_over(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(turns_module, "LEASE_SECONDS", 0.2)
    customer = Customer()
    async with desk_at(redis_server.url) as dead, desk_at(redis_server.url) as alive:
        dead._renewing.cancel()
        stuck = asyncio.create_task(customer.visit(dead, "dead"))
        await until(lambda: customer.inside == ["dead"])
        waiting = asyncio.create_task(customer.visit(alive, "alive"))
        await until(lambda: customer.inside == ["dead", "alive"])
        assert customer.fences[0] < customer.fences[1]
        customer.let_go.set()
        await asyncio.gather(stuck, waiting)


async def test_a_long_turn_stays_its_desks(
    redis_server: RedisServer, client: Client, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(turns_module, "LEASE_SECONDS", 0.4)
    monkeypatch.setattr(turns_module, "_RENEW_EVERY_SECONDS", 0.05)
    customer = Customer()

    async def ends_at() -> int:
        return int(await client.hget(key_of("ann", "turn"), "until"))

    async with desk_at(redis_server.url) as desk:
        turn = asyncio.create_task(customer.visit(desk, "long"))
        await until(lambda: customer.inside == ["long"])
        first = await ends_at()
        async with asyncio.timeout(5):
            while await ends_at() < first + 1_000_000:  # twice the lease and more
                await asyncio.sleep(0.01)
        customer.let_go.set()
        await turn
    assert await client.hget(key_of("ann", "turn"), "holder") is None


async def test_redis_that_comes_back_is_waited_for(mortal_redis: RedisServer):
    customer = Customer()
    customer.let_go.set()
    async with desk_at(mortal_redis.url) as desk:
        await customer.visit(desk, "before")
        mortal_redis.kill()
        waiting = asyncio.create_task(customer.visit(desk, "meanwhile"))
        await asyncio.sleep(0)
        await asyncio.to_thread(mortal_redis.start)
        await waiting
    assert customer.fences[0] < customer.fences[1]


async def test_redis_that_stays_away_is_said(
    mortal_redis: RedisServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(connection, "PATIENCE_SECONDS", 0.1)
    async with desk_at(mortal_redis.url) as desk:
        mortal_redis.kill()
        with pytest.raises(SharedStateAway, match="Redis is away"):
            await Customer().visit(desk, "a")
