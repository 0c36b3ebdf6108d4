"""Likeness by wording: texts as rows of numbered terms, their rarity, and two ways to compare.

Nothing about a text depends on the others, so an entry comes and goes without a rebuild. How rare a
term is gets counted anew with every change: scores depend on what is known now and not on how it
came to be.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Self

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from kefu.knowledge.growing import Growing, ranges
from kefu.terms import weight_of

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]

# Weights are kept as small whole numbers: every weight of `kefu.terms` is a multiple of this.
UNIT = 0.05
_UNIT = np.float32(UNIT)

# BM25: how soon a term that is repeated stops counting. Length counts in full (b = 1), because a
# long answer mentions much that it is not about.
SATURATION = 1.6

MOST_UNITS = 255
_SATURATION_STEPS = MOST_UNITS / (SATURATION + 1)

# Terms are looked up from the rarest on until so many texts were touched: what all texts have
# tells none from another.
_MOST_POSTINGS = 200_000


@dataclass(frozen=True, eq=False)
class Queries:
    """n texts that were asked: their different terms, one text's after another's.

    Of those of the vocabulary whose each is, its number and its weight: `owners`, `ids`, `weights`
    (t,). Of the others' weights the sums and the sums of squares: `strange`, `strange_squares` (n,).
    """

    owners: Ints
    ids: Ints
    weights: Floats
    strange: NDArray[np.float64]
    strange_squares: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.strange)

    def sums(self, values: Floats) -> NDArray[np.float64]:
        """(n,): of one value for each term."""
        return np.asarray(np.bincount(self.owners, values, len(self)), np.float64)


class Vocabulary:
    """A number for each term. Only ever grows, so all snapshots share it."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._units = Growing(np.uint8)
        self._growing = threading.Lock()

    def __len__(self) -> int:
        return len(self._units)

    def numbers_of(self, terms: Sequence[str]) -> list[int]:
        """The number of each term, a new one for a new term."""
        with self._growing:
            new = [term for term in dict.fromkeys(terms) if term not in self._ids]
            units = [round(weight_of(term) / UNIT) for term in new]
            self._units.extend(np.array(units, np.uint8))
            self._ids.update(zip(new, range(len(self._ids), len(self._units)), strict=True))
        return [self._ids[term] for term in terms]

    def units_of(self, ids: NDArray[np.int32]) -> NDArray[np.uint8]:
        return self._units.view()[ids]

    def queries(self, texts: Sequence[Iterable[str]]) -> Queries:
        """Of the terms of each text, which all differ."""
        ids: list[int] = []
        sizes, strange, squares = [], [], []
        for terms in texts:
            before = len(ids)
            others = []
            for term in terms:
                if (number := self._ids.get(term)) is None:
                    others.append(weight_of(term))
                else:
                    ids.append(number)
            sizes.append(len(ids) - before)
            strange.append(sum(others))
            squares.append(sum(weight * weight for weight in others))
        numbers = np.array(ids, np.int64)
        return Queries(
            np.repeat(np.arange(len(sizes)), sizes),
            numbers,
            self._units.view()[numbers] * _UNIT,
            np.array(strange, np.float64),
            np.array(squares, np.float64),
        )


@dataclass(frozen=True, eq=False)
class TermRows:
    """Texts as term numbers with their weights in units; those of row r are `starts[r:r + 2]`."""

    ids: NDArray[np.int32]
    units: NDArray[np.uint8]
    starts: Ints

    def __len__(self) -> int:
        return len(self.starts) - 1

    def sizes(self, rows: Ints) -> Ints:
        return self.starts[rows + 1] - self.starts[rows]

    def take(self, rows: Ints) -> tuple[Ints, NDArray[np.int32], Floats]:
        """Of all terms in these rows: the place of the row in `rows`, the number, the weight."""
        sizes = self.sizes(rows)
        at = ranges(self.starts[rows], sizes)
        return np.repeat(np.arange(len(rows)), sizes), self.ids[at], self.units[at] * _UNIT

    def kept(self, rows: Ints) -> TermRows:
        """Only these rows."""
        sizes = self.sizes(rows)
        at = ranges(self.starts[rows], sizes)
        return TermRows(self.ids[at], self.units[at], np.concatenate(([0], np.cumsum(sizes))))

    def lengths(self) -> Ints:
        """The sum of each row's units."""
        before = np.concatenate(([0], np.cumsum(self.units, dtype=np.int64)))
        return before[self.starts[1:]] - before[self.starts[:-1]]


class TermTable:
    """`TermRows` that grow."""

    def __init__(self) -> None:
        self._ids = Growing(np.int32)
        self._units = Growing(np.uint8)
        self._starts = Growing(np.int64)
        self._starts.extend(np.zeros(1, np.int64))

    def extend(self, rows: TermRows) -> None:
        self._starts.extend(rows.starts[1:] + len(self._ids))
        self._ids.extend(rows.ids)
        self._units.extend(rows.units)

    def view(self) -> TermRows:
        return TermRows(self._ids.view(), self._units.view(), self._starts.view())


