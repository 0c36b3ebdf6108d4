"""What may be found, in memory: one immutable snapshot, and the next one made from what changed."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import date

from kefu.inference.encoder.compared import Compared
from kefu.knowledge.closely import Match
from kefu.knowledge.entry import IndexedEntry
from kefu.knowledge.lexical import Floats
from kefu.knowledge.shelf import Shelf, shelf_of, wording_of

__all__ = ["Index", "Match"]


class Index:
    """All entries that may be found, a shelf for each language.

    Disabled entries are left out; those outside their dates are not found that day.
    """

    def __init__(self, items: Sequence[IndexedEntry] = ()) -> None:
        self._shelves = {
            language: shelf_of(of_language) for language, of_language in _by_language(items).items()
        }

    def changed(self, items: Sequence[IndexedEntry], gone: Collection[str]) -> Index:
        """The next snapshot: entries added or replaced by id, others gone. This one stays."""
        index = Index()
        index._shelves = self._changed_shelves(items, gone)
        return index

    def search(
        self, text: str, vector: Floats, language: str, limit: int, today: date | None = None
    ) -> list[Match]:
        """The most relevant `limit` entries of the customer's language, then as many foreign ones.

        `vector` is (d,) of length 1. The encoder works across languages, so a foreign entry may
        well be about the same thing; that is for `decide` to use where nothing else fits.
        """
        (own,) = self.search_own([text], [Compared(vector)], language, limit, today)
        (foreign,) = self.search_foreign([text], [Compared(vector)], language, limit, today)
        return [*own, *foreign]

    def search_own(
        self,
        texts: Sequence[str],
        vectors: Sequence[Compared],
        language: str,
        limit: int,
        today: date | None = None,
    ) -> list[list[Match]]:
        """Of each text the first half of `search`."""
        shelf = self._shelves.get(language)
        shelves = [] if shelf is None else [shelf]
        return _search(shelves, texts, vectors, limit, today, foreign=False)

    def search_foreign(
        self,
        texts: Sequence[str],
        vectors: Sequence[Compared],
        language: str,
        limit: int,
        today: date | None = None,
    ) -> list[list[Match]]:
        """Of each text the second half of `search`."""
        shelves = [shelf for its, shelf in self._shelves.items() if its != language]
        return _search(shelves, texts, vectors, limit, today, foreign=True)

    @property
    def compared_with(self) -> list[Floats]:
        """What the vector of every message is compared with."""
        return [matrix for shelf in self._shelves.values() for matrix in shelf.compared_with]

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


def _search(
    shelves: Sequence[Shelf],
    texts: Sequence[str],
    vectors: Sequence[Compared],
    limit: int,
    today: date | None,
    *,
    foreign: bool,
) -> list[list[Match]]:
    wordings, day = [wording_of(text) for text in texts], today or date.today()
    found: list[list[Match]] = [[] for _ in texts]
    for shelf in shelves:
        of_shelf = shelf.search(wordings, vectors, limit, day, foreign=foreign)
        for matches, more in zip(found, of_shelf, strict=True):
            matches.extend(more)
    return [best_of(matches, limit) for matches in found]


def _by_language(items: Sequence[IndexedEntry]) -> dict[str, list[IndexedEntry]]:
    """Those that may be found."""
    shelves: dict[str, list[IndexedEntry]] = {}
    for item in items:
        if item.entry.enabled:
            shelves.setdefault(item.entry.language, []).append(item)
    return shelves


def best_of(matches: Sequence[Match], limit: int) -> list[Match]:
    """Best first; equal ones by id, so that the same question gets the same answer."""
    return sorted(matches, key=lambda match: (-match.relevance, match.entry.id))[:limit]
