"""Work that is done once for all who wait for it."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from kefu.answers.flights import Flight, Flights, Stopped

TEXT = ("运费", "8元", "。")


@dataclass
class Work:
    """Writes `TEXT`; waits for `gate` after the first piece."""

    gate: asyncio.Event = field(default_factory=asyncio.Event)
    error: Exception | None = None
    begun: int = 0
    ended: int = 0
    cancelled: int = 0

    async def __call__(self, flight: Flight[str]) -> str:
        self.begun += 1
        try:
            for number, piece in enumerate(TEXT):
                flight.emit(piece)
                if number == 0:
                    await self.gate.wait()
            if self.error is not None:
                raise self.error
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        self.ended += 1
        return "".join(TEXT)


@dataclass
class Callers:
    flights: Flights[str]
    counts: Counter[str]

    async def call(self, work: Work, key: str | None = "k") -> str:
        with self.flights.join(key, work) as flight:
            return await flight.result()

    async def stream(self, work: Work, key: str | None = "k") -> tuple[list[str], str]:
        with self.flights.join(key, work) as flight:
            pieces = [piece async for piece in flight.pieces()]
            return pieces, await flight.result()


@pytest.fixture
def callers() -> Callers:
    counts: Counter[str] = Counter()

    def count(kind: str) -> None:
        counts[kind] += 1

    return Callers(Flights(count), counts)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0)


async def all_joined(callers: Callers, number: int) -> None:
    await until(lambda: callers.counts.total() == number)


async def test_fifty_parallel_callers_share_one_work(callers: Callers):
    work = Work()
    calls = [asyncio.create_task(callers.call(work)) for _ in range(50)]
    await all_joined(callers, 50)
    work.gate.set()
    assert await asyncio.gather(*calls) == ["运费8元。"] * 50
    assert (work.begun, work.ended) == (1, 1)
    assert callers.counts == {"miss": 1, "shared": 49}


async def test_every_follower_gets_all_of_the_text_from_its_beginning(callers: Callers):
    work = Work()
    early = [asyncio.create_task(callers.stream(work)) for _ in range(5)]
    await all_joined(callers, 5)
    late = [asyncio.create_task(callers.stream(work)) for _ in range(5)]
    await all_joined(callers, 10)
    work.gate.set()
    for pieces, result in await asyncio.gather(*early, *late):
        assert "".join(pieces) == result == "运费8元。"
    assert work.begun == 1


async def test_a_follower_reads_what_is_there_before_the_work_ends(callers: Callers):
    work = Work()
    leader = asyncio.create_task(callers.call(work))
    await until(lambda: work.begun == 1)
    with callers.flights.join("k", work) as flight:
        pieces = flight.pieces()
        assert await anext(pieces) == "运费"
        work.gate.set()
        assert [piece async for piece in pieces] == ["8元。"]
    await leader


async def test_the_leader_may_leave(callers: Callers):
    work = Work()
    leader = asyncio.create_task(callers.stream(work))
    await until(lambda: work.begun == 1)
    followers = [asyncio.create_task(callers.stream(work)) for _ in range(3)]
    await all_joined(callers, 4)
    leader.cancel()
    await asyncio.gather(leader, return_exceptions=True)
    assert leader.cancelled()
    work.gate.set()
    assert [result for _, result in await asyncio.gather(*followers)] == ["运费8元。"] * 3
    assert (work.begun, work.cancelled) == (1, 0)


async def test_when_the_last_one_leaves_the_work_is_cancelled(callers: Callers):
    work = Work()
    calls = [asyncio.create_task(callers.call(work)) for _ in range(3)]
    await all_joined(callers, 3)
    for call in calls:
        call.cancel()
    await asyncio.gather(*calls, return_exceptions=True)
    await until(lambda: work.cancelled == 1)
    assert work.ended == 0


async def test_who_comes_after_everybody_left_does_not_follow_the_dying(callers: Callers):
    work = Work()
    first = asyncio.create_task(callers.call(work))
    await until(lambda: work.begun == 1)
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    work.gate.set()
    assert await callers.call(work) == "运费8元。"
    assert (work.begun, work.ended) == (2, 1)
    # The end of the first flight did not take the place of the second one away.
    assert callers.counts == {"miss": 2}


async def test_a_failure_reaches_everybody_and_is_not_kept(callers: Callers):
    work = Work(error=ValueError("broken"))
    calls = [asyncio.create_task(callers.call(work)) for _ in range(10)]
    await all_joined(callers, 10)
    work.gate.set()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert [str(outcome) for outcome in outcomes] == ["broken"] * 10
    assert all(isinstance(outcome, ValueError) for outcome in outcomes)
    work.error = None
    assert await callers.call(work) == "运费8元。"
    assert work.begun == 2


async def test_a_streaming_follower_of_a_failure_gets_its_text_and_then_the_error(
    callers: Callers,
):
    work = Work(error=ValueError("broken"))
    work.gate.set()
    with callers.flights.join("k", work) as flight:
        assert "".join([piece async for piece in flight.pieces()]) == "运费8元。"
        with pytest.raises(ValueError, match="broken"):
            await flight.result()


async def test_a_failure_that_nobody_waits_for_is_not_reported_by_asyncio(
    callers: Callers, caplog: pytest.LogCaptureFixture
):
    async def stubborn(_: Flight[str]) -> str:
        try:
            await asyncio.Event().wait()
        finally:
            raise ValueError("while it stopped")

    with callers.flights.join("k", stubborn):
        await asyncio.sleep(0)
    await callers.flights.close()
    assert "never retrieved" not in caplog.text


async def test_a_finished_work_is_done_anew(callers: Callers):
    work = Work()
    work.gate.set()
    await callers.call(work)
    await callers.call(work)
    assert work.begun == 2
    assert callers.counts == {"miss": 2}


async def test_other_keys_do_not_share_and_no_key_never_shares(callers: Callers):
    work = Work()
    keys = ("one", "two", None, None)
    calls = [asyncio.create_task(callers.call(work, key)) for key in keys]
    await until(lambda: work.begun == 4)
    work.gate.set()
    await asyncio.gather(*calls)
    assert callers.counts == {"miss": 4}


async def test_followers_of_a_work_that_the_desk_stops_are_told(callers: Callers):
    work = Work()
    calls = [asyncio.create_task(callers.call(work)) for _ in range(3)]
    await until(lambda: work.begun == 1 and callers.counts.total() == 3)
    await callers.flights.close()
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(outcome, Stopped) for outcome in outcomes)
    assert work.cancelled == 1


async def test_following_before_the_start_is_a_mistake():
    with pytest.raises(RuntimeError, match="start"):
        await Flight[str]("x").result()


async def test_a_full_admission_queue_and_one_customers_queue_do_not_block_each_other(
    callers: Callers,
):
    """One place to generate, followers that hold their own customer's lock, and other work."""
    admission = asyncio.Semaphore(1)
    customers = {f"u{number}": asyncio.Lock() for number in range(10)}
    generations = 0

    async def generate(flight: Flight[str]) -> str:
        nonlocal generations
        async with admission:
            generations += 1
            flight.emit("text")
            await asyncio.sleep(0)
            return "text"

    async def turn(uid: str, key: str) -> str:
        async with customers[uid]:
            with callers.flights.join(key, generate) as flight:
                return await flight.result()

    turns = [turn(uid, key) for key in ("a", "b", "c") for uid in customers]
    async with asyncio.timeout(10):
        assert await asyncio.gather(*turns) == ["text"] * 30
    assert 3 <= generations <= 30
    assert callers.counts["miss"] == generations
    assert callers.counts.total() == 30
