"""Work that several callers wait for and that is done once, with its text as it is written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

from kefu.errors import Overloaded

T = TypeVar("T")


@dataclass(frozen=True)
class InLine:
    """Nothing is written yet: the work waits in line, at this position (1: it is the next)."""

    position: int


class Stopped(Overloaded):
    """The work was stopped by the desk, not by those who wait for it."""

    code = "stopping"


class Flight(Generic[T]):
    """One task that works, and any number of callers who follow it.

    Each of them gets all of the text from its beginning and then the result, or the exception; and
    before the text, where the work stands in line.
    When the last one is gone the work is cancelled: nobody would read it.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._pieces: list[str] = []
        self._line: InLine | None = None
        self._followers = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[T] | None = None
        self._is_left = False

    def start(self, work: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        self._task = asyncio.create_task(work, name=self._name)
        self._task.add_done_callback(self._end)
        return self._task

    @property
    def is_open(self) -> bool:
        """Whether it still flies, so that another caller may follow."""
        return self._task is not None and not self._task.done() and not self._is_left

    def emit(self, piece: str | InLine) -> None:
        """Pass on the next piece of text, or the position in line."""
        if isinstance(piece, InLine):
            self._line = piece
        else:
            self._pieces.append(piece)
        self._wake()

    async def result(self) -> T:
        """Wait for the end. Raises what the work raised."""
        with self.following() as task:
            try:
                # Shielded: this caller may go away while another one still waits.
                return await asyncio.shield(task)
            except asyncio.CancelledError:
                if task.cancelled() and not _is_being_cancelled():
                    raise Stopped("The desk stopped before the answer was done.") from None
                raise

    async def ended(self) -> None:
        """Wait until nothing of it runs any more, without following it."""
        if self._task is not None:
            await asyncio.wait([self._task])

    async def pieces(self) -> AsyncGenerator[str | InLine, None]:
        """The text from its beginning, piece by piece, until the work has ended.

        Before the first piece, the newest position in line. Ends without raising; ask `result()`
        how it ended.
        """
        with self.following() as task:
            seen, line = 0, None
            while True:
                changed = self._changed
                if not self._pieces and self._line != line and not task.done():
                    line = self._line
                    if line is not None:
                        yield line
                elif seen < len(self._pieces):
                    new = "".join(self._pieces[seen:])
                    seen = len(self._pieces)
                    yield new
                elif task.done():
                    return
                else:
                    await changed.wait()

    @contextmanager
    def following(self) -> Iterator[asyncio.Task[T]]:
        """Be one of those for whom the work is done."""
        if self._task is None:
            raise RuntimeError("start() comes before following")
        self._followers += 1
        try:
            yield self._task
        finally:
            self._followers -= 1
            if self._followers == 0:
                self._is_left = True
                self._task.cancel()

    def _end(self, task: asyncio.Task[T]) -> None:
        if not task.cancelled():
            task.exception()  # followers are told; asyncio need not warn that nobody asked
        self._wake()

    def _wake(self) -> None:
        # Each change has an event of its own, so that no follower can miss one.
        self._changed.set()
        self._changed = asyncio.Event()


def _is_being_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


class Flights(Generic[T]):
    """The flights of this moment by key. `count` hears of each caller, whether it began one."""

    def __init__(self, count: Callable[[Literal["shared", "miss"]], None]) -> None:
        self._count = count
        self._open: dict[str, Flight[T]] = {}
        self._tasks: set[asyncio.Task[T]] = set()

    @contextmanager
    def join(
        self, key: str | None, work: Callable[[Flight[T]], Coroutine[Any, Any, T]]
    ) -> Iterator[Flight[T]]:
        """Follow the flight with this key, or begin it: `work` is called at most once.

        The work belongs to the flight and goes on when the caller that began it goes away. It must
        wait for nothing that a follower may hold. Without a key the flight is the caller's own.
        """
        flight = self._open.get(key) if key is not None else None
        if flight is None or not flight.is_open:
            flight = self._begin(key, work)
            self._count("miss")
        else:
            self._count("shared")
        with flight.following():
            yield flight

    async def close(self) -> None:
        """Stop all work, and return when it has stopped."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(
        self, key: str | None, work: Callable[[Flight[T]], Coroutine[Any, Any, T]]
    ) -> Flight[T]:
        flight = Flight[T](f"flight-{key or 'alone'}")
        task = flight.start(work(flight))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        if key is not None:
            self._open[key] = flight
            task.add_done_callback(lambda _: self._land(key, flight))
        return flight

    def _land(self, key: str, flight: Flight[T]) -> None:
        """Another flight may have this key by now, where everybody had left this one."""
        if self._open.get(key) is flight:
            del self._open[key]
