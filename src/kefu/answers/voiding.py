"""Drops answers that a change of the knowledge makes wrong: those it reads, and those it nears.

Whether the entries of an answer are as they were is looked at in each lookup (`freshness.py`).
What that cannot see is an entry that is new, or says something new, and would now be among the
passages of a question that was answered without it. Such questions are found by their vectors, and
until that is done no generated answer is given.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import date

import numpy as np
import structlog

from kefu.answers.answer import CachedAnswer
from kefu.answers.freshness import Freshness, Known
from kefu.answers.kept import ChangedEntry, Encoder, KeptAnswers, Store
from kefu.knowledge.entry import Entry, IndexedEntry
from kefu.knowledge.vectors import indexed, texts_of
from kefu.stamps import now_ms

log = structlog.get_logger("kefu.answers")

# An entry this near to a question may be among its passages. Of 358 that the sample shop's questions
# would be given to read the farthest had 0.52; of the others one in thirteen is as near as this.
NEAR_COSINE = 0.45
# Vectors of changed entries compared in one go: 5 ms with 10,000 answers.
_VECTORS_PER_STEP = 32
# After more changes than this between two starts the knowledge is another one.
_MOST_CHANGED = 2000
# A change is noticed this long after its time stamp at the latest.
_NOTICE_MS = 60_000


class Voiding:
    def __init__(
        self, kept: KeptAnswers, freshness: Freshness, known: Known, encoder: Encoder
    ) -> None:
        self._kept = kept
        self._freshness = freshness
        self._known = known
        self._encoder = encoder
        self._checks: set[asyncio.Task[None]] = set()
        self._day = date.today()
        known.on_change(self._on_change)

    @property
    def is_settled(self) -> bool:
        """Whether every answer was held against the knowledge of this moment and of this day."""
        return not self._checks and self._day == date.today()

    async def settle(self) -> None:
        """Wait until the changes of this moment are worked through, with those of a new day."""
        today = date.today()
        if self._day != today:
            await self._begin_day(today)
        if self._checks:
            await asyncio.wait(self._checks)

    async def start(self, store: Store) -> None:
        """Drop what changed while no desk was there to notice."""
        self._drop(answer for answer in self._kept.shelf if self._freshness.doubt(answer))
        generated = [a.created_at_ms for a in self._kept.shelf if not a.is_vouched]
        since = min(generated, default=now_ms()) - _NOTICE_MS
        changed = await asyncio.to_thread(
            store.changed_entries, since, self._encoder.id, _MOST_CHANGED
        )
        if len(changed) == _MOST_CHANGED:
            self._drop(self._kept.shelf)
        for entry in changed:
            self._drop(a for a in self._unaware(entry) if _is_older(a, entry))

    def stop(self) -> None:
        for task in self._checks:
            task.cancel()

    def _on_change(self, changed: tuple[IndexedEntry, ...], gone: frozenset[str]) -> None:
        ids = {item.entry.id for item in changed} | gone
        self._freshness.forget(ids)
        readers = self._kept.shelf.readers_of(ids)
        self._drop(answer for answer in readers if self._freshness.doubt(answer))
        usable = [item for item in changed if item.entry.is_valid_on(self._day)]
        if usable and len(self._kept.shelf):
            self._check(usable)

    def _check(self, changed: Sequence[IndexedEntry]) -> None:
        task = asyncio.create_task(self._drop_near(changed), name="kefu-answers-check")
        self._checks.add(task)
        task.add_done_callback(self._end_check)

    def _end_check(self, task: asyncio.Task[None]) -> None:
        self._checks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("answers_not_checked", exc_info=error)
            self._drop(self._kept.shelf)  # none of them is known to be right

    async def _drop_near(self, changed: Iterable[IndexedEntry]) -> None:
        for item in changed:
            self._drop(self._unaware(_as_changed(item)))
            await asyncio.sleep(0)  # customers' messages come in between

    def _unaware(self, entry: ChangedEntry) -> list[CachedAnswer]:
        """Answers to questions near to the entry that were written without it."""
        near: dict[str, CachedAnswer] = {}
        for start in range(0, len(entry.vectors), _VECTORS_PER_STEP):
            step = entry.vectors[start : start + _VECTORS_PER_STEP]
            near.update((a.id, a) for a in self._kept.shelf.near_any(step, NEAR_COSINE))
        return [answer for answer in near.values() if entry.id not in answer.entry_hashes]

    async def _begin_day(self, today: date) -> None:
        """Entries that are valid from today on are new ones."""
        new = [e for e in self._known.entries.values() if _begins(e, self._day, today)]
        for entry in new:
            vectors = await self._encoder.encode_many(texts_of(entry))
            self._drop(self._unaware(_as_changed(indexed(entry, vectors))))
        self._day = today

    def _drop(self, answers: Iterable[CachedAnswer]) -> None:
        """What a person vouched for stays, to be looked at again; it is not given meanwhile."""
        dropped = self._kept.drop([answer.id for answer in answers if not answer.is_vouched])
        if dropped:
            log.info("answers_dropped", answers=dropped, because="the knowledge changed")


def _as_changed(item: IndexedEntry) -> ChangedEntry:
    """An entry is found by its questions and by what its answer says."""
    answer = [] if item.answer is None else [item.answer]
    return ChangedEntry(item.entry.id, now_ms(), np.vstack([*item.vectors, *answer]))


def _is_older(answer: CachedAnswer, entry: ChangedEntry) -> bool:
    return answer.created_at_ms - _NOTICE_MS <= entry.since_ms


def _begins(entry: Entry, after: date, until: date) -> bool:
    return entry.valid_from is not None and after < entry.valid_from <= until
