"""The answers in memory: by id, by key, by the entries they read, and by what they are near to."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator

from kefu.answers.answer import CachedAnswer, Vector
from kefu.answers.vectors import VectorTable


class Shelf:
    """Answers in the order of their last use, the one that waited longest first."""

    def __init__(self) -> None:
        self._answers: OrderedDict[str, CachedAnswer] = OrderedDict()
        self._ids: dict[str, str] = {}
        self._readers: dict[str, set[str]] = {}
        self._vectors = VectorTable()

    def __len__(self) -> int:
        return len(self._answers)

    def __iter__(self) -> Iterator[CachedAnswer]:
        return iter(list(self._answers.values()))

    def find(self, id_: str) -> CachedAnswer | None:
        return self._answers.get(id_)

    def find_key(self, key: str) -> CachedAnswer | None:
        id_ = self._ids.get(key)
        return None if id_ is None else self._answers[id_]

    def readers_of(self, entry_ids: Iterable[str]) -> list[CachedAnswer]:
        """The answers that were written from any of these entries."""
        ids = dict.fromkeys(id_ for entry in entry_ids for id_ in self._readers.get(entry, ()))
        return [self._answers[id_] for id_ in ids]

    def nearest(self, vector: Vector, floor: float) -> Iterator[CachedAnswer]:
        """The answers to questions with at least this cosine, nearest first."""
        return (self._answers[id_] for id_ in self._vectors.nearest(vector, floor))

    def near_any(self, vectors: Vector, floor: float) -> list[CachedAnswer]:
        """The answers to questions that any row of `vectors` (n, d) has this cosine with."""
        return [self._answers[id_] for id_ in self._vectors.near_any(vectors, floor)]

    def put(self, answer: CachedAnswer) -> CachedAnswer | None:
        """Add an answer, or replace the one with its id. Returns one that had its key, now gone."""
        rival = self.find_key(answer.key)
        self.remove(answer.id)
        if rival is not None and rival.id != answer.id:
            self.remove(rival.id)
        self._answers[answer.id] = answer
        self._ids[answer.key] = answer.id
        for entry_id in answer.entry_hashes:
            self._readers.setdefault(entry_id, set()).add(answer.id)
        if answer.vector is not None:
            self._vectors.put(answer.id, answer.vector)
        return rival if rival is not None and rival.id != answer.id else None

    def used(self, answer: CachedAnswer) -> None:
        """Put an answer that differs in its hits only last in line."""
        self._answers[answer.id] = answer
        self._answers.move_to_end(answer.id)

    def remove(self, id_: str) -> CachedAnswer | None:
        """Take an answer away; None where there is none."""
        answer = self._answers.pop(id_, None)
        if answer is None:
            return None
        del self._ids[answer.key]
        self._vectors.remove(id_)
        for entry_id in answer.entry_hashes:
            readers = self._readers[entry_id]
            readers.discard(id_)
            if not readers:
                del self._readers[entry_id]
        return answer

    def least_wanted(self) -> CachedAnswer | None:
        """The one that waited longest for a hit; a pinned one only where all are pinned."""
        answers = self._answers.values()
        return next((a for a in answers if not a.pinned), next(iter(answers), None))
