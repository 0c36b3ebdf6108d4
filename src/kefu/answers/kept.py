"""The kept answers in memory, and the same on disk a moment later."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kefu.answers.answer import CachedAnswer, Hit
from kefu.answers.shelf import Shelf
from kefu.stamps import now_ms


@dataclass(frozen=True, eq=False)
class ChangedEntry:
    """An entry with all its vectors (n, d), and when it became what it is or valid."""

    id: str
    since_ms: int
    vectors: NDArray[np.float32]


class Store(Protocol):
    """What is asked of a store; `stores/answers.py` says what each one does."""

    def version(self) -> int: ...
    def load(self) -> tuple[int, list[CachedAnswer]]: ...
    def apply(
        self,
        saved: Sequence[CachedAnswer],
        hit: Sequence[CachedAnswer],
        dropped: Sequence[str],
        *,
        by_people: bool = False,
    ) -> None: ...
    def changed_entries(self, since_ms: int, encoder_id: str, limit: int) -> list[ChangedEntry]: ...
    def knowledge_version(self) -> int: ...


class Encoder(Protocol):
    """What is asked of `BatchedEncoder`."""

    @property
    def id(self) -> str: ...
    async def encode_many(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


@dataclass
class _Unsaved:
    """Ids of what differs from the disk."""

    saved: set[str] = field(default_factory=set)
    hit: set[str] = field(default_factory=set)
    dropped: set[str] = field(default_factory=set)

    def __bool__(self) -> bool:
        return bool(self.saved or self.hit or self.dropped)


class KeptAnswers:
    """Changes are seen at once and are on disk after the next `save`.

    A crash loses what was kept in the second before; what was to be dropped is recognised as out
    of date when it is loaded again.
    """

    def __init__(self, store: Store, encoder: Encoder, max_entries: int) -> None:
        self._store = store
        self._encoder = encoder
        self._max_entries = max_entries
        self._version = -1
        self._unsaved = _Unsaved()
        self.shelf = Shelf()

    def put(self, answer: CachedAnswer) -> None:
        """Add or replace an answer; beyond the bound the least wanted ones go."""
        rival = self.shelf.put(answer)
        self._unsaved.saved.add(answer.id)
        self._unsaved.dropped.discard(answer.id)
        if rival is not None:
            self._forget(rival.id)
        self._keep_within_bound()

    def used(self, answer: CachedAnswer, hit: Hit) -> CachedAnswer:
        """Count a hit; the answer with it."""
        counted = answer.after(hit, now_ms())
        self.shelf.used(counted)
        self._unsaved.hit.add(answer.id)
        return counted

    def drop(self, ids: Iterable[str]) -> int:
        """Forget answers; how many there were."""
        gone = [id_ for id_ in ids if self.shelf.remove(id_) is not None]
        for id_ in gone:
            self._forget(id_)
        return len(gone)

    async def load(self) -> None:
        """Read what an earlier start kept. What another encoder's search led to is dropped."""
        self._version, rows = await asyncio.to_thread(self._store.load)
        ours = [row for row in rows if row.is_vouched or row.encoder_id == self._encoder.id]
        for row in await self._with_vectors(ours):
            self.shelf.put(row)
        self._unsaved.dropped.update({row.id for row in rows} - {row.id for row in ours})
        self._keep_within_bound()

    def adopt(self, answer: CachedAnswer) -> None:
        """Have what another desk keeps, and has on disk or soon will."""
        shelf = self.shelf
        if shelf.find(answer.id) is None and shelf.find_key(answer.key) is None:
            shelf.put(answer)
            self._keep_within_bound()

    async def save(self, *, by_people: bool = False) -> None:
        """Bring the disk up to date. What could not be written is tried again the next time.
        `by_people`: for other desks to notice."""
        if not self._unsaved:
            return
        taken, self._unsaved = self._unsaved, _Unsaved()
        try:
            await asyncio.to_thread(
                self._store.apply,
                self._present(taken.saved),
                self._present(taken.hit - taken.saved),
                sorted(taken.dropped),
                by_people=by_people,
            )
        except BaseException:  # a cancelled save may have been written: twice does no harm
            self._unsaved.saved |= taken.saved - self._unsaved.dropped
            self._unsaved.hit |= taken.hit - self._unsaved.dropped
            self._unsaved.dropped |= taken.dropped - self._unsaved.saved
            raise

    async def take_over(self) -> None:
        """Follow what a person changed from another process (`kefu answers edit`)."""
        if await asyncio.to_thread(self._store.version) == self._version:
            return
        on_disk = {answer.id for answer in self.shelf} - self._unsaved.saved
        self._version, rows = await asyncio.to_thread(self._store.load)
        for row in await self._with_vectors([row for row in rows if self._is_news(row)]):
            self.shelf.put(row)
        for id_ in on_disk - {row.id for row in rows}:
            self.shelf.remove(id_)
            self._unsaved.hit.discard(id_)
        self._keep_within_bound()

    def _is_news(self, row: CachedAnswer) -> bool:
        """Generated answers that are on the disk alone were dropped here a moment ago."""
        mine = self.shelf.find(row.id)
        if mine is None or row.id in self._unsaved.saved:
            return mine is None and row.is_vouched and row.id not in self._unsaved.dropped
        return _what_people_change(mine) != _what_people_change(row)

    async def _with_vectors(self, rows: Sequence[CachedAnswer]) -> list[CachedAnswer]:
        """People write answers where no encoder is; the desk encodes their questions here."""
        strange = [r for r in rows if r.vector is None or r.encoder_id != self._encoder.id]
        if not strange:
            return list(rows)
        vectors = await self._encoder.encode_many([row.question for row in strange])
        encoded = {
            row.id: replace(row, vector=vector, encoder_id=self._encoder.id)
            for row, vector in zip(strange, vectors, strict=True)
        }
        self._unsaved.saved.update(encoded)
        return [encoded.get(row.id, row) for row in rows]

    def _keep_within_bound(self) -> None:
        while len(self.shelf) > self._max_entries:
            unwanted = self.shelf.least_wanted()
            assert unwanted is not None
            self.drop([unwanted.id])

    def _forget(self, id_: str) -> None:
        self._unsaved.saved.discard(id_)
        self._unsaved.hit.discard(id_)
        self._unsaved.dropped.add(id_)

    def _present(self, ids: Iterable[str]) -> list[CachedAnswer]:
        found = (self.shelf.find(id_) for id_ in sorted(ids))
        return [answer for answer in found if answer is not None]


def _what_people_change(answer: CachedAnswer) -> tuple[object, ...]:
    return answer.key, answer.reply, answer.pinned, answer.edited, dict(answer.entry_hashes)
