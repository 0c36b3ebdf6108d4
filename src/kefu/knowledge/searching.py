"""How knowledge is searched: in memory, or where it is too large for that, in a database."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Collection, Sequence
from typing import Protocol

from kefu.inference.encoder.compared import Compared
from kefu.knowledge.entry import IndexedEntry
from kefu.knowledge.index import Index, Match
from kefu.knowledge.lexical import Floats
from kefu.knowledge.match import Decision, Sure, decide
from kefu.settings import KnowledgeSettings
from kefu.together import Together

# Of each: the customer's language, and the others.
MATCHES = 5


class Search(Protocol):
    """Finds what is known at one time; `changed` gives the next, and this one stays usable."""

    @property
    def keeps_vectors(self) -> bool:
        """Whether `changed` needs the vectors of the entries it is given."""
        ...

    @property
    def compared_with(self) -> list[Floats]:
        """What the vector of every message is compared with."""
        ...

    def find(self, text: str, vector: Compared, language: str) -> Awaitable[Decision]:
        """What `decide` makes of `search`. Where an entry of the customer's language is sure, the
        others need not be looked at."""
        ...

    async def search(self, text: str, vector: Floats, language: str, limit: int) -> list[Match]:
        """See `Index.search`."""
        ...

    async def changed(self, items: Sequence[IndexedEntry], gone: Collection[str]) -> Search:
        """With entries added or replaced by id, and others gone."""
        ...

    async def tried(self, items: Sequence[IndexedEntry]) -> Search:
        """With entries added or replaced that are saved nowhere."""
        ...


class MemorySearch:
    """In the memory of this process: as quick as can be, 12 KB an entry."""

    keeps_vectors = True

    def __init__(self, index: Index, settings: KnowledgeSettings) -> None:
        self._index = index
        self._settings = settings
        self._together = Together(self._find_all)

    @property
    def compared_with(self) -> list[Floats]:
        return self._index.compared_with

    def find(self, text: str, vector: Compared, language: str) -> Awaitable[Decision]:
        return self._together((text, vector, language))

    async def search(self, text: str, vector: Floats, language: str, limit: int) -> list[Match]:
        return self._index.search(text, vector, language, limit)

    async def changed(self, items: Sequence[IndexedEntry], gone: Collection[str]) -> MemorySearch:
        index = await asyncio.to_thread(self._index.changed, items, gone)
        return MemorySearch(index, self._settings)

    async def tried(self, items: Sequence[IndexedEntry]) -> MemorySearch:
        return await self.changed(items, ())

    def _find_all(self, asked: Sequence[tuple[str, Compared, str]]) -> list[Decision]:
        decisions: dict[int, Decision] = {}
        for language in {language for _, _, language in asked}:
            numbers = [n for n, one in enumerate(asked) if one[2] == language]
            texts = [asked[n][0] for n in numbers]
            vectors = [asked[n][1] for n in numbers]
            found = self._find_in(language, texts, vectors)
            decisions.update(zip(numbers, found, strict=True))
        return [decisions[n] for n in range(len(asked))]

    def _find_in(
        self, language: str, texts: Sequence[str], vectors: Sequence[Compared]
    ) -> list[Decision]:
        index, settings = self._index, self._settings
        own = index.search_own(texts, vectors, language, MATCHES)
        decisions = [decide(text, found, settings) for text, found in zip(texts, own, strict=True)]
        unsure = [n for n, decision in enumerate(decisions) if not isinstance(decision, Sure)]
        if not unsure:
            return decisions
        asked = [texts[n] for n in unsure]
        foreign = index.search_foreign(asked, [vectors[n] for n in unsure], language, MATCHES)
        for n, more in zip(unsure, foreign, strict=True):
            if more:
                decisions[n] = decide(texts[n], [*own[n], *more], settings)
        return decisions
