"""All questions in memory: one immutable snapshot that is searched by meaning and by wording."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kefu.knowledge.entry import Entry, IndexedEntry
from kefu.knowledge.lexical import build_lexical_index
from kefu.terms import exact_key

# Meaning and wording. 0.7 to 0.9 find the same on DIAC's hard negatives and on StackFAQ; free
# rewordings share no words, so the sample shop wants more meaning (docs/knowledge.md).
COSINE_WEIGHT = 0.8
LEXICAL_WEIGHT = 0.2

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Match:
    """An entry found, with the one of its questions that fits best.

    `score`: how surely `question` is what was asked, from `cosine` (meaning) and `lexical`
    (wording). 1 where the text is the question itself (`exact`).
    `relevance`: how near the entry as a whole is, from `score` and the mean cosine of all its
    questions. It finds more of the right entries and is of no use for telling look-alikes apart.
    `lead`: score less that of the best entry of the same language with another answer.
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


class Index:
    """The knowledge of one version, a shelf for each language."""

    def __init__(self, version: int, entries: Sequence[IndexedEntry]) -> None:
        self.version = version
        self.entries = {item.entry.id: item.entry for item in entries}
        languages = sorted({item.entry.language for item in entries})
        self._shelves = [
            _Shelf([item for item in entries if item.entry.language == language])
            for language in languages
        ]

    def search(self, text: str, vector: Floats, language: str, limit: int) -> list[Match]:
        """The most relevant `limit` entries of the customer's language, then as many foreign ones.

        `vector` is (d,) of length 1. The encoder works across languages, so a foreign entry may
        well be about the same thing; that is for `decide` to use where nothing else fits.
        """
        found = [match for shelf in self._shelves for match in shelf.search(text, vector, limit)]
        own = [match for match in found if match.entry.language == language]
        foreign = [replace(m, foreign=True) for m in found if m.entry.language != language]
        return _best(own, limit) + _best(foreign, limit)

    def __len__(self) -> int:
        return len(self.entries)


class _Shelf:
    """Entries of one language, so that how rare a word is gets counted within its language."""

    def __init__(self, items: Sequence[IndexedEntry]) -> None:
        self._entries = [item.entry for item in items]
        self._questions = [question for entry in self._entries for question in entry.questions]
        self._sizes = np.array([len(entry.questions) for entry in self._entries], np.int64)
        self._first_rows = np.cumsum(self._sizes) - self._sizes
        self._answers = _numbered([entry.answer for entry in self._entries])
        self._vectors = np.vstack([item.vectors for item in items])
        self._lexical = build_lexical_index(self._questions)
        self._exact = _rows_by_key(self._questions)

    def search(self, text: str, vector: Floats, limit: int) -> Iterator[Match]:
        """The most relevant `limit` entries, in no order."""
        cosine = self._vectors @ vector
        lexical = self._lexical.scores(text)
        scores = COSINE_WEIGHT * cosine + LEXICAL_WEIGHT * lexical
        exact = self._exact.get(exact_key(text), [])
        scores[exact] = 1.0
        best_scores = np.maximum.reduceat(scores, self._first_rows)
        mean_cosines = np.add.reduceat(cosine, self._first_rows) / self._sizes
        relevance = np.where(best_scores == 1.0, 1.0, (best_scores + mean_cosines) / 2)
        rivals = self._rival_scores(best_scores)
        for number in _largest(relevance, limit):
            row = self._best_row(number, scores)
            yield Match(
                self._entries[number],
                self._questions[row],
                score=_share(scores[row]),
                relevance=_share(relevance[number]),
                cosine=float(cosine[row]),
                lexical=_share(lexical[row]),
                lead=float(scores[row] - rivals(number)),
                exact=row in exact,
            )

    def _rival_scores(self, scores: Floats) -> Callable[[int], float]:
        """For an entry: the best score of those with another answer than its own, or 0.

        Two entries with the same answer do not compete: either one answers rightly.
        """
        best_answer = self._answers[int(np.argmax(scores))]
        best = float(np.max(scores))
        second = float(np.max(scores, where=self._answers != best_answer, initial=0.0))
        return lambda number: second if self._answers[number] == best_answer else best

    def _best_row(self, number: int, scores: Floats) -> int:
        first = int(self._first_rows[number])
        return first + int(np.argmax(scores[first : first + int(self._sizes[number])]))


def _numbered(texts: Sequence[str]) -> NDArray[np.int64]:
    """Equal texts get equal numbers."""
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(text, len(numbers)) for text in texts], np.int64)


def _rows_by_key(questions: Sequence[str]) -> dict[str, list[int]]:
    rows: dict[str, list[int]] = {}
    for row, question in enumerate(questions):
        if key := exact_key(question):  # a question of nothing but signs equals no other
            rows.setdefault(key, []).append(row)
    return rows


def _largest(values: Floats, count: int) -> list[int]:
    if count < len(values):
        return [int(at) for at in np.argpartition(-values, count)[:count]]
    return list(range(len(values)))


def _best(matches: Sequence[Match], limit: int) -> list[Match]:
    """Best first; equal ones by id, so that the same question gets the same answer."""
    return sorted(matches, key=lambda match: (-match.relevance, match.entry.id))[:limit]


def _share(value: np.float32) -> float:
    return min(1.0, max(0.0, float(value)))
