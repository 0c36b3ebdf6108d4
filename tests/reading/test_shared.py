"""A reader that many turns ask at once."""

from __future__ import annotations

import asyncio
import threading

import pytest

from kefu.errors import Overloaded
from kefu.reading.reader import Told
from kefu.reading.rows import Passage
from kefu.reading.shared import WAITING_PER_PLACE, SharedReader

PASSAGES = [Passage("", "一句话。")]


class SlowReader:
    def __init__(self) -> None:
        self.release = threading.Event()
        self.reading = 0
        self.most = 0

    def read(self, question, before, passages):
        self.reading += 1
        self.most = max(self.most, self.reading)
        assert self.release.wait(10)
        self.reading -= 1
        return [Told(0, 0, question, 0.9)]


@pytest.mark.parametrize("places", [1, 2])
async def test_some_read_some_wait_and_the_rest_are_refused(places: int):
    reader = SlowReader()
    shared = SharedReader(reader, places)
    room = places * (1 + WAITING_PER_PLACE)
    asked = [asyncio.ensure_future(shared.read(str(n), "", PASSAGES)) for n in range(room)]
    await asyncio.sleep(0)
    with pytest.raises(Overloaded):
        await shared.read("one too many", "", PASSAGES)
    reader.release.set()
    told = await asyncio.gather(*asked)
    assert [one[0].sentence for one in told] == [str(n) for n in range(room)]
    assert reader.most == places
    assert await shared.read("again", "", PASSAGES)


async def test_who_leaves_the_line_makes_room():
    reader = SlowReader()
    shared = SharedReader(reader, 1)
    asked = [
        asyncio.ensure_future(shared.read(str(n), "", PASSAGES))
        for n in range(1 + WAITING_PER_PLACE)
    ]
    await asyncio.sleep(0)
    asked[-1].cancel()
    await asyncio.sleep(0)
    late = asyncio.ensure_future(shared.read("late", "", PASSAGES))
    reader.release.set()
    assert (await late)[0].sentence == "late"
    await asyncio.gather(*asked[:-1])
