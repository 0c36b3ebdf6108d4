"""One turn at a time for each customer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from typing import Protocol

from kefu.errors import TooManyWaiting


class TurnQueues(Protocol):
    """Turns of one customer come one after another, in the order of arrival; customers do not wait
    for each other."""

    def turn_of(self, uid: str) -> AbstractAsyncContextManager[int]:
        """Hold this customer's turn. Gives its fence (`Turn.fence`), 0 where no other desk can have
        the next one. Raises `TooManyWaiting`, and `KefuError` where it cannot be had."""
        ...


@dataclass
class _UidQueue:
    lock: asyncio.Lock
    inside: int = 0


class UidQueues:
    """The turns of one desk."""

    def __init__(self, max_waiting: int) -> None:
        self._max_waiting = max_waiting
        self._queues: dict[str, _UidQueue] = {}

    @asynccontextmanager
    async def turn_of(self, uid: str) -> AsyncIterator[int]:
        """Raises `TooManyWaiting` past the limit."""
        waiting = self._queues.setdefault(uid, _UidQueue(asyncio.Lock()))
        if waiting.inside > self._max_waiting:
            raise TooManyWaiting(
                f"{self._max_waiting} messages of this customer are waiting already. "
                "Wait for an answer first."
            )
        waiting.inside += 1
        try:
            async with waiting.lock:
                yield 0
        finally:
            waiting.inside -= 1
            if waiting.inside == 0:
                del self._queues[uid]
