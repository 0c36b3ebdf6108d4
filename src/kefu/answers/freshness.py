"""Is a kept answer still what would be written now? Asked at every hit, whatever was dropped."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from datetime import date
from typing import Protocol

import structlog

from kefu.answers.answer import CachedAnswer
from kefu.errors import KefuError
from kefu.knowledge.entry import Entry, IndexedEntry

log = structlog.get_logger("kefu.answers")

OnChange = Callable[[tuple[IndexedEntry, ...], frozenset[str]], None]


class Known(Protocol):
    """What is asked of `Knowledge`: its snapshot of this moment."""

    @property
    def version(self) -> int: ...
    @property
    def entries(self) -> Mapping[str, Entry]: ...
    def on_change(self, listener: OnChange, /) -> None: ...


class Freshness:
    """Compares an answer with the knowledge. `current_version` asks the store, not the snapshot."""

    def __init__(self, known: Known, current_version: Callable[[], int]) -> None:
        self._known = known
        self._current_version = current_version
        self._hashes: dict[str, tuple[Entry, str]] = {}

    def is_snapshot_current(self) -> bool:
        """Whether no process has changed the knowledge since the snapshot. Takes 2 µs."""
        try:
            return self._current_version() == self._known.version
        except KefuError as error:
            log.warning("knowledge_version_unknown", reason=str(error))
            return False

    def doubt(self, answer: CachedAnswer) -> str | None:
        """What has become of the entries the answer was written from; None where nothing has."""
        return change_of(answer, self._current_hash) or self._invalid_today(answer)

    def forget(self, entry_ids: Iterable[str]) -> None:
        """Let go of entries that are no longer what they were."""
        for id_ in entry_ids:
            self._hashes.pop(id_, None)

    def hashes_of(self, entry_ids: Iterable[str]) -> dict[str, str]:
        """The content hashes of this moment, of those entries that are there."""
        entries = self._known.entries
        return {id_: self._hash_of(entries[id_]) for id_ in entry_ids if id_ in entries}

    def _invalid_today(self, answer: CachedAnswer) -> str | None:
        today, entries = date.today(), self._known.entries
        invalid = (id_ for id_ in answer.entry_hashes if not entries[id_].is_valid_on(today))
        found = next(invalid, None)
        return None if found is None else f"its entry {found} is disabled or not valid today"

    def _current_hash(self, entry_id: str) -> str | None:
        entry = self._known.entries.get(entry_id)
        return None if entry is None else self._hash_of(entry)

    def _hash_of(self, entry: Entry) -> str:
        """Hashing takes 10 µs, and a snapshot keeps the entries that did not change."""
        known = self._hashes.get(entry.id)
        if known is None or known[0] is not entry:
            known = self._hashes[entry.id] = (entry, entry.content_hash)
        return known[1]


def change_of(answer: CachedAnswer, hash_of: Callable[[str], str | None]) -> str | None:
    """Which entry is not what the answer was written from; `hash_of` is None for one that is gone."""
    for id_, read in answer.entry_hashes.items():
        current = hash_of(id_)
        if current is None:
            return f"its entry {id_} is gone"
        if current != read:
            return f"its entry {id_} was changed"
    return None
