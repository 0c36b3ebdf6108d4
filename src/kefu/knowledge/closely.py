"""Entries looked at closely: all that a question can be compared with, weighed.

n questions are scored in one go: under load they come together, and a small array operation costs
as much as one for a dozen of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kefu.knowledge.entry import Entry
from kefu.knowledge.lexical import Floats, Ints, Queries, QuestionTerms, TextTerms
from kefu.knowledge.relevance import relevance, score


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


@dataclass(frozen=True, eq=False)
class Close:
    """p entries, and all of them that no question changes.

    Their own questions' rows stand one after another in `rows` (r,), each entry's from `starts` (p,)
    on, `sizes` (p,) of them. `vectors` (r, d), `answers` (p, d). Equal `answer_numbers` (p,), equal
    answers.
    """

    entries: Sequence[Entry]
    rows: Ints
    starts: Ints
    sizes: Ints
    vectors: Floats
    answers: Floats
    questions: QuestionTerms
    texts: TextTerms
    answer_numbers: Ints
    is_passage: NDArray[np.bool_]

    def score(
        self, queries: Queries, exact: Sequence[Ints], cosine: Floats, answer: Floats
    ) -> Scored:
        """n questions. `exact`: the rows that are the very same. `cosine` (n, r) and `answer` (n, p):
        the products of the questions' vectors with `vectors` and `answers`."""
        if not len(self.entries):
            nothing = np.zeros((len(queries), 0), np.float32)
            return Scored(self, nothing.astype(np.int64), nothing > 0, *[nothing] * 7)
        lexical = self.questions.likeness(queries)
        scores = score(cosine, lexical)
        is_exact = np.zeros(scores.shape, np.bool_)
        for n, rows in enumerate(exact):
            if len(rows):
                is_exact[n] = np.isin(self.rows, rows)
        scores[is_exact] = 1
        best = self._first_best(scores)
        at = np.arange(len(queries))[:, np.newaxis], best
        mean = (np.add.reduceat(cosine, self.starts, 1) / self.sizes).astype(np.float32)
        # The sentences of a passage say different things, and one of them is what was asked.
        mean = np.where(self.is_passage, cosine[at], mean)
        text = self.texts.likeness(queries)
        near = relevance(
            np.maximum.reduceat(cosine, self.starts, 1),
            np.maximum.reduceat(lexical, self.starts, 1),
            mean,
            text,
            answer,
        )
        near[is_exact[at]] = 1
        found = scores[at], near, cosine[at], lexical[at], mean, text, answer
        return Scored(self, best - self.starts, is_exact[at], *found)

    def _first_best(self, scores: Floats) -> Ints:
        """(n, p): the place in `rows` of each entry's best question, the first of equal ones."""
        most = np.repeat(np.maximum.reduceat(scores, self.starts, 1), self.sizes, 1)
        places = np.where(scores == most, np.arange(scores.shape[1]), scores.shape[1])
        best: Ints = np.minimum.reduceat(places, self.starts, 1)
        return best


@dataclass(frozen=True, eq=False)
class Scored:
    """(n, p) of n questions and p entries; `number` is that of the entry's best question in it."""

    close: Close
    number: Ints
    is_exact: NDArray[np.bool_]
    score: Floats
    relevance: Floats
    cosine: Floats
    lexical: Floats
    mean: Floats
    text: Floats
    answer: Floats

    def matches(self, limit: int, *, foreign: bool) -> list[list[Match]]:
        """Of each question the most relevant `limit`, in no order."""
        if not len(self.close.entries):
            return [[] for _ in self.score]
        best = largest(self.relevance, limit)
        at = np.arange(len(best))[:, np.newaxis], best
        columns = zip(
            best.tolist(),
            self.number[at].tolist(),
            self.is_exact[at].tolist(),
            _shares(self.score[at]),
            _shares(self.relevance[at]),
            self.cosine[at].tolist(),
            _shares(self.lexical[at]),
            (self.score - self._rival_scores())[at].tolist(),
            self.mean[at].tolist(),
            _shares(self.text[at]),
            self.answer[at].tolist(),
            strict=True,
        )
        entries = self.close.entries
        return [
            [
                Match(
                    (entry := entries[place]),
                    entry.questions[number],
                    score=score,
                    relevance=near,
                    cosine=cosine,
                    lexical=lexical,
                    lead=lead,
                    exact=is_exact,
                    foreign=foreign,
                    mean=mean,
                    text=text,
                    answer_cosine=answer,
                )
                for (
                    place, number, is_exact, score, near, cosine, lexical, lead, mean, text, answer,
                ) in zip(*of_one, strict=True)
            ]
            for of_one in columns
        ]  # fmt: skip

    def _rival_scores(self) -> Floats:
        """(n, p): the best score of FAQ entries with another answer than each entry's own, or 0.

        Two entries with the same answer do not compete: either one answers rightly. A passage never
        competes, because it is no answer to a question.
        """
        answers = self.close.answer_numbers
        scores = np.where(self.close.is_passage, np.float32(0), self.score)
        best_answer = answers[np.argmax(scores, 1)][:, np.newaxis]
        is_best = answers == best_answer
        second = np.max(scores, 1, where=~is_best, initial=0.0, keepdims=True)
        rivals = np.where(is_best, second, np.max(scores, 1, keepdims=True))
        return np.asarray(rivals, np.float32)


def largest(values: Floats, count: int) -> Ints:
    """Places of the `count` largest along the last axis, in no order."""
    if count < values.shape[-1]:
        return np.argpartition(-values, count, -1)[..., :count]
    return np.broadcast_to(np.arange(values.shape[-1]), values.shape)


def _shares(values: Floats) -> list[list[float]]:
    shares: list[list[float]] = np.clip(values, 0, 1).tolist()
    return shares
