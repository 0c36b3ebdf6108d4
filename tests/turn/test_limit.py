"""As many messages at once as are answered in time, and the others told at once to come again."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack

import pytest

from kefu.errors import Overloaded
from kefu.telemetry import Metrics
from kefu.turn import limit as limits
from kefu.turn.limit import ConcurrencyLimit
from kefu.turn.reply import Message
from tests.fakes import ScriptedGenerator
from tests.turn.conftest import KNOWN, NEAR, Bench, until

AIM = 0.3
QUICK, SLOW = 0.1, 0.5


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def limit(clock: Clock) -> ConcurrencyLimit:
    return ConcurrencyLimit(AIM, Metrics(), clock)


def fill(limit: ConcurrencyLimit, stack: ExitStack, turns: int) -> None:
    for _ in range(turns):
        limit.enter()
        stack.callback(limit.leave)


def test_no_more_than_the_limit_and_one_more_when_one_is_done(limit: ConcurrencyLimit):
    with ExitStack() as others:
        fill(limit, others, int(limits.FIRST))
        with pytest.raises(Overloaded) as refused:
            limit.enter()
        assert refused.value.status == 503
        assert refused.value.retry_after_seconds in limits.AGAIN_SECONDS
        with limit.aside():
            limit.enter()
            limit.leave()
        with pytest.raises(Overloaded):
            limit.enter()
    limit.enter()


def test_those_refused_at_one_moment_do_not_all_come_again_at_one(limit: ConcurrencyLimit):
    asked = set()
    with ExitStack() as others:
        fill(limit, others, int(limits.FIRST))
        for _ in range(200):
            with pytest.raises(Overloaded) as refused:
                limit.enter()
            asked.add(refused.value.retry_after_seconds)
    assert asked == set(limits.AGAIN_SECONDS)


def test_slow_replies_lower_it_once_for_those_that_were_in_already(
    limit: ConcurrencyLimit, clock: Clock
):
    for _ in range(50):
        limit.note(SLOW)
    assert limit.limit == limits.CUT * limits.FIRST
    clock.now += 2 * AIM
    limit.note(SLOW)
    assert limit.limit == pytest.approx(limits.CUT**2 * limits.FIRST)


def test_some_are_always_let_in(limit: ConcurrencyLimit, clock: Clock):
    for _ in range(100):
        clock.now += 2 * AIM
        limit.note(SLOW)
    assert limit.limit == limits.LEAST
    with ExitStack() as stack:
        fill(limit, stack, int(limits.LEAST))


def test_quick_replies_raise_it_only_where_there_are_many(limit: ConcurrencyLimit):
    limit.note(QUICK)
    assert limit.limit == limits.FIRST
    with ExitStack() as stack:
        fill(limit, stack, int(limits.FIRST))
        for _ in range(int(limits.FIRST)):
            limit.note(QUICK)
        assert limit.limit == pytest.approx(limits.FIRST + 1, abs=0.01)
        for _ in range(200_000):
            limit.note(QUICK)
    assert limits.FIRST < limit.limit <= limits.MOST


async def test_a_desk_that_is_full_refuses_and_keeps_nothing(bench: Bench):
    with ExitStack() as stack:
        fill(bench.limit, stack, int(limits.FIRST))
        with pytest.raises(Overloaded):
            bench.desk.take(Message("u", KNOWN))
    assert bench.metrics.registry.get_sample_value("kefu_refused_turns_total") == 1
    assert await bench.transcript.last_turns("u", 10) == []
    assert (await bench.desk.take(Message("u", KNOWN)).reply()).source == "faq"


async def test_a_burst_of_one_moment_counts_whole(bench: Bench):
    """None of the turns has begun when the last of them is taken."""
    await bench.desk.take(Message("first", KNOWN)).reply()  # the others need no encoder
    turns = [bench.desk.take(Message(f"u{n}", KNOWN)) for n in range(int(limits.FIRST))]
    with pytest.raises(Overloaded):
        bench.desk.take(Message("one too many", KNOWN))
    replies = await asyncio.gather(*(turn.reply() for turn in turns))
    assert {reply.source for reply in replies} == {"faq"}
    await until(lambda: not bench.desk._tasks)
    with ExitStack() as stack:
        fill(bench.limit, stack, int(bench.limit.limit))


async def test_who_waits_for_an_own_earlier_message_takes_no_room(
    bench: Bench, generator: ScriptedGenerator
):
    generator.gate = asyncio.Event()
    turns = [bench.desk.take(Message("w", NEAR)) for _ in range(4)]
    replies = [asyncio.ensure_future(turn.reply()) for turn in turns]
    await until(lambda: generator.running == 1)
    with ExitStack() as stack:
        fill(bench.limit, stack, int(limits.FIRST))
    generator.gate.set()
    await asyncio.gather(*replies)


async def test_who_waits_for_the_generator_takes_no_room(
    bench: Bench, generator: ScriptedGenerator
):
    generator.gate = asyncio.Event()
    writing = asyncio.ensure_future(bench.desk.take(Message("w", NEAR)).reply())
    await until(lambda: generator.running == 1)
    with ExitStack() as stack:
        fill(bench.limit, stack, int(limits.FIRST))
    generator.gate.set()
    assert (await writing).source == "model"
    assert bench.limit.limit == limits.FIRST


async def test_a_retry_joins_its_turn_however_full_it_is(
    bench: Bench, generator: ScriptedGenerator
):
    generator.gate = asyncio.Event()
    message = Message("w", NEAR, idempotency_key="k")
    first = bench.desk.take(message)
    reply = asyncio.ensure_future(first.reply())
    await until(lambda: generator.running == 1)
    with ExitStack() as stack:
        fill(bench.limit, stack, int(limits.FIRST))
        assert bench.desk.take(Message("w", NEAR, idempotency_key="k")) is first
    generator.gate.set()
    await reply
