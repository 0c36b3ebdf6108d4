"""The knowledge of a running desk: one snapshot that is searched, changed in the store."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Any, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from kefu.errors import InvalidInput, NotFound, Overloaded
from kefu.inference.encoder.compared import Compared
from kefu.knowledge.changes import Changes, State
from kefu.knowledge.editing import edited, ids_of_source
from kefu.knowledge.entry import Entry, IndexedEntry, problems_of, with_language
from kefu.knowledge.index import Index, Match
from kefu.knowledge.match import Decision, Nothing, Passages, decide, passages_of
from kefu.knowledge.plan import ImportPlan, make_plan
from kefu.knowledge.searching import MATCHES, MemorySearch, Search
from kefu.knowledge.sources import Source
from kefu.knowledge.trial import Trial
from kefu.knowledge.vectors import indexed, texts_of
from kefu.settings import KnowledgeSettings

log = structlog.get_logger("kefu.knowledge")

# The desk answers while it imports: after this many texts others get a turn.
_TEXTS_PER_STEP = 256

# So many are read from the store at once.
_ENTRIES_PER_STEP = 16_384

# Another process that imports at the same time makes a change be worked out anew.
_ATTEMPTS = 5

Progress = Callable[[int, int], None]

# Hears of entries that were added or changed, and of ids that are gone.
OnChange = Callable[[tuple[IndexedEntry, ...], frozenset[str]], None]


class Store(Protocol):
    """What is asked of a store; `stores/knowledge.py` says what each one does."""

    def version(self) -> int: ...
    def changes(
        self,
        known: Mapping[str, str],
        encoder_id: str,
        among: Collection[str] | None = None,
        most: int | None = None,
        with_vectors: bool = True,
    ) -> Changes: ...
    def hashes(self) -> dict[str, str]: ...
    def save(
        self,
        changed: Sequence[IndexedEntry],
        encoder_id: str,
        delete: Sequence[str] = (),
        *,
        renewed: Sequence[Entry] = (),
        if_version: int | None = None,
    ) -> int | None: ...


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


@dataclass(frozen=True)
class _Edits:
    """Entries to add or replace, and ids to delete."""

    written: Sequence[Entry] = ()
    deleted: Sequence[str] = ()


class Knowledge:
    """Open with `open_knowledge`. Searching never waits for a change: it sees the moment's snapshot."""

    def __init__(
        self, store: Store, encoder: Encoder, settings: KnowledgeSettings, search: Search
    ) -> None:
        self._store = store
        self._encoder = encoder
        self._settings = settings
        self._state = State(-1, {}, {}, search)
        self._listeners: list[OnChange] = []
        self._changing = asyncio.Lock()

    @property
    def version(self) -> int:
        return self._state.version

    @property
    def in_use(self) -> tuple[object, str]:
        """The snapshot and the day: while they are the same, the same is found."""
        return self._state, date.today().isoformat()

    @property
    def compared_with(self) -> list[NDArray[np.float32]]:
        """What the vector of every message is compared with."""
        return self._state.search.compared_with

    @property
    def entries(self) -> Mapping[str, Entry]:
        """All entries by id, of this moment's snapshot."""
        return self._state.entries

    async def search(
        self, text: str, vector: NDArray[np.float32], language: str, limit: int = MATCHES
    ) -> list[Match]:
        """See `Search.search`."""
        return await self._state.search.search(text, vector, language, limit)

    def find(self, text: str, vector: Compared, language: str) -> Awaitable[Decision]:
        """See `Search.find`."""
        return self._state.search.find(text, vector, language)

    def on_change(self, listener: OnChange) -> None:
        """`listener` is called right after each new snapshot is in place, before anything else."""
        self._listeners.append(listener)

    def decide(self, text: str, matches: Sequence[Match]) -> Decision:
        """See `match.decide`."""
        return decide(text, matches, self._settings)

    def passages(self, matches: Sequence[Match], doubt: str) -> Passages | Nothing:
        """See `match.passages_of`."""
        return passages_of(matches, doubt, self._settings)

    async def refresh(self) -> bool:
        """Take over what any process has changed; whether there was anything."""
        async with self._changing:
            return await self._catch_up()

    async def compare(self, entries: Sequence[Entry]) -> ImportReport:
        """What `import_entries` would report, with nothing changed. Raises as that does."""
        complete = _checked(entries)
        hashes = await asyncio.to_thread(self._store.hashes)
        return _report(complete, hashes, await asyncio.to_thread(self._store.version))

    async def with_entries(self, entries: Sequence[Entry]) -> Trial:
        """The knowledge as `import_entries` would make it, with nothing changed. Raises as that does."""
        complete = _checked(entries)
        await self.refresh()
        fresh = await self._encode(complete, None)
        return Trial(await self._state.search.tried(fresh), self._settings)

    async def import_entries(
        self, entries: Sequence[Entry], on_progress: Progress | None = None
    ) -> ImportReport:
        """Add entries and replace those with the same id, all or nothing. Others stay.

        Only new and changed ones are encoded. `on_progress` hears how many texts of how many.
        Raises `InvalidInput` for an entry that `problems_of` finds fault with.
        """
        complete = _checked(entries)
        async with self._changing:
            hashes = await asyncio.to_thread(self._store.hashes)
            fresh = [e for e in complete if hashes.get(e.id) != e.content_hash]
            if fresh:
                items = await self._encode(fresh, on_progress)
                version = await asyncio.to_thread(self._store.save, items, self._encoder.id)
                await self._take_over(version, [entry.id for entry in fresh])
        return _report(complete, hashes, self.version)

    async def delete_entries(self, ids: Iterable[str]) -> int:
        """Delete the entries that exist among `ids`; the new version."""
        async with self._changing:
            hashes = await asyncio.to_thread(self._store.hashes)
            gone = [id_ for id_ in dict.fromkeys(ids) if id_ in hashes]
            if gone:
                version = await asyncio.to_thread(self._store.save, [], self._encoder.id, gone)
                await self._take_over(version, gone)
        return self.version

    async def plan_import(
        self, sources: Sequence[Source], replace_rows: bool = False
    ) -> ImportPlan:
        """What `import_sources` would do, with nothing changed. Raises as that does."""
        await self.refresh()
        plan = await asyncio.to_thread(make_plan, self.entries, sources, replace_rows)
        await asyncio.to_thread(_checked, plan.written)
        return plan

    async def import_sources(
        self,
        sources: Sequence[Source],
        replace_rows: bool = False,
        on_progress: Progress | None = None,
    ) -> ImportPlan:
        """Bring the knowledge in line with files that were read, all or nothing; what was done.

        See `plan.make_plan`. Only new questions are encoded. Raises `InvalidInput` for an entry
        that cannot be taken and for an id that another source has.
        """
        plan = ImportPlan(())

        def edits(known: Mapping[str, Entry]) -> _Edits:
            nonlocal plan
            plan = make_plan(known, sources, replace_rows)
            return _Edits(plan.written, plan.removed_ids)

        await self._change(edits, on_progress)
        return plan

    async def put_entry(self, entry: Entry) -> bool:
        """Add an entry, or replace the one with its id, whose source it keeps; whether it is new."""
        is_new = True

        def edits(known: Mapping[str, Entry]) -> _Edits:
            nonlocal is_new
            before = known.get(entry.id)
            is_new = before is None
            kept = before or entry
            return _Edits([replace(entry, kind=kept.kind, source=kept.source, page=kept.page)])

        await self._change(edits)
        return is_new

    async def edit_entry(self, id_: str, **changes: Any) -> Entry:
        """Change fields of an entry; as it then is. Raises `NotFound` or `InvalidInput`."""

        def edits(known: Mapping[str, Entry]) -> _Edits:
            return _Edits([edited(_get(known, id_), changes)])

        await self._change(edits)
        return _get(self.entries, id_)

    async def delete_source(self, name: str) -> int:
        """Delete every entry of a source; how many. Raises `NotFound` where there is none."""
        gone: list[str] = []

        def edits(known: Mapping[str, Entry]) -> _Edits:
            gone[:] = ids_of_source(known.values(), name)
            return _Edits(deleted=gone)

        await self._change(edits)
        return len(gone)

    async def _change(
        self,
        work_out: Callable[[Mapping[str, Entry]], _Edits],
        on_progress: Progress | None = None,
    ) -> None:
        """Save what `work_out` makes of all entries, at once or not at all."""
        async with self._changing:
            for _ in range(_ATTEMPTS):
                await self._catch_up()
                known, version = self.entries, self.version
                edits = await asyncio.to_thread(work_out, known)
                entries = await asyncio.to_thread(_checked, edits.written)
                entries = [entry for entry in entries if known.get(entry.id) != entry]
                if not entries and not edits.deleted:
                    return
                fresh, renewed = _parted(entries, known)
                items = await self._encode(fresh, on_progress) if fresh else []
                saved = await self._save(items, edits.deleted, renewed, version)
                if saved is not None:
                    await self._take_over(saved, [*(e.id for e in entries), *edits.deleted])
                    return
        raise Overloaded("Another process keeps changing the knowledge. Try again in a minute.")

    async def _save(
        self,
        items: Sequence[IndexedEntry],
        gone: Sequence[str],
        renewed: Sequence[Entry],
        version: int,
    ) -> int | None:
        """The new version. None where another process was faster, and nothing was saved."""
        return await asyncio.to_thread(
            self._store.save, items, self._encoder.id, gone, renewed=renewed, if_version=version
        )

    async def ping(self) -> None:
        """Raises where the store cannot be read."""
        await asyncio.to_thread(self._store.version)

    async def _catch_up(self) -> bool:
        if await asyncio.to_thread(self._store.version) == self.version:
            return False
        await self._reload()
        return True

    async def _take_over(self, saved: int | None, ids: Collection[str]) -> None:
        """Show what this desk has just saved: those ids, unless another process saved as well."""
        if saved == self.version + 1:
            changes = await asyncio.to_thread(
                self._store.changes, self._state.hashes, self._encoder.id, ids
            )
            if changes.version == saved and not changes.unencoded:
                self._show(await self._state.changed(changes), changes.indexed, changes.gone)
                return
        await self._reload()

    async def _reload(self) -> None:
        """Show everything that differs between memory and the store.

        The next snapshot is built in steps beside this one, so that the vectors of 100,000 entries
        are not all in memory twice. Each step compares anew, so it does not matter when others save.
        """
        state, changed, gone = self._state, dict[str, IndexedEntry](), set[str]()
        complete = False
        while not complete:
            changes = await asyncio.to_thread(
                self._store.changes,
                state.hashes,
                self._encoder.id,
                None,
                _ENTRIES_PER_STEP,
                state.search.keeps_vectors or bool(self._listeners),
            )
            if changes.unencoded:
                await self._adopt(changes.unencoded)
                continue
            state = await state.changed(changes)
            if self._listeners:
                changed.update((item.entry.id, item) for item in changes.indexed)
            gone |= changes.gone
            complete = changes.complete
        self._show(state, tuple(changed.values()), frozenset(gone - changed.keys()))
        log.info("knowledge_loaded", version=self.version, entries=len(self.entries))

    def _show(self, state: State, changed: tuple[IndexedEntry, ...], gone: frozenset[str]) -> None:
        self._state = state
        for listener in self._listeners:
            listener(changed, gone)

    async def _adopt(self, strange: Sequence[Entry]) -> None:
        """Give entries without vectors of this encoder theirs."""
        log.info("knowledge_encoded_anew", entries=len(strange), encoder=self._encoder.id)
        adopted = await self._encode(strange, None)
        await asyncio.to_thread(self._store.save, adopted, self._encoder.id)

    async def _encode(
        self, entries: Sequence[Entry], on_progress: Progress | None
    ) -> list[IndexedEntry]:
        texts = [text for entry in entries for text in texts_of(entry)]
        parts = []
        for start in range(0, len(texts), _TEXTS_PER_STEP):
            step = texts[start : start + _TEXTS_PER_STEP]
            parts.append(await self._encoder.encode_many(step))
            if on_progress:
                on_progress(start + len(step), len(texts))
        return await asyncio.to_thread(_divide, entries, np.vstack(parts))