def questions_as_rows(counted: Sequence[Counter[str]], vocabulary: Vocabulary) -> TermRows:
    """In a question it does not matter how often a term is said."""
    ids, starts = _numbered(counted, vocabulary)
    return TermRows(ids, vocabulary.units_of(ids), starts)


def texts_as_rows(counted: Sequence[Counter[str]], vocabulary: Vocabulary) -> TermRows:
    """A term weighs as much more as it is repeated."""
    ids, starts = _numbered(counted, vocabulary)
    times = np.fromiter((n for counts in counted for n in counts.values()), np.int64, len(ids))
    units = np.minimum(times * vocabulary.units_of(ids), MOST_UNITS)
    return TermRows(ids, units.astype(np.uint8), starts)


def _numbered(
    counted: Sequence[Counter[str]], vocabulary: Vocabulary
) -> tuple[NDArray[np.int32], Ints]:
    ids = vocabulary.numbers_of([term for counts in counted for term in counts])
    sizes = [len(counts) for counts in counted]
    return np.array(ids, np.int32), np.concatenate(([0], np.cumsum(sizes, dtype=np.int64)))


@dataclass(frozen=True, eq=False)
class Rarity:
    """In how many of `texts` texts each term is. The last place stands for any other term."""

    texts: int
    found_in: NDArray[np.int32]

    @classmethod
    def of_nothing(cls) -> Self:
        return cls(0, np.zeros(1, np.int32))

    def changed(self, terms: int, added: TermRows | None, gone: TermRows | None) -> Rarity:
        """With rows more and rows less; `terms` is the size of the vocabulary."""
        found_in = np.zeros(terms + 1, np.int32)
        found_in[: len(self.found_in) - 1] = self.found_in[:-1]
        texts = self.texts
        for rows, sign in ((added, 1), (gone, -1)):
            if rows is not None:
                found_in += sign * np.bincount(rows.ids, minlength=terms + 1).astype(np.int32)
                texts += sign * len(rows)
        return Rarity(texts, found_in)

    @cached_property
    def of_question_terms(self) -> Floats:
        """A term that no question has is as rare as one that half a question has."""
        found_in = np.where(self.found_in > 0, self.found_in, 0.5)
        return np.log1p(self.texts / found_in).astype(np.float32)

    @cached_property
    def of_text_terms(self) -> Floats:
        """BM25's inverse document frequency, never below 0."""
        found_in = self.found_in
        return np.log1p((self.texts - found_in + 0.5) / (found_in + 0.5)).astype(np.float32)

    def places(self, queries: Queries) -> Ints:
        """Where the queries' terms stand here; terms that came later are strange."""
        return np.minimum(queries.ids, len(self.found_in) - 1)


@dataclass(frozen=True, eq=False)
class _Weights:
    """Terms of `count` texts: whose each is, its number and its weight, all (t,).

    In the order of their numbers term n has the places `starts[n:n + 2]`, and what is asked touches
    no others; without `starts` it touches all.
    """

    count: int
    owners: Ints
    ids: NDArray[np.int32]
    weights: Floats
    starts: Ints | None = None

    def in_order(self, terms: int) -> _Weights:
        order = np.argsort(self.ids, kind="stable")
        starts = np.searchsorted(self.ids[order], np.arange(terms + 1))
        return _Weights(
            self.count, self.owners[order], self.ids[order], self.weights[order], starts
        )

    def dots(self, queries: Queries, ids: Ints, asked: Floats, terms: int) -> NDArray[np.float64]:
        """(n, count): of each query the sums of its weights, `asked` (t,) of the terms `ids`, times
        these. Number `terms - 1` is in no text."""
        if self.starts is None:
            of_each = (queries.owners == n for n in range(len(queries)))
            return np.stack([self._dots(ids[own], asked[own], terms) for own in of_each])
        begin = self.starts[ids]
        sizes = self.starts[ids + 1] - begin
        at = ranges(begin, sizes)
        owners = np.repeat(queries.owners * self.count, sizes) + self.owners[at]
        products = self.weights[at] * np.repeat(asked, sizes)
        sums = np.bincount(owners, products, len(queries) * self.count)
        return np.asarray(sums, np.float64).reshape(len(queries), self.count)

    def _dots(self, ids: Ints, asked: Floats, terms: int) -> NDArray[np.float64]:
        dense = np.zeros(terms, np.float32)
        dense[ids] = asked
        dense[-1] = 0
        sums = np.bincount(self.owners, self.weights * dense[self.ids], self.count)
        return np.asarray(sums, np.float64)


