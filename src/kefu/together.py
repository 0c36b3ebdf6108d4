"""Calls that many customers make at the same moment, done as one.

Whoever waits for the encoder is told at once, and then all of them want the same next thing. One
array operation for sixteen messages takes as long as for three, and the code for it is at hand.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Asked = TypeVar("Asked")
Told = TypeVar("Told")

# So that the event loop comes up for air.
MOST_AT_ONCE = 16


class Together(Generic[Asked, Told]):
    """`await together(asked)`: what `work` says of it, which hears all that is asked in one round of
    the event loop. Nobody waits for company: what is asked alone is done alone, at once.
    """

    def __init__(self, work: Callable[[Sequence[Asked]], Sequence[Told]]) -> None:
        self._work = work
        self._waiting: deque[tuple[Asked, asyncio.Future[Told]]] = deque()

    def __call__(self, asked: Asked) -> asyncio.Future[Told]:
        """Raises what `work` raises of this one alone."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Told] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._begin)
        self._waiting.append((asked, future))
        return future

    def _begin(self) -> None:
        size = min(MOST_AT_ONCE, len(self._waiting))
        taken = [self._waiting.popleft() for _ in range(size)]
        if self._waiting:
            asyncio.get_running_loop().call_soon(self._begin)
        wanted = [(asked, future) for asked, future in taken if not future.done()]
        if wanted and not self._tell(wanted):
            for one in wanted:  # one of them spoils it for the others
                self._tell_alone(*one)

    def _tell(self, wanted: Sequence[tuple[Asked, asyncio.Future[Told]]]) -> bool:
        try:
            told = self._work([asked for asked, _ in wanted])
        except Exception:  # noqa: BLE001 - each is tried alone, and told why
            return False
        for (_, future), one in zip(wanted, told, strict=True):
            future.set_result(one)
        return True

    def _tell_alone(self, asked: Asked, future: asyncio.Future[Told]) -> None:
        try:
            (told,) = self._work([asked])
        except Exception as error:  # noqa: BLE001 - it is the caller's
            future.set_exception(error)
        else:
            future.set_result(told)