async def open_knowledge(
    store: Store, encoder: Encoder, settings: KnowledgeSettings, search: Search | None = None
) -> Knowledge:
    """Knowledge with its first snapshot loaded. In `search` nothing is known as yet; None: in memory."""
    knowledge = Knowledge(store, encoder, settings, search or MemorySearch(Index(), settings))
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


def _parted(
    entries: Sequence[Entry], known: Mapping[str, Entry]
) -> tuple[list[Entry], list[Entry]]:
    """Those with texts that need vectors, and those that keep the ones they have."""
    renewed = [e for e in entries if e.id in known and texts_of(known[e.id]) == texts_of(e)]
    kept = {entry.id for entry in renewed}
    return [entry for entry in entries if entry.id not in kept], renewed


def _get(known: Mapping[str, Entry], id_: str) -> Entry:
    entry = known.get(id_)
    if entry is None:
        raise NotFound(f"There is no entry {id_[:128]!r}.")
    return entry


def _report(entries: Sequence[Entry], hashes: Mapping[str, str], version: int) -> ImportReport:
    added = sum(entry.id not in hashes for entry in entries)
    unchanged = sum(hashes.get(entry.id) == entry.content_hash for entry in entries)
    return ImportReport(added, len(entries) - added - unchanged, unchanged, version)


def _divide(entries: Sequence[Entry], vectors: NDArray[np.float32]) -> list[IndexedEntry]:
    """Give each entry its rows of one long matrix."""
    ends = np.cumsum([len(texts_of(entry)) for entry in entries])
    parts = np.split(vectors, ends[:-1])
    return [indexed(entry, part) for entry, part in zip(entries, parts, strict=True)]
