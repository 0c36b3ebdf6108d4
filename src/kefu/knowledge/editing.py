"""Entries changed one by one by people, in a desk or straight in its database."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

from kefu.errors import NotFound, Overloaded
from kefu.knowledge.documents.chunking import vector_texts
from kefu.knowledge.documents.sentences import split_sentences
from kefu.knowledge.entry import Entry, IndexedEntry

# Another process that writes at the same moment makes a change start again.
_ATTEMPTS = 5


def edited(entry: Entry, changes: Mapping[str, Any]) -> Entry:
    """An entry with other fields. A passage with another text is found by that one's sentences."""
    changed = replace(entry, **changes)
    if entry.kind == "passage" and "answer" in changes and "alternatives" not in changes:
        changed = replace(changed, alternatives=vector_texts(split_sentences(changed.answer)))
    others = (text for text in dict.fromkeys(changed.alternatives) if text != changed.question)
    return replace(changed, alternatives=tuple(others), tags=tuple(dict.fromkeys(changed.tags)))


class EntryStore(Protocol):
    """What is asked of a store where no question changes, so that no encoder is needed."""

    def entries(self) -> tuple[int, list[Entry]]: ...
    def save(
        self,
        changed: Sequence[IndexedEntry],
        encoder_id: str,
        delete: Sequence[str] = (),
        *,
        renewed: Sequence[Entry] = (),
        if_version: int | None = None,
    ) -> int | None: ...


def switch_entries(store: EntryStore, ids: Sequence[str], enabled: bool) -> int:
    """Enable or disable entries, all or none; how many changed. Raises `NotFound`."""

    def switched(known: Mapping[str, Entry]) -> tuple[list[Entry], list[str]]:
        chosen = [known[id_] for id_ in _found(known, ids)]
        return [replace(e, enabled=enabled) for e in chosen if e.enabled != enabled], []

    return _change(store, switched)


def delete_entries(store: EntryStore, ids: Sequence[str]) -> int:
    """Delete entries, all or none; how many. Raises `NotFound`."""
    return _change(store, lambda known: ([], _found(known, ids)))


def delete_source(store: EntryStore, name: str) -> int:
    """Delete every entry of a source; how many. Raises `NotFound` where there is none."""

    def of_source(known: Mapping[str, Entry]) -> tuple[list[Entry], list[str]]:
        return [], ids_of_source(known.values(), name)

    return _change(store, of_source)


def ids_of_source(entries: Iterable[Entry], name: str) -> list[str]:
    ids = [entry.id for entry in entries if entry.source == name]
    if not ids:
        raise NotFound(f"There is no source {name[:200]!r}.")
    return ids


def _found(known: Mapping[str, Entry], ids: Iterable[str]) -> list[str]:
    wanted = list(dict.fromkeys(ids))
    missing = [id_ for id_ in wanted if id_ not in known]
    if missing:
        names = ", ".join(repr(id_[:128]) for id_ in missing[:10])
        raise NotFound(f"There is no entry {names}. Nothing was changed.")
    return wanted


def _change(
    store: EntryStore,
    work_out: Callable[[Mapping[str, Entry]], tuple[list[Entry], list[str]]],
) -> int:
    for _ in range(_ATTEMPTS):
        version, entries = store.entries()
        renewed, gone = work_out({entry.id: entry for entry in entries})
        if not renewed and not gone:
            return 0
        if store.save([], "", gone, renewed=renewed, if_version=version) is not None:
            return len(renewed) + len(gone)
    raise Overloaded("Another process keeps changing the knowledge. Try again in a minute.")
