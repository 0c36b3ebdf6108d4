"""Wakes those who wait for a later reply to a customer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


class Doorbell:
    """Listen first and look then, and no ring can be missed."""

    def __init__(self) -> None:
        self._tell_others: Callable[[str], None] = lambda _: None
        self._listening: dict[str, set[asyncio.Event]] = {}
        self._is_closed = False

    @property
    def is_closed(self) -> bool:
        """The desk is stopping: there is nothing to wait for any more."""
        return self._is_closed

    @contextmanager
    def listening(self, uid: str) -> Iterator[asyncio.Event]:
        """An event that is set when this customer has something new, or the desk stops."""
        rung = asyncio.Event()
        if self._is_closed:
            rung.set()
        self._listening.setdefault(uid, set()).add(rung)
        try:
            yield rung
        finally:
            others = self._listening[uid]
            others.discard(rung)
            if not others:
                del self._listening[uid]

    def share(self, tell: Callable[[str], None]) -> None:
        """Call `tell` with the customer of each ring: who listens may be at another desk."""
        self._tell_others = tell

    def ring(self, uid: str) -> None:
        self.ring_here(uid)
        self._tell_others(uid)

    def ring_here(self, uid: str) -> None:
        for rung in self._listening.get(uid, ()):
            rung.set()

    def ring_all_here(self) -> None:
        """Have everybody look: a ring may have been missed."""
        for uid in self._listening:
            self.ring_here(uid)

    def close(self) -> None:
        """Let everybody go, now and later."""
        self._is_closed = True
        self.ring_all_here()


async def rung_within(rung: asyncio.Event, seconds: float) -> None:
    """Wait for the ring, but no longer than that."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await rung.wait()
