"""One reader for many turns: as many read at once as cores are to spare, few wait, no more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from kefu.errors import Overloaded
from kefu.reading.reader import Reader, Told
from kefu.reading.rows import Passage

# Reading takes some 45 ms: who is the fifth in line gets an answer sooner without it.
WAITING_PER_PLACE = 4


class SharedReader:
    """For one event loop; reads in threads."""

    def __init__(self, reader: Reader, places: int) -> None:
        self._reader = reader
        self._places = asyncio.Semaphore(places)
        self._most_inside = places * (1 + WAITING_PER_PLACE)
        self._inside = 0

    async def read(self, question: str, before: str, passages: Sequence[Passage]) -> list[Told]:
        """As `Reader.read`. Raises `Overloaded` where too many wait already."""
        if self._inside >= self._most_inside:
            raise Overloaded("Too many questions wait for the reader. Try again in a moment.")
        self._inside += 1
        try:
            async with self._places:
                return await asyncio.to_thread(self._reader.read, question, before, passages)
        finally:
            self._inside -= 1
