"""One thread that writes, and commits whatever waits in one transaction."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, TypeVar

import structlog
from sqlalchemy import Connection, Engine

from kefu.errors import KefuError, Overloaded
from kefu.telemetry import Metrics

T = TypeVar("T")
log = structlog.get_logger("kefu.stores")

MAX_WRITES_PER_COMMIT = 64
MAX_WAITING_WRITES = 4096


class DatabaseClosed(KefuError):
    """A write came after the database was closed: the desk is stopping."""

    status = 503
    code = "stopping"


# What a write returned, or how it failed.
_Outcome = tuple[Any, Exception | None]


@dataclass(frozen=True)
class _Write:
    change: Callable[[Connection], Any]
    future: Future[Any] | asyncio.Future[Any]

    def is_wanted(self) -> bool:
        """Whether somebody still waits for it."""
        if isinstance(self.future, Future):
            return self.future.set_running_or_notify_cancel()
        return not self.future.cancelled()


def _tell(
    futures: Sequence[Future[Any] | asyncio.Future[Any]], outcomes: Sequence[_Outcome]
) -> None:
    on_loops: dict[asyncio.AbstractEventLoop, list[tuple[asyncio.Future[Any], _Outcome]]] = {}
    for future, outcome in zip(futures, outcomes, strict=True):
        if isinstance(future, Future):
            _settle(future, outcome)
        else:
            on_loops.setdefault(future.get_loop(), []).append((future, outcome))
    for loop, told in on_loops.items():
        with suppress(RuntimeError):  # the loop is closed, and nobody waits there any more
            loop.call_soon_threadsafe(_settle_those_left, told)


def _settle_those_left(told: Sequence[tuple[asyncio.Future[Any], _Outcome]]) -> None:
    for future, outcome in told:
        if not future.done():
            _settle(future, outcome)


def _settle(future: Future[Any] | asyncio.Future[Any], outcome: _Outcome) -> None:
    result, failure = outcome
    if failure is not None:
        future.set_exception(failure)
    else:
        future.set_result(result)


class GroupCommitWriter:
    """One thread owns this process's only writing connection and commits whatever waits in one
    transaction.

    An fsync costs far more than the inserts, so under load one serves many turns. Where one of them
    fails all are undone and run again, each in a savepoint: that one is rolled back alone and its
    caller gets the exception. So a write changes nothing but the database. A future is resolved
    only after the commit, so an acknowledged write is on disk.
    """

    def __init__(self, engine: Engine, metrics: Metrics) -> None:
        self._engine = engine
        self._metrics = metrics
        self._queue: queue.Queue[_Write | None] = queue.Queue(MAX_WAITING_WRITES)
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._run, name="kefu-writer", daemon=True)
        self._thread.start()

    def submit(self, change: Callable[[Connection], T]) -> Future[T]:
        """Queue a write. Raises `Overloaded` when too many wait, `DatabaseClosed` after `close`."""
        future: Future[T] = Future()
        self._enqueue(_Write(change, future))
        return future

    def submit_async(self, change: Callable[[Connection], T]) -> asyncio.Future[T]:
        """As `submit`, for a caller on an event loop: one wake-up tells it of a whole batch."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._enqueue(_Write(change, future))
        return future

    def _enqueue(self, write: _Write) -> None:
        with self._closing:  # nothing may slip in behind the mark that ends the thread
            if self._closed:
                raise DatabaseClosed("The database is closed: the desk is stopping.")
            try:
                self._queue.put_nowait(write)
            except queue.Full as error:
                raise Overloaded("Too many writes wait for the disk. Try again shortly.") from error
        self._metrics.commit_waiting.set(self._queue.qsize())

    def close(self) -> None:
        with self._closing:
            if self._closed:
                return
            self._closed = True
        self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        with self._engine.connect().execution_options(kefu_write=True) as connection:
            while (batch := self._next_batch()) is not None:
                self._commit(connection, batch)

    def _next_batch(self) -> list[_Write] | None:
        """Wait for one write, then take all that wait already; None when closed and empty."""
        first = self._queue.get()
        if first is None:
            return None
        batch = [first]
        while len(batch) < MAX_WRITES_PER_COMMIT:
            try:
                item = self._queue.get_nowait()
            except queue.Empty:
                break
            if item is None:
                self._queue.put(None)  # the next round ends the thread
                break
            batch.append(item)
        self._metrics.commit_waiting.set(self._queue.qsize())
        return batch

    def _commit(self, connection: Connection, batch: list[_Write]) -> None:
        """Run a batch in one transaction and tell every caller how its own write ended."""
        # A caller that gave up before its turn came must not find its write done.
        wanted = [write for write in batch if write.is_wanted()]
        outcomes = self._together(connection, [write.change for write in wanted])
        self._metrics.commit_batch.observe(len(wanted))
        _tell([write.future for write in wanted], outcomes)

    def _together(
        self, connection: Connection, changes: Sequence[Callable[[Connection], Any]]
    ) -> list[_Outcome]:
        try:
            with connection.begin():
                return [(change(connection), None) for change in changes]
        except Exception:  # noqa: BLE001 - which one failed, and why, the second run says
            return self._apart(connection, changes)

    def _apart(
        self, connection: Connection, changes: Sequence[Callable[[Connection], Any]]
    ) -> list[_Outcome]:
        """Each in a savepoint, which costs twice as much as a turn's own insert."""
        try:
            with connection.begin():
                return [self._attempt(connection, change) for change in changes]
        except Exception as error:  # noqa: BLE001 - a failed commit fails each of its callers
            log.error("commit_failed", writes=len(changes), error=str(error))
            return [(None, error)] * len(changes)

    @staticmethod
    def _attempt(connection: Connection, change: Callable[[Connection], Any]) -> _Outcome:
        try:
            with connection.begin_nested():
                return change(connection), None
        except Exception as error:  # noqa: BLE001 - handed to the caller through its future
            return None, error
