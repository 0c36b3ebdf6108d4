"""Wakes those who wait for a later reply to a customer."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class Doorbell:
    """Listen first and look then, and no ring can be missed."""

    def __init__(self) -> None:
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

    def ring(self, uid: str) -> None:
        for rung in self._listening.get(uid, ()):
            rung.set()

    def close(self) -> None:
        """Let everybody go, now and later."""
        self._is_closed = True
        for uid in self._listening:
            self.ring(uid)


async def rung_within(rung: asyncio.Event, seconds: float) -> None:
    """Wait for the ring, but no longer than that."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds):
            await rung.wait()
