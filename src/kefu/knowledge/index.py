"""All knowledge in memory: one immutable snapshot, and the next one made from what changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

from kefu.knowledge.entry import IndexedEntry
from kefu.knowledge.lexical import Floats
from kefu.knowledge.shelf import Match, Shelf, shelf_of, wording_of

__all__ = ["Index", "Match"]


class Index:
    """The knowledge of one version, a shelf for each language.

    Disabled entries are known and never found; those outside their dates are not found that day.
    """

    def __init__(self, version: int, items: Sequence[IndexedEntry]) -> None:
        self.version = version
        self.entries = {item.entry.id: item.entry for item in items}
        self._shelves = {
            language: shelf_of(of_language) for language, of_language in _by_language(items).items()
        }

    def changed(self, version: int, items: Sequence[IndexedEntry], gone: Collection[str]) -> Index:
        """The next snapshot: entries added or replaced by id, others gone. This one stays."""
        index = Index(version, ())
        index.entries = {**self.entries, **{item.entry.id: item.entry for item in items}}
        for id_ in gone:
            index.entries.pop(id_, None)
        index._shelves = self._changed_shelves(items, gone)
        return index

    def search(
        self, text: str, vector: Floats, language: str, limit: int, today: date | None = None
    ) -> list[Match]:
        """The most relevant `limit` entries of the customer's language, then as many foreign ones.

        `vector` is (d,) of length 1. The encoder works across languages, so a foreign entry may
        well be about the same thing; that is for `decide` to use where nothing else fits.
        """
        return [
            *self.search_own(text, vector, language, limit, today),
            *self.search_foreign(text, vector, language, limit, today),
        ]

    def search_own(
        self, text: str, vector: Floats, language: str, limit: int, today: date | None = None
    ) -> list[Match]:
        """The first half of `search`."""
        shelf = self._shelves.get(language)
        if shelf is None:
            return []
        wording, day = wording_of(text), today or date.today()
        return _best(shelf.search(wording, vector, limit, day, foreign=False), limit)

    def search_foreign(
        self, text: str, vector: Floats, language: str, limit: int, today: date | None = None
    ) -> list[Match]:
        """The second half of `search`."""
        wording, day = wording_of(text), today or date.today()
        found = [
            match
            for its, shelf in self._shelves.items()
            if its != language
            for match in shelf.search(wording, vector, limit, day, foreign=True)
        ]
        return _best(found, limit)

    def __len__(self) -> int:
        return len(self.entries)

    def _changed_shelves(
        self, items: Sequence[IndexedEntry], gone: Collection[str]
    ) -> dict[str, Shelf]:
        """An entry may have changed its language, or have been disabled."""
        left = {*gone, *(item.entry.id for item in items)}
        shelves = dict(self._shelves)
        added = _by_language(items)
        for language, shelf in self._shelves.items():
            shelves[language] = shelf.changed(added.pop(language, []), left)
        shelves.update({language: shelf_of(of_it) for language, of_it in added.items()})
        return {language: shelf for language, shelf in shelves.items() if len(shelf)}


def _by_language(items: Sequence[IndexedEntry]) -> dict[str, list[IndexedEntry]]:
    """Those that may be found."""
    shelves: dict[str, list[IndexedEntry]] = {}
    for item in items:
        if item.entry.enabled:
            shelves.setdefault(item.entry.language, []).append(item)
    return shelves


def _best(matches: Sequence[Match], limit: int) -> list[Match]:
    """Best first; equal ones by id, so that the same question gets the same answer."""
    return sorted(matches, key=lambda match: (-match.relevance, match.entry.id))[:limit]
