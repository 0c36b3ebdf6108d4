"""A turn while it is being answered: one task works, any number of callers follow."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import contextmanager
from typing import Any

from kefu.turn.reply import Message, Reply


class LiveTurn:
    """The running answer to one message.

    A retry with the same idempotency key follows the same turn instead of starting another. When
    the last follower is gone the work is cancelled: nobody would read it.
    """

    def __init__(self, message: Message) -> None:
        self.message = message
        self._pieces: list[str] = []
        self._followers = 0
        self._changed = asyncio.Event()
        self._task: asyncio.Task[Reply] | None = None

    def start(self, work: Coroutine[Any, Any, Reply]) -> asyncio.Task[Reply]:
        self._task = asyncio.create_task(work, name=f"turn-{self.message.turn_id}")
        self._task.add_done_callback(lambda _: self._wake())
        return self._task

    def emit(self, piece: str) -> None:
        """Pass on the next piece of text."""
        self._pieces.append(piece)
        self._wake()

    async def reply(self) -> Reply:
        """Wait for the whole reply. Raises what the turn raised."""
        with self._following() as task:
            # Shielded: this caller may go away while another one still waits.
            return await asyncio.shield(task)

    async def pieces(self) -> AsyncIterator[str]:
        """The text from its beginning, piece by piece, until the turn has ended.

        Ends without raising; ask `reply()` how it ended.
        """
        with self._following() as task:
            seen = 0
            while True:
                changed = self._changed
                if seen < len(self._pieces):
                    new = "".join(self._pieces[seen:])
                    seen = len(self._pieces)
                    yield new
                elif task.done():
                    return
                else:
                    await changed.wait()

    @contextmanager
    def _following(self) -> Any:
        if self._task is None:
            raise RuntimeError("start() comes before following")
        self._followers += 1
        try:
            yield self._task
        finally:
            self._followers -= 1
            if self._followers == 0:
                self._task.cancel()

    def _wake(self) -> None:
        # Each change has an event of its own, so that no follower can miss one.
        self._changed.set()
        self._changed = asyncio.Event()
