"""What a store has that memory has not, and memory with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass

from kefu.knowledge.entry import Entry, IndexedEntry
from kefu.knowledge.index import Index


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


@dataclass(frozen=True)
class State:
    """A snapshot, and the content hashes of its entries."""

    index: Index
    hashes: Mapping[str, str]

    async def changed(self, changes: Changes) -> State:
        """The next one, built beside this one."""
        index = await asyncio.to_thread(
            self.index.changed, changes.version, changes.indexed, changes.gone
        )
        hashes = {**self.hashes, **changes.hashes}
        for id_ in changes.gone:
            del hashes[id_]
        return State(index, hashes)
