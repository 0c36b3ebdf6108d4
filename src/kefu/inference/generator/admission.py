"""The queue in front of a generator: so many answers at once, so many waiting, the rest refused.

llama.cpp queues whatever it is sent without a bound and cannot forget a queued request, so the
queue is here: first come, first served, and a customer who leaves is out of it at once.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass

from kefu.errors import GeneratorUnavailable, Overloaded
from kefu.inference.generator.protocol import Generator, Piece, Prompt
from kefu.telemetry import Metrics

# Guess for the length of an answer until some were written (64 tokens at 20 tokens/s).
FIRST_GUESS_SECONDS = 3.0
# Weight of the newest answer in the running mean: about the last ten count.
NEWEST_WEIGHT = 0.2
LONGEST_RETRY_SECONDS = 60


@dataclass(eq=False)
class _Waiter:
    granted: asyncio.Future[None]
    on_position: Callable[[int], None] | None
    position: int = 0


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
        self._queue: deque[_Waiter] = deque()
        self._closed = False
        self._mean_seconds = FIRST_GUESS_SECONDS

    @property
    def running(self) -> int:
        return self._running

    @property
    def waiting(self) -> int:
        return len(self._queue)

    async def stream(
        self,
        prompt: Prompt,
        *,
        max_tokens: int,
        on_position: Callable[[int], None] | None = None,
    ) -> AsyncGenerator[Piece, None]:
        """Write an answer once it is this one's turn.

        `on_position` hears the place in the queue whenever it changes, counting from 1; it is
        not called for an answer that starts at once. Raises `Overloaded` when the queue is full
        or the wait took longer than `wait_seconds`.
        """
        async with (
            self._place(on_position),
            aclosing(self._generator.stream(prompt, max_tokens=max_tokens)) as pieces,
        ):
            async for piece in pieces:
                yield piece

    async def ping(self) -> None:
        await self._generator.ping()

    async def aclose(self) -> None:
        """Send the waiting ones away and close the generator. Running answers end with it."""
        self._closed = True
        for waiter in self._queue:
            if not waiter.granted.done():
                waiter.granted.set_exception(_stopping())
        await self._generator.aclose()

    @asynccontextmanager
    async def _place(self, on_position: Callable[[int], None] | None) -> AsyncIterator[None]:
        await self._enter(on_position)
        begun = time.monotonic()
        try:
            yield
        finally:
            seconds = time.monotonic() - begun
            self._mean_seconds += NEWEST_WEIGHT * (seconds - self._mean_seconds)
            self._leave()

    async def _enter(self, on_position: Callable[[int], None] | None) -> None:
        if self._closed:
            raise _stopping()
        if self._running < self._places:  # then nobody waits: see `_leave`
            self._count_running(+1)
        elif len(self._queue) >= self._max_waiting:
            raise self._overloaded(f"{len(self._queue)} answers are waiting to be written already")
        else:
            await self._wait_in_line(on_position)

    async def _wait_in_line(self, on_position: Callable[[int], None] | None) -> None:
        waiter = _Waiter(asyncio.get_running_loop().create_future(), on_position)
        self._queue.append(waiter)
        self._metrics.generator_waiting.inc()
        try:
            self._tell_positions()
            async with asyncio.timeout(self._wait_seconds):
                await waiter.granted
        except BaseException as error:  # a caller that hung up too: its place goes to the next
            self._give_up(waiter)
            if isinstance(error, TimeoutError):
                raise self._overloaded(
                    f"no place came free within {self._wait_seconds:g} s"
                ) from error
            raise

    def _give_up(self, waiter: _Waiter) -> None:
        """Leave the queue, or pass the place on that was granted in the moment of leaving."""
        granted = waiter.granted
        if granted.done() and not granted.cancelled() and granted.exception() is None:
            self._leave()
        else:
            self._dequeue(waiter)

    def _leave(self) -> None:
        """Hand the place to the first in line. It never stands free while someone waits."""
        for waiter in self._queue:
            if not waiter.granted.done():
                waiter.granted.set_result(None)
                self._dequeue(waiter)
                return
        self._count_running(-1)

    def _dequeue(self, waiter: _Waiter) -> None:
        self._queue.remove(waiter)
        self._metrics.generator_waiting.dec()
        self._tell_positions()

    def _tell_positions(self) -> None:
        """By way of the loop: a callback that raises must not end somebody else's turn."""
        loop = asyncio.get_running_loop()
        for position, waiter in enumerate(self._queue, start=1):
            if waiter.on_position and waiter.position != position:
                waiter.position = position
                loop.call_soon(waiter.on_position, position)

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
