"""Calls that come in one round of the event loop are one call of the work."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from kefu.together import MOST_AT_ONCE, Together


class Doubling:
    """Doubles numbers, refuses negative ones, and remembers what it was asked at once."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def __call__(self, numbers: Sequence[int]) -> list[int]:
        self.calls.append(list(numbers))
        if min(numbers) < 0:
            raise ValueError(f"{min(numbers)} is negative")
        return [2 * number for number in numbers]


async def test_what_is_asked_in_one_round_is_one_call() -> None:
    work = Doubling()
    together = Together(work)
    assert await asyncio.gather(*map(together, [1, 2, 3])) == [2, 4, 6]
    assert await together(4) == 8
    assert work.calls == [[1, 2, 3], [4]]


async def test_very_many_are_several_calls() -> None:
    work = Doubling()
    together = Together(work)
    numbers = list(range(2 * MOST_AT_ONCE + 1))
    assert await asyncio.gather(*map(together, numbers)) == [2 * number for number in numbers]
    assert [len(call) for call in work.calls] == [MOST_AT_ONCE, MOST_AT_ONCE, 1]


async def test_one_that_fails_fails_alone() -> None:
    together = Together(Doubling())
    told = await asyncio.gather(*map(together, [1, -2, 3]), return_exceptions=True)
    assert told[0] == 2
    assert told[2] == 6
    with pytest.raises(ValueError, match="-2 is negative"):
        raise told[1]


async def test_a_caller_that_is_gone_is_not_asked_for() -> None:
    work = Doubling()
    together = Together(work)
    gone, stays = together(1), together(2)
    gone.cancel()
    assert await stays == 4
    assert work.calls == [[2]]
