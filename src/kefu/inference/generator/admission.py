"""The queue in front of a generator: so many answers at once, so many waiting, the rest refused.

llama.cpp queues whatever it is sent without a bound and cannot forget a queued request, so the
queue is here: first come, first served, and a customer who leaves is out of it at once.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass, field

from kefu.errors import GeneratorUnavailable, Overloaded
from kefu.inference.generator.protocol import Generator, Piece, Prompt
from kefu.telemetry import Metrics

# Guess for the length of an answer until some were written (64 tokens at 20 tokens/s).
FIRST_GUESS_SECONDS = 3.0
# Weight of the newest answer in the running mean: about the last ten count.
NEWEST_WEIGHT = 0.2
LONGEST_RETRY_SECONDS = 60


@dataclass(eq=False)
class _Visit:
    """One answer's stay. `position` in line, from 1; 0: a place is its own."""

    position: int = 0
    is_sent_away: bool = False
    changed: asyncio.Event = field(default_factory=asyncio.Event)


class Admission:
    """A `Generator` that lets `places` answers run at once and `max_waiting` more wait.

    A place belongs to one running iteration of `stream` and comes back whichever way that ends:
    done, failed, cancelled, closed, or forgotten. Nothing is taken before the first iteration.
    """

    def __init__(
        self,
        generator: Generator,
        *,
        places: int,
        max_waiting: int,
        wait_seconds: float,
        metrics: Metrics,
    ) -> None:
        if places < 1:
            raise ValueError("An admission queue needs at least one place.")
        self._generator = generator
        self._places = places
        self._max_waiting = max_waiting
        self._wait_seconds = wait_seconds
        self._metrics = metrics
        self._running = 0
        self._queue: deque[_Visit] = deque()
        self._closed = False
        self._mean_seconds = FIRST_GUESS_SECONDS

    @property
    def running(self) -> int:
        return self._running

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def stream(
        self, prompt: Prompt, *, max_tokens: int, session: str = ""
    ) -> AsyncGenerator[Piece, None]:
        """Write an answer once it is this one's turn.

        Until then pieces without text tell the position in line, whenever it changes. Raises
        `Overloaded` when the queue is full or the wait took longer than `wait_seconds`.
        """
        visit = self._line_up()
        begun = None
        try:
            until = time.monotonic() + self._wait_seconds
            while visit.position:
                yield Piece("", position=visit.position)
                await self._wait(visit, until)
            begun = time.monotonic()
            answer = self._generator.stream(prompt, max_tokens=max_tokens, session=session)
            async with aclosing(answer) as pieces:
                async for piece in pieces:
                    yield piece
        finally:
            self._leave(visit)
            if begun is not None:
                seconds = time.monotonic() - begun
                self._mean_seconds += NEWEST_WEIGHT * (seconds - self._mean_seconds)

    async def ping(self) -> None:
        await self._generator.ping()

    async def aclose(self) -> None:
        """Send the waiting ones away and close the generator. Running answers end with it."""
        self._closed = True
        for visit in self._queue:
            visit.is_sent_away = True
            visit.changed.set()
        await self._generator.aclose()

    def _line_up(self) -> _Visit:
        """Take a place, or the last position in line."""
        if self._closed:
            raise _stopping()
        visit = _Visit()
        if self._running < self._places:  # then nobody waits: see `_leave`
            self._count_running(+1)
        elif len(self._queue) >= self._max_waiting:
            raise self._overloaded(f"{len(self._queue)} answers are waiting to be written already")
        else:
            self._queue.append(visit)
            self._metrics.generator_waiting.inc()
            visit.position = len(self._queue)
        return visit

    async def _wait(self, visit: _Visit, until: float) -> None:
        """Wait for another position. Raises `Overloaded` when it is `until` (monotonic)."""
        try:
            async with asyncio.timeout(until - time.monotonic()):
                await visit.changed.wait()
        except TimeoutError as error:
            if visit.position:
                raise self._overloaded(
                    f"no place came free within {self._wait_seconds:g} s"
                ) from error
        if visit.is_sent_away:
            raise _stopping()
        visit.changed.clear()

    def _leave(self, visit: _Visit) -> None:
        """Out of the line; or out of a place, which goes to the first in line. It never stands
        free while someone waits."""
        if visit.position:
            self._queue.remove(visit)
            self._metrics.generator_waiting.dec()
        elif self._queue:
            first = self._queue.popleft()
            self._metrics.generator_waiting.dec()
            first.position = 0
            first.changed.set()
        else:
            self._count_running(-1)
        self._tell_positions()

    def _tell_positions(self) -> None:
        for position, visit in enumerate(self._queue, start=1):
            if visit.position != position:
                visit.position = position
                visit.changed.set()

    def _count_running(self, change: int) -> None:
        self._running += change
        self._metrics.generator_running.inc(change)

    def _overloaded(self, what: str) -> Overloaded:
        ahead = (len(self._queue) + 1) / self._places
        error = Overloaded(f"The generator is busy: {what}. Try again later.")
        error.retry_after_seconds = min(
            LONGEST_RETRY_SECONDS, max(1, math.ceil(ahead * self._mean_seconds))
        )
        return error


def _stopping() -> GeneratorUnavailable:
    return GeneratorUnavailable("The generator is being stopped. Try again when kefu is back.")
