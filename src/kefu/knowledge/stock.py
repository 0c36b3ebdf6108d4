"""Everything that is kept of a language's entries to search them, in columns that only grow.

A snapshot (`shelf.Shelf`) sees the first so many entries of a stock and knows which of them are
still there. An entry that is changed is added again at the end, and its old place is dead. Once
many are dead, or where two changes start from the same snapshot, a new stock is made of the living.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import numpy as np
from numpy.typing import NDArray

from kefu.knowledge.coarse import Coarse, FirstLook
from kefu.knowledge.entry import Entry, IndexedEntry
from kefu.knowledge.growing import Growing, ranges
from kefu.knowledge.lexical import (
    Floats,
    Ints,
    TermRows,
    TermTable,
    Vocabulary,
    questions_as_rows,
    texts_as_rows,
)
from kefu.terms import count_terms, exact_key

# A first look is made anew once the stock has so many times the entries it was made for.
_MANY_TIMES = 4


@dataclass(frozen=True, eq=False)
class Columns:
    """The entries of a stock at one time; s is an entry's place, r the row of a question.

    `first_rows` (s,), `sizes` (s,): the questions of an entry are that many rows from there on.
    `vectors` (r, d); `answers` (s, d): zeros where an answer has no vector. `questions` has a row
    of terms for each r, `texts` one for each s: its questions and its answer, `text_lengths` (s,)
    in units. Equal `answer_numbers` (s,), equal answers. `first_days` and `last_days` (s,) are
    ordinals.
    """

    entries: list[Entry]
    first_rows: Ints
    sizes: Ints
    vectors: Floats
    answers: NDArray[np.float16]
    questions: TermRows
    texts: TermRows
    text_lengths: Ints
    answer_numbers: Ints
    is_passage: NDArray[np.bool_]
    first_days: Ints
    last_days: Ints
    first_look: FirstLook | None

    def rows_of(self, places: Ints) -> tuple[Ints, Ints]:
        """The rows of these entries one after another, and where each entry's begin among them."""
        sizes = self.sizes[places]
        return ranges(self.first_rows[places], sizes), np.cumsum(sizes) - sizes

    def places_of(self, rows: Ints) -> Ints:
        """Whose questions these rows are."""
        return np.searchsorted(self.first_rows, rows, "right") - 1


