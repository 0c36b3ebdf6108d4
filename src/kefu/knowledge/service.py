"""The knowledge of a running desk: searched in memory, changed in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from kefu.errors import InvalidInput
from kefu.knowledge.entry import Entry, IndexedEntry, problems_of, with_language
from kefu.knowledge.index import Index, Match
from kefu.knowledge.match import Decision, decide
from kefu.settings import KnowledgeSettings

log = structlog.get_logger("kefu.knowledge")

# The desk answers while it imports: after this many questions others get a turn.
_QUESTIONS_PER_STEP = 256

Progress = Callable[[int, int], None]


class Store(Protocol):
    """What is asked of a store; `stores/sqlite_knowledge.py` says what each one does."""

    def version(self) -> int: ...
    def load(self, encoder_id: str) -> tuple[int, list[IndexedEntry], list[Entry]]: ...
    def hashes(self) -> dict[str, str]: ...
    def save(
        self, changed: Sequence[IndexedEntry], encoder_id: str, delete: Sequence[str] = ()
    ) -> int: ...


class Encoder(Protocol):
    """What is asked of `BatchedEncoder`."""

    @property
    def id(self) -> str: ...
    @property
    def dimensions(self) -> int: ...
    async def encode(self, text: str) -> NDArray[np.float32]: ...
    async def encode_many(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


@dataclass(frozen=True)
class ImportReport:
    """How many entries an import added, changed and found unchanged, and the version after it."""

    added: int
    changed: int
    unchanged: int
    version: int


class Knowledge:
    """Open with `open_knowledge`. Searching never waits: it sees the snapshot of the moment."""

    def __init__(self, store: Store, encoder: Encoder, settings: KnowledgeSettings) -> None:
        self._store = store
        self._encoder = encoder
        self._settings = settings
        self._index = Index(-1, [])
        self._changing = asyncio.Lock()

    @property
    def version(self) -> int:
        return self._index.version

    @property
    def entries(self) -> Mapping[str, Entry]:
        """All entries by id, of this moment's snapshot."""
        return self._index.entries

    def search(
        self, text: str, vector: NDArray[np.float32], language: str, limit: int = 5
    ) -> list[Match]:
        """See `Index.search`."""
        return self._index.search(text, vector, language, limit)

    def decide(self, text: str, matches: Sequence[Match]) -> Decision:
        """See `match.decide`."""
        return decide(text, matches, self._settings)

    async def refresh(self) -> bool:
        """Take over what any process has changed; whether there was anything."""
        async with self._changing:
            if await asyncio.to_thread(self._store.version) == self._index.version:
                return False
            await self._reload()
            return True

    async def compare(self, entries: Sequence[Entry]) -> ImportReport:
        """What `import_entries` would report, with nothing changed. Raises as that does."""
        complete = _checked(entries)
        hashes = await asyncio.to_thread(self._store.hashes)
        return _report(complete, hashes, await asyncio.to_thread(self._store.version))

    async def import_entries(
        self, entries: Sequence[Entry], on_progress: Progress | None = None
    ) -> ImportReport:
        """Add entries and replace those with the same id, all or nothing. Others stay.

        Only new and changed ones are encoded. `on_progress` hears how many questions of how many.
        Raises `InvalidInput` for an entry that `problems_of` finds fault with.
        """
        complete = _checked(entries)
        async with self._changing:
            hashes = await asyncio.to_thread(self._store.hashes)
            fresh = [e for e in complete if hashes.get(e.id) != e.content_hash]
            if fresh:
                indexed = await self._encode(fresh, on_progress)
                await asyncio.to_thread(self._store.save, indexed, self._encoder.id)
                await self._reload()
        return _report(complete, hashes, self.version)

    async def delete_entries(self, ids: Iterable[str]) -> int:
        """Delete the entries that exist among `ids`; the new version."""
        async with self._changing:
            hashes = await asyncio.to_thread(self._store.hashes)
            gone = [id_ for id_ in dict.fromkeys(ids) if id_ in hashes]
            if gone:
                await asyncio.to_thread(self._store.save, [], self._encoder.id, gone)
                await self._reload()
        return self.version

    async def ping(self) -> None:
        """Raises where the store cannot be read."""
        await asyncio.to_thread(self._store.version)

    async def _reload(self) -> None:
        """Build a new snapshot beside the old one, then swap."""
        version, indexed, strange = await asyncio.to_thread(self._store.load, self._encoder.id)
        if strange:
            await self._adopt(strange)
            version, indexed, _ = await asyncio.to_thread(self._store.load, self._encoder.id)
        self._index = await asyncio.to_thread(Index, version, indexed)
        log.info("knowledge_loaded", version=version, entries=len(indexed))

    async def _adopt(self, strange: list[Entry]) -> None:
        """Give entries that only another encoder's vectors have the vectors of this one."""
        log.info("knowledge_encoded_anew", entries=len(strange), encoder=self._encoder.id)
        adopted = await self._encode(strange, None)
        await asyncio.to_thread(self._store.save, adopted, self._encoder.id)

    async def _encode(
        self, entries: Sequence[Entry], on_progress: Progress | None
    ) -> list[IndexedEntry]:
        questions = [question for entry in entries for question in entry.questions]
        parts = []
        for start in range(0, len(questions), _QUESTIONS_PER_STEP):
            step = questions[start : start + _QUESTIONS_PER_STEP]
            parts.append(await self._encoder.encode_many(step))
            if on_progress:
                on_progress(start + len(step), len(questions))
        return _divide(entries, np.vstack(parts))


async def open_knowledge(store: Store, encoder: Encoder, settings: KnowledgeSettings) -> Knowledge:
    """Knowledge with its first snapshot loaded."""
    knowledge = Knowledge(store, encoder, settings)
    await knowledge.refresh()
    return knowledge


def _checked(entries: Sequence[Entry]) -> list[Entry]:
    """Entries with their languages. The one gate in front of the store."""
    problems = [
        f"{entry.id[:40] or '(no id)'}, {field}: {reason}"
        for entry in entries
        for field, reason in problems_of(entry)
    ]
    if problems:
        raise InvalidInput("Entries that cannot be taken: " + "; ".join(problems[:20]))
    if len({entry.id for entry in entries}) < len(entries):
        raise InvalidInput("Two of the entries have the same id. Give each its own.")
    return [with_language(entry) for entry in entries]


def _report(entries: Sequence[Entry], hashes: Mapping[str, str], version: int) -> ImportReport:
    added = sum(entry.id not in hashes for entry in entries)
    unchanged = sum(hashes.get(entry.id) == entry.content_hash for entry in entries)
    return ImportReport(added, len(entries) - added - unchanged, unchanged, version)


def _divide(entries: Sequence[Entry], vectors: NDArray[np.float32]) -> list[IndexedEntry]:
    """Give each entry its rows of one long matrix."""
    ends = np.cumsum([len(entry.questions) for entry in entries])
    parts = np.split(vectors, ends[:-1])
    return [IndexedEntry(e, part) for e, part in zip(entries, parts, strict=True)]
