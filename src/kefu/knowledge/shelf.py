"""The entries of one language at one time, searched by meaning and by wording."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from kefu.inference.encoder.compared import Compared, products
from kefu.knowledge.closely import Close, Match, largest
from kefu.knowledge.entry import IndexedEntry
from kefu.knowledge.lexical import (
    Floats,
    Ints,
    Postings,
    Queries,
    QuestionTerms,
    Rarity,
    TextTerms,
    Vocabulary,
)
from kefu.knowledge.relevance import first_relevance, score
from kefu.knowledge.stock import Stock, stock_of
from kefu.terms import count_terms, exact_key

# So few are all scored exactly; of more only those that a first look finds.
FEW_ENTRIES = 1000
CANDIDATES = 512
# And so many that were most likely asked, for the lead over them.
RIVALS = 128

# After so many additions the postings are made anew, after so many deaths the whole stock.
_MOST_ADDED = 4096
_LEAST_DEAD = 1000


@dataclass(frozen=True)
class Wording:
    """What is asked, as shelves compare it: its different terms and its `exact_key`."""

    terms: tuple[str, ...]
    key: str


@lru_cache(maxsize=256)  # one message is looked for on several shelves
def wording_of(text: str) -> Wording:
    return Wording(tuple(count_terms(text)), exact_key(text))


class Shelf:
    """A snapshot. How rare a word is gets counted within the language, so each has its own shelf."""

    def __init__(
        self,
        stock: Stock,
        alive: NDArray[np.bool_],
        question_rarity: Rarity,
        text_rarity: Rarity,
        postings: Postings | None = None,
    ) -> None:
        self._stock = stock
        self._alive = alive
        self._question_rarity = question_rarity
        self._text_rarity = text_rarity
        self._columns = stock.columns()
        lengths = self._columns.text_lengths
        average = max(1.0, float(lengths[alive].mean())) if alive.any() else 1.0
        self._text_lengths = (lengths / average).astype(np.float32)
        first, last = self._columns.first_days[alive], self._columns.last_days[alive]
        always = (date.min.toordinal(), date.max.toordinal())
        self._has_dated = bool((first != always[0]).any() or (last != always[1]).any())
        self._postings = self._made_postings(postings)

    def __len__(self) -> int:
        return int(np.count_nonzero(self._alive))

    @property
    def compared_with(self) -> list[Floats]:
        """What the vector of every message is compared with, where all entries are."""
        return [] if self._postings else [self._all.vectors, self._all.answers]

    def changed(self, items: Sequence[IndexedEntry], gone: Collection[str]) -> Shelf:
        """With entries added or replaced and others gone. This snapshot stays as it is."""
        with self._stock.changing:
            if len(self._stock) == len(self._alive):
                if not items and not len(self._places_of_ids(gone)):
                    return self
                grown = self._grown(items, gone)
                dead = np.count_nonzero(~grown._alive)
                wasteful = dead > max(_LEAST_DEAD, len(grown._alive) // 4)
                return grown._renewed() if wasteful else grown
        return self._renewed()._grown(items, gone)  # another change began from here as well

    def search(
        self,
        wordings: Sequence[Wording],
        vectors: Sequence[Compared],
        limit: int,
        today: date,
        *,
        foreign: bool,
    ) -> list[list[Match]]:
        """Of each that is asked the most relevant `limit` entries, in no order."""
        usable = self._usable(today)
        exact = [self._exact_rows(wording.key, usable) for wording in wordings]
        if self._postings is None and usable is self._alive:
            close = self._all
            queries = self._stock.vocabulary.queries([wording.terms for wording in wordings])
            near, said = products(vectors, close.vectors), products(vectors, close.answers)
            return close.score(queries, exact, near, said).matches(limit, foreign=foreign)
        found: list[list[Match]] = []
        for wording, same, compared in zip(wordings, exact, vectors, strict=True):
            query, vector = self._stock.vocabulary.queries([wording.terms]), compared.vector
            places = self._candidates(query, vector, usable, limit)
            close = self._close(np.union1d(places, self._columns.places_of(same)))
            one = close.vectors @ vector, close.answers @ vector
            scored = close.score(query, [same], *(row[np.newaxis] for row in one))
            found += scored.matches(limit, foreign=foreign)
        return found

    def _grown(self, items: Sequence[IndexedEntry], gone: Collection[str]) -> Shelf:
        old, stock = self._columns, self._stock
        dead = self._places_of_ids({*gone, *(item.entry.id for item in items)})
        dead_rows, _ = old.rows_of(dead)
        if items:
            stock.add(items)
        new = stock.columns()
        added = np.arange(len(self._alive), len(stock))
        added_rows, _ = new.rows_of(added)
        alive = np.concatenate((self._alive, np.ones(len(added), np.bool_)))
        alive[dead] = False
        terms = len(stock.vocabulary)
        return Shelf(
            stock,
            alive,
            self._question_rarity.changed(
                terms, new.questions.kept(added_rows), old.questions.kept(dead_rows)
            ),
            self._text_rarity.changed(terms, new.texts.kept(added), old.texts.kept(dead)),
            self._postings,
        )

    def _renewed(self) -> Shelf:
        """The same in a stock of its own, without the dead."""
        places = np.flatnonzero(self._alive)
        stock = stock_of(self._columns, places, self._stock.vocabulary)
        alive = np.ones(len(places), np.bool_)
        return Shelf(stock, alive, self._question_rarity, self._text_rarity)

    def _made_postings(self, postings: Postings | None) -> Postings | None:
        """What a first look needs; None where all are looked at anyway."""
        size = len(self._alive)
        if size <= FEW_ENTRIES:
            return None
        if postings is not None and size - postings.size <= _MOST_ADDED:
            return postings
        self._stock.keep_coarse()
        self._columns = self._stock.columns()
        terms = len(self._text_rarity.found_in) - 1
        return Postings(self._columns.texts, size, terms, self._text_lengths)

    def _places_of_ids(self, ids: Collection[str]) -> Ints:
        places = [self._stock.places[id_] for id_ in ids if id_ in self._stock.places]
        return np.array(sorted(p for p in places if self._alive[p]), np.int64)

    def _usable(self, today: date) -> NDArray[np.bool_]:
        if not self._has_dated:
            return self._alive
        day = today.toordinal()
        return self._alive & (self._columns.first_days <= day) & (self._columns.last_days >= day)

    def _exact_rows(self, key: str, usable: NDArray[np.bool_]) -> Ints:
        rows = np.array(self._stock.rows_of_key(key), np.int64)
        if not len(rows):
            return rows
        rows = rows[rows < len(self._columns.vectors)]
        return rows[usable[self._columns.places_of(rows)]]

    def _candidates(
        self, query: Queries, vector: Floats, usable: NDArray[np.bool_], limit: int
    ) -> Ints:
        """Entries that may be among the most relevant, or have the best score."""
        look = self._columns.first_look
        if self._postings is None or look is None:
            return np.flatnonzero(usable)
        asked, said = look.cosines(vector)
        text = self._first_text_likeness(query, len(asked))
        near = first_relevance(asked, text, said)
        near[~usable] = -np.inf
        best = score(asked, text)
        best[~usable] = -np.inf
        places = [*largest(near, CANDIDATES + 4 * limit), *largest(best, RIVALS)]
        return np.unique([place for place in places if usable[place]])

    def _first_text_likeness(self, query: Queries, count: int) -> Floats:
        """Roughly that of the entries in the postings, exactly that of later ones."""
        if self._postings is None:
            exact: Floats = self._texts(np.arange(count)).likeness(query)[0]
            return exact
        rough = self._postings.likeness(query, self._text_rarity)
        (later,) = self._texts(np.arange(len(rough), count)).likeness(query)
        return np.concatenate((rough, later))

    @cached_property
    def _all(self) -> Close:
        """So few entries are all looked at closely for every question."""
        close = self._close(np.flatnonzero(self._alive))
        return replace(close, questions=close.questions.in_order(), texts=close.texts.in_order())

    def _close(self, places: Ints) -> Close:
        columns = self._columns
        rows, starts = columns.rows_of(places)
        return Close(
            [columns.entries[place] for place in places],
            rows,
            starts,
            columns.sizes[places],
            columns.vectors[rows],
            columns.answers[places].astype(np.float32),
            QuestionTerms.of(columns.questions, self._question_rarity, rows),
            self._texts(places),
            columns.answer_numbers[places],
            columns.is_passage[places],
        )

    def _texts(self, places: Ints) -> TextTerms:
        lengths = self._text_lengths[places]
        return TextTerms.of(self._columns.texts, self._text_rarity, places, lengths)


def shelf_of(items: Sequence[IndexedEntry]) -> Shelf:
    """A shelf of at least one entry."""
    stock = Stock(items[0].vectors.shape[1], Vocabulary())
    nobody = np.zeros(0, np.bool_)
    return Shelf(stock, nobody, Rarity.of_nothing(), Rarity.of_nothing()).changed(items, ())