class Stock:
    """Whoever adds holds `changing`; the `Columns` are for any number of threads."""

    def __init__(self, dimensions: int, vocabulary: Vocabulary) -> None:
        self.vocabulary = vocabulary
        self.changing = threading.Lock()
        self.entries: list[Entry] = []
        self.places: dict[str, int] = {}  # the last place of each id
        self._rows_by_key: dict[str, tuple[int, ...]] = {}
        self._answer_numbers: dict[str, int] = {}
        self._sizes = Growing(np.int64)
        self._first_rows = Growing(np.int64)
        self._vectors = Growing(np.float32, dimensions)
        # Half as long: an answer says roughly what is asked, and there may be 100,000.
        self._answers = Growing(np.float16, dimensions)
        self._questions = TermTable()
        self._texts = TermTable()
        self._text_lengths = Growing(np.int64)
        self._numbers = Growing(np.int64)
        self._is_passage = Growing(np.bool_)
        self._first_days = Growing(np.int64)
        self._last_days = Growing(np.int64)
        self._coarse: Coarse | None = None

    def __len__(self) -> int:
        return len(self.entries)

    def columns(self) -> Columns:
        return Columns(
            self.entries,
            self._first_rows.view(),
            self._sizes.view(),
            self._vectors.view(),
            self._answers.view(),
            self._questions.view(),
            self._texts.view(),
            self._text_lengths.view(),
            self._numbers.view(),
            self._is_passage.view(),
            self._first_days.view(),
            self._last_days.view(),
            self._coarse.view() if self._coarse else None,
        )

    def rows_of_key(self, key: str) -> tuple[int, ...]:
        """Rows of the questions with this `exact_key`, in any snapshot."""
        return self._rows_by_key.get(key, ())

    def add(self, items: Sequence[IndexedEntry]) -> None:
        """Add entries at the end, each with an id that no other of them has."""
        asked = [[count_terms(question) for question in item.entry.questions] for item in items]
        texts = [
            text_terms(item.entry, counted) for item, counted in zip(items, asked, strict=True)
        ]
        questions = [counts for each in asked for counts in each]
        self.take_over(
            [item.entry for item in items],
            np.concatenate([item.vectors for item in items]),
            np.stack([answer_of(item) for item in items]).astype(np.float16),
            questions_as_rows(questions, self.vocabulary),
            texts_as_rows(texts, self.vocabulary),
        )

    def take_over(
        self,
        entries: Sequence[Entry],
        vectors: Floats,
        answers: NDArray[np.float16],
        questions: TermRows,
        texts: TermRows,
    ) -> None:
        """Add entries whose columns are made already."""
        start = len(self)
        self._add_places(entries)
        self._vectors.extend(vectors)
        self._answers.extend(answers)
        self._questions.extend(questions)
        self._texts.extend(texts)
        self._text_lengths.extend(texts.lengths())
        if self._coarse and len(self) > start:
            self._coarse.extend(*self._for_first_look(start))

    def _add_places(self, entries: Sequence[Entry]) -> None:
        row = len(self._vectors)
        for entry in entries:
            self.places[entry.id] = len(self.entries)
            self.entries.append(entry)
            if entry.kind == "faq":  # a document's heading is nobody's question
                self._add_keys(entry.questions, row)
            row += len(entry.questions)
        self._numbers.extend(np.array([self._number_of(e.answer) for e in entries], np.int64))
        self._is_passage.extend(np.array([e.kind == "passage" for e in entries], np.bool_))
        first = [(e.valid_from or date.min).toordinal() for e in entries]
        last = [(e.valid_until or date.max).toordinal() for e in entries]
        self._first_days.extend(np.array(first, np.int64))
        self._last_days.extend(np.array(last, np.int64))
        sizes = np.array([len(entry.questions) for entry in entries], np.int64)
        self._first_rows.extend(len(self._vectors) + np.cumsum(sizes) - sizes)
        self._sizes.extend(sizes)

    def _add_keys(self, questions: Sequence[str], first_row: int) -> None:
        for row, question in enumerate(questions, first_row):
            if key := exact_key(question):  # a question of nothing but signs equals no other
                self._rows_by_key[key] = (*self._rows_by_key.get(key, ()), row)

    def _number_of(self, answer: str) -> int:
        return self._answer_numbers.setdefault(answer, len(self._answer_numbers))

    def keep_coarse(self) -> None:
        """Make what a first look needs, or make it anew where far more entries have come."""
        if self._coarse is None or len(self) > _MANY_TIMES * self._coarse.fitted_on:
            self._coarse = Coarse(*self._for_first_look(0))

    def _for_first_look(self, start: int) -> tuple[Floats, Floats]:
        """From place `start` on: the mean vectors of the questions, and those of the answers."""
        sizes = self._sizes.view()[start:]
        first_rows = self._first_rows.view()[start:]
        rows = self._vectors.view()[first_rows[0] :]
        means = np.add.reduceat(rows, first_rows - first_rows[0]) / sizes[:, None]
        answers = self._answers.view()[start:].astype(np.float32)
        return means.astype(np.float32), answers


def stock_of(columns: Columns, places: Ints, vocabulary: Vocabulary) -> Stock:
    """A new stock of the entries in these places of another."""
    stock = Stock(columns.vectors.shape[1], vocabulary)
    rows, _ = columns.rows_of(places)
    stock.take_over(
        [columns.entries[place] for place in places],
        columns.vectors[rows],
        columns.answers[places],
        columns.questions.kept(rows),
        columns.texts.kept(places),
    )
    return stock


def text_terms(entry: Entry, asked: Sequence[Counter[str]]) -> Counter[str]:
    """Of all that an entry says. The alternatives of a passage are its own sentences."""
    said = Counter(count_terms(entry.answer))
    for counts in asked if entry.kind == "faq" else asked[:1]:
        said.update(counts)
    return said


def answer_of(item: IndexedEntry) -> Floats:
    return np.zeros_like(item.vectors[0]) if item.answer is None else item.answer
