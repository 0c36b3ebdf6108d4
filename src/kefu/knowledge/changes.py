"""What a store has that memory has not, and memory with it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kefu.knowledge.entry import Entry, IndexedEntry
from kefu.knowledge.searching import Search


@dataclass(frozen=True)
class Changes:
    """Entries that are new or changed, those of them that have no vectors yet, and ids that went.

    `version` is that of the knowledge with these changes, `hashes` has the content hash of each new
    or changed entry by id. There are more than these where `complete` is false.
    """

    version: int
    indexed: tuple[IndexedEntry, ...]
    unencoded: tuple[Entry, ...]
    gone: frozenset[str]
    hashes: Mapping[str, str]
    complete: bool


@dataclass(frozen=True, eq=False)
class State:
    """The knowledge of one version: all entries by id, their content hashes, and how they are found.

    Disabled entries are known and never found.
    """

    version: int
    entries: Mapping[str, Entry]
    hashes: Mapping[str, str]
    search: Search

    async def changed(self, changes: Changes) -> State:
        """The next one, built beside this one."""
        search = await self.search.changed(changes.indexed, changes.gone)
        entries = {**self.entries, **{item.entry.id: item.entry for item in changes.indexed}}
        hashes = {**self.hashes, **changes.hashes}
        for id_ in changes.gone:
            del entries[id_], hashes[id_]
        return State(changes.version, entries, hashes, search)
