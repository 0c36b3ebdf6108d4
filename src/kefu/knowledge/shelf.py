"""The entries of one language at one time, searched by meaning and by wording."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from kefu.inference.encoder.compared import Compared, products
from kefu.knowledge.entry import Entry, IndexedEntry
from kefu.knowledge.lexical import (
    Floats,
    Ints,
    Postings,
    Query,
    QuestionTerms,
    Rarity,
    TextTerms,
    Vocabulary,
)
from kefu.knowledge.relevance import first_relevance, relevance, score
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
class Match:
    """An entry found, with the one of its questions that fits best.

    `score`: how surely `question` is what was asked, from `cosine` (meaning) and `lexical`
    (wording). 1 where the text is the question itself (`exact`).
    `relevance`: how near the entry as a whole is, from the largest cosine and lexical likeness of
    any of its questions, `mean` (their mean cosine), `text` (wording of questions and answer
    together) and `answer_cosine` (that of what the answer says). It finds more of the right entries
    and is of no use for telling look-alikes apart.
    `lead`: score less that of the best FAQ entry of the same language with another answer.
    `foreign`: the entry is not in the customer's language.
    """

    entry: Entry
    question: str
    score: float
    relevance: float
    cosine: float
    lexical: float
    lead: float
    exact: bool = False
    foreign: bool = False
    mean: float = 0.0
    text: float = 0.0
    answer_cosine: float = 0.0


@dataclass(frozen=True)
class Wording:
    """What is asked, as shelves compare it: its different terms and its `exact_key`."""

    terms: tuple[str, ...]
    key: str


@lru_cache(maxsize=256)  # one message is looked for on several shelves
def wording_of(text: str) -> Wording:
    return Wording(tuple(count_terms(text)), exact_key(text))


@dataclass(frozen=True, eq=False)
class _Close:
    """Entries that are looked at closely: all of them that no question changes.

    p entries in `places`; their questions' rows one after another in `rows` (r,), each entry's from
    `starts` (p,) on, `sizes` (p,) of them. `vectors` (r, d), `answers` (p, d).
    """

    places: Ints
    rows: Ints
    starts: Ints
    sizes: Ints
    vectors: Floats
    answers: Floats
    questions: QuestionTerms
    texts: TextTerms


@dataclass(frozen=True, eq=False)
class _Scored:
    """Candidates: (p,) for each entry in `places`, `best_rows` being the row of its best question."""

    places: Ints
    best_rows: Ints
    is_exact: NDArray[np.bool_]
    score: Floats
    relevance: Floats
    cosine: Floats
    lexical: Floats
    mean: Floats
    text: Floats
    answer: Floats


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
        found = (
            self._scored_all(wordings, vectors, usable)
            if self._postings is None and usable is self._alive
            else self._scored_candidates(wordings, vectors, usable, limit)
        )
        return [
            self._matches(one, _largest(one.relevance, limit), foreign=foreign) if one else []
            for one in found
        ]

    def _scored_all(
        self, wordings: Sequence[Wording], vectors: Sequence[Compared], usable: NDArray[np.bool_]
    ) -> Iterator[_Scored | None]:
        """Every entry, for every question."""
        close = self._all
        if not len(close.places):
            return iter([None] * len(wordings))
        cosines, answers = products(vectors, close.vectors), products(vectors, close.answers)
        return (
            self._scored(wording, close, usable, cosines[n], answers[n])
            for n, wording in enumerate(wordings)
        )

    def _scored_candidates(
        self,
        wordings: Sequence[Wording],
        vectors: Sequence[Compared],
        usable: NDArray[np.bool_],
        limit: int,
    ) -> Iterator[_Scored | None]:
        """Those that a first look finds, or all that may be found today."""
        for wording, compared in zip(wordings, vectors, strict=True):
            vector = compared.vector
            query = self._stock.vocabulary.query(wording.terms)
            exact = self._exact_rows(wording.key, usable)
            places = self._candidates(query, vector, usable, limit)
            close = self._close(np.union1d(places, self._columns.places_of(exact)))
            if not len(close.places):
                yield None
            else:
                cosine, answer = close.vectors @ vector, close.answers @ vector
                yield self._scored(wording, close, usable, cosine, answer)

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
        self, query: Query, vector: Floats, usable: NDArray[np.bool_], limit: int
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
        places = [*_largest(near, CANDIDATES + 4 * limit), *_largest(best, RIVALS)]
        return np.unique([place for place in places if usable[place]])

    def _first_text_likeness(self, query: Query, count: int) -> Floats:
        """Roughly that of the entries in the postings, exactly that of later ones."""
        if self._postings is None:
            return self._texts(np.arange(count)).likeness(query)
        rough = self._postings.likeness(query, self._text_rarity)
        later = self._texts(np.arange(len(rough), count)).likeness(query)
        return np.concatenate((rough, later))

    @cached_property
    def _all(self) -> _Close:
        """So few entries are all looked at closely for every question."""
        close = self._close(np.flatnonzero(self._alive))
        return replace(close, questions=close.questions.in_order(), texts=close.texts.in_order())

    def _close(self, places: Ints) -> _Close:
        columns = self._columns
        rows, starts = columns.rows_of(places)
        return _Close(
            places,
            rows,
            starts,
            columns.sizes[places],
            columns.vectors[rows],
            columns.answers[places].astype(np.float32),
            QuestionTerms.of(columns.questions, self._question_rarity, rows),
            self._texts(places),
        )

    def _texts(self, places: Ints) -> TextTerms:
        lengths = self._text_lengths[places]
        return TextTerms.of(self._columns.texts, self._text_rarity, places, lengths)

    def _scored(
        self,
        wording: Wording,
        close: _Close,
        usable: NDArray[np.bool_],
        cosine: Floats,
        answer: Floats,
    ) -> _Scored:
        """`cosine` (r,) and `answer` (p,) of the question with `close.vectors` and `.answers`."""
        query = self._stock.vocabulary.query(wording.terms)
        exact = self._exact_rows(wording.key, usable)
        starts = close.starts
        lexical = close.questions.likeness(query)
        scores = score(cosine, lexical)
        is_exact = np.isin(close.rows, exact) if len(exact) else np.zeros(len(scores), np.bool_)
        scores[is_exact] = 1
        best = _first_largest(scores, starts, close.sizes)
        mean = (np.add.reduceat(cosine, starts) / close.sizes).astype(np.float32)
        # The sentences of a passage say different things, and one of them is what was asked.
        mean = np.where(self._columns.is_passage[close.places], cosine[best], mean)
        text = close.texts.likeness(query)
        largest = np.maximum.reduceat(cosine, starts), np.maximum.reduceat(lexical, starts)
        near = relevance(*largest, mean, text, answer)
        return _Scored(
            close.places,
            close.rows[best],
            is_exact[best],
            scores[best],
            np.where(is_exact[best], np.float32(1), near),
            cosine[best],
            lexical[best],
            mean,
            text,
            answer,
        )

    def _rival_scores(self, found: _Scored) -> Callable[[int], float]:
        """For a candidate: the best score of FAQ entries with another answer than its own, or 0.

        Two entries with the same answer do not compete: either one answers rightly. A passage never
        competes, because it is no answer to a question.
        """
        answers = self._columns.answer_numbers[found.places]
        scores = np.where(self._columns.is_passage[found.places], np.float32(0), found.score)
        best_answer = answers[int(np.argmax(scores))]
        best = float(np.max(scores))
        second = float(np.max(scores, where=answers != best_answer, initial=0.0))
        return lambda at: second if answers[at] == best_answer else best

    def _matches(self, found: _Scored, at: Ints, *, foreign: bool) -> list[Match]:
        columns, rivals = self._columns, self._rival_scores(found)
        places, rows = found.places[at], found.best_rows[at]
        numbers: list[int] = (rows - columns.first_rows[places]).tolist()
        entries = [columns.entries[place] for place in places]
        score, lead = _shares(found.score[at]), found.score[at].tolist()
        near, lexical, text = (_shares(c[at]) for c in (found.relevance, found.lexical, found.text))
        cosine, mean, answer = (c[at].tolist() for c in (found.cosine, found.mean, found.answer))
        exact = found.is_exact[at].tolist()
        return [
            Match(
                entry,
                entry.questions[numbers[i]],
                score=score[i],
                relevance=near[i],
                cosine=cosine[i],
                lexical=lexical[i],
                lead=lead[i] - rivals(int(at[i])),
                exact=exact[i],
                foreign=foreign,
                mean=mean[i],
                text=text[i],
                answer_cosine=answer[i],
            )
            for i, entry in enumerate(entries)
        ]


def shelf_of(items: Sequence[IndexedEntry]) -> Shelf:
    """A shelf of at least one entry."""
    stock = Stock(items[0].vectors.shape[1], Vocabulary())
    nobody = np.zeros(0, np.bool_)
    return Shelf(stock, nobody, Rarity.of_nothing(), Rarity.of_nothing()).changed(items, ())


def _first_largest(values: Floats, starts: Ints, sizes: Ints) -> Ints:
    """Where the largest value of each group is, the first of equal ones."""
    largest = np.maximum.reduceat(values, starts)
    at = np.flatnonzero(values == np.repeat(largest, sizes))
    return at[np.searchsorted(at, starts)]


def _largest(values: Floats, count: int) -> Ints:
    if count < len(values):
        return np.argpartition(-values, count)[:count]
    return np.arange(len(values))


def _shares(values: Floats) -> list[float]:
    shares: list[float] = np.clip(values, 0, 1).tolist()
    return shares