@dataclass(frozen=True, eq=False)
class QuestionTerms:
    """The terms of n questions, weighed by their rarity: all that no query changes.

    `lengths` (n,): of the questions as vectors of such weights.
    """

    rarity: Rarity
    weights: _Weights
    lengths: Floats

    @classmethod
    def of(cls, table: TermRows, rarity: Rarity, rows: Ints) -> Self:
        owners, ids, weights = table.take(rows)
        weights = weights * rarity.of_question_terms[ids]
        lengths = np.sqrt(np.bincount(owners, weights**2, len(rows)))
        return cls(rarity, _Weights(len(rows), owners, ids, weights), lengths)

    def in_order(self) -> Self:
        """For many queries: five times as fast, and dear to make."""
        return replace(self, weights=self.weights.in_order(len(self.rarity.found_in)))

    def likeness(self, queries: Queries) -> Floats:
        """(queries, n): cosine of rarity-weighted terms for each question, 0 to 1.

        Terms that no question has count in the length of the query, so one that talks of something
        unknown scores lower.
        """
        rare = self.rarity.of_question_terms
        ids = self.rarity.places(queries)
        asked = queries.weights * rare[ids]
        lengths = np.sqrt(
            queries.sums(asked * asked) + queries.strange_squares * float(rare[-1]) ** 2
        )
        dots = self.weights.dots(queries, ids, asked, len(rare))
        likeness = dots / np.maximum(np.outer(lengths, self.lengths), 1e-9)
        return np.asarray(likeness, np.float32)


@dataclass(frozen=True, eq=False)
class TextTerms:
    """The terms of some texts with what each is worth there: all that no query changes."""

    rarity: Rarity
    worth: _Weights

    @classmethod
    def of(cls, table: TermRows, rarity: Rarity, rows: Ints, lengths: Floats) -> Self:
        """`lengths` are those of the rows as shares of the average."""
        owners, ids, weights = table.take(rows)
        worth = _saturated(weights, lengths[owners])
        return cls(rarity, _Weights(len(rows), owners, ids, worth))

    def in_order(self) -> Self:
        """For many queries: five times as fast, and dear to make."""
        return replace(self, worth=self.worth.in_order(len(self.rarity.found_in)))

    def likeness(self, queries: Queries) -> Floats:
        """(queries, texts): BM25 as a share of the most that a text could get."""
        rare = self.rarity.of_text_terms
        ids = self.rarity.places(queries)
        asked = queries.weights * rare[ids]
        points = self.worth.dots(queries, ids, asked, len(rare))
        most = _most_of_texts(queries, asked, self.rarity)
        return np.asarray(points / most[:, np.newaxis], np.float32)


def _most_of_texts(queries: Queries, asked: Floats, rarity: Rarity) -> NDArray[np.float64]:
    strange = queries.strange * rarity.of_text_terms[-1]
    most: NDArray[np.float64] = np.maximum((queries.sums(asked) + strange) * (SATURATION + 1), 1e-9)
    return most


def _saturated(weights: Floats, lengths: Floats) -> Floats:
    most, soon = np.float32(SATURATION + 1), np.float32(SATURATION)
    return np.asarray(weights * most / (weights + soon * lengths), np.float32)


class Postings:
    """Of each term the texts that have it, to find candidates among many texts.

    Made of the first `size` texts at one time. What a term is worth in a text is rounded and may be
    a little out of date; candidates are scored anew.
    """

    def __init__(self, table: TermRows, size: int, terms: int, lengths: Floats) -> None:
        self.size = size
        end = int(table.starts[size])
        owners = np.repeat(np.arange(size), np.diff(table.starts[: size + 1]))
        worth = _saturated(table.units[:end] * _UNIT, lengths[owners])
        steps = np.rint(worth * np.float32(_SATURATION_STEPS)).astype(np.uint8)
        by_text = (steps, table.ids[:end], table.starts[: size + 1])
        by_term = sp.csr_matrix(by_text, shape=(size, terms)).tocsc()
        self._starts = by_term.indptr
        self._texts = by_term.indices
        self._steps = by_term.data

    def likeness(self, query: Queries, rarity: Rarity) -> Floats:
        """About what `TextTerms.likeness` is of a single one, for the first `size` texts."""
        asked = query.weights * rarity.of_text_terms[rarity.places(query)]
        (most,) = _most_of_texts(query, asked, rarity)
        unit = np.float32(1 / (_SATURATION_STEPS * most))
        scores = np.zeros(self.size, np.float32)
        for place in self._rarest(query):
            postings = slice(self._starts[query.ids[place]], self._starts[query.ids[place] + 1])
            scores[self._texts[postings]] += self._steps[postings] * (unit * asked[place])
        return scores

    def _rarest(self, query: Queries) -> Ints:
        """Places of the query's terms, rarest first, until too many texts have them."""
        known = np.flatnonzero(query.ids < len(self._starts) - 1)
        sizes = self._starts[query.ids[known] + 1] - self._starts[query.ids[known]]
        order = np.argsort(sizes, kind="stable")
        touched = np.cumsum(sizes[order]) - sizes[order]
        rarest: Ints = known[order[touched < _MOST_POSTINGS]]
        return rarest
