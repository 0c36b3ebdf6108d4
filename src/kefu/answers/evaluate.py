"""How safely does the cache tell questions that ask the same from look-alikes? On labelled pairs."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from kefu.answers.kept import Encoder
from kefu.answers.key import words_of
from kefu.answers.match import LEAST_COSINE, Judge, asks_the_same
from kefu.answers.personal import find_personal
from kefu.errors import InvalidFile, RowProblem
from kefu.language import Language, detect
from kefu.tables import Row, read_table

_COLUMNS = ("sentence1", "sentence2", "label")
_PAIRS_PER_STEP = 256
_POINTS = 101

Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class LabelledPair:
    """Two questions, and whether a person says that they ask the same."""

    first: str
    second: str
    is_same: bool


@dataclass(frozen=True)
class ScoredPair:
    """A pair as the cache sees it when `first` was answered and `second` is asked.

    `probability` is the judge's, 0 where nothing may make the pair a hit: too far apart, another
    language, a rule, something personal.
    """

    pair: LabelledPair
    cosine: float
    probability: float = 0.0
    is_exact: bool = False

    def is_hit(self, threshold: float) -> bool:
        return self.is_exact or 0 < threshold <= self.probability


@dataclass(frozen=True)
class Evaluation:
    """`precision`: of the hits those that ask the same. `recall`: of the pairs that ask the same
    those that hit. `false_hit_rate`: of the others those that hit. A share of nothing is None.
    """

    precision: float | None
    recall: float | None
    false_hit_rate: float | None
    n: int
    hits: int
    threshold: float


def read_pairs(source: Path | bytes, name: str = "") -> list[LabelledPair]:
    """Read a table with sentence1, sentence2 and label (1: they ask the same, 0: they do not).

    Raises `InvalidFile` that names each row that is wrong.
    """
    table = read_table(source, name, _COLUMNS, {}, lambda _: None)
    problems = [*table.problems, *(p for row in table.rows for p in _problems_of(row))]
    if problems:
        raise InvalidFile(f"{table.name} has rows that cannot be used.", tuple(problems))
    if not table.rows:
        raise InvalidFile(f"{table.name} has no pairs.")
    return [
        LabelledPair(_text(row, "sentence1"), _text(row, "sentence2"), _text(row, "label") == "1")
        for row in table.rows
    ]


async def score_pairs(
    pairs: Sequence[LabelledPair],
    encoder: Encoder,
    judge: Judge,
    default_language: Language,
    on_progress: Progress | None = None,
) -> list[ScoredPair]:
    """What the cache would see of each pair. Only those near enough are judged."""
    scored: list[ScoredPair] = []
    for start in range(0, len(pairs), _PAIRS_PER_STEP):
        step = pairs[start : start + _PAIRS_PER_STEP]
        near = await _with_cosines(step, encoder)
        scored += await asyncio.gather(*(_judged(s, judge, default_language) for s in near))
        if on_progress:
            on_progress(len(scored), len(pairs))
    return scored


def evaluate(scored: Sequence[ScoredPair], threshold: float) -> Evaluation:
    """The figures at one threshold of the probability."""
    hits = [s for s in scored if s.is_hit(threshold)]
    right = sum(s.pair.is_same for s in hits)
    same = sum(s.pair.is_same for s in scored)
    return Evaluation(
        precision=_share(right, len(hits)),
        recall=_share(right, same),
        false_hit_rate=_share(len(hits) - right, len(scored) - same),
        n=len(scored),
        hits=len(hits),
        threshold=threshold,
    )


def curve(scored: Sequence[ScoredPair]) -> list[Evaluation]:
    """The figures from the surest hits only to all that may be one."""
    values = np.unique([s.probability for s in scored if s.probability > 0])
    if not len(values):
        return []
    places = np.unique(np.linspace(0, len(values) - 1, _POINTS).round().astype(int))
    return [evaluate(scored, float(values[place])) for place in places[::-1]]


def curve_of_cosine(scored: Sequence[ScoredPair]) -> list[Evaluation]:
    """What the cosine alone would do, as most semantic caches decide: for comparison."""
    plain = [replace(s, probability=max(0.0, s.cosine), is_exact=False) for s in scored]
    return curve(plain)


async def _with_cosines(pairs: Sequence[LabelledPair], encoder: Encoder) -> list[ScoredPair]:
    texts = [text for pair in pairs for text in (pair.first, pair.second)]
    vectors = await encoder.encode_many(texts)
    cosines = np.einsum("nd,nd->n", vectors[::2], vectors[1::2])
    return [ScoredPair(pair, float(c)) for pair, c in zip(pairs, cosines, strict=True)]


async def _judged(scored: ScoredPair, judge: Judge, default_language: Language) -> ScoredPair:
    """The rule of `AnswerCache`: the first question is kept, the second one is looked up."""
    pair = scored.pair
    if find_personal(pair.first) is not None:
        return scored
    if _is_exact(pair, default_language):
        return replace(scored, is_exact=True)
    if scored.cosine < LEAST_COSINE or not _may_be_alike(pair, default_language):
        return scored
    (judgement,) = await judge.judge(pair.second, [pair.first])
    allowed = asks_the_same(judgement, 0.0)
    return replace(scored, probability=judgement.probability if allowed else 0.0)


def _is_exact(pair: LabelledPair, default: Language) -> bool:
    words = words_of(pair.first)
    same_language = detect(pair.first, default) == detect(pair.second, default)
    return bool(words) and same_language and words == words_of(pair.second)


def _may_be_alike(pair: LabelledPair, default: Language) -> bool:
    same_language = detect(pair.first, default) == detect(pair.second, default)
    return same_language and find_personal(pair.second) is None


def _problems_of(row: Row) -> Iterator[RowProblem]:
    for column in _COLUMNS[:2]:
        if not _text(row, column):
            yield RowProblem(row.line, column, "is empty")
    if (label := _text(row, "label")) not in ("0", "1"):
        yield RowProblem(row.line, "label", f"{label[:20]!r} is neither 1 (same) nor 0")


def _text(row: Row, column: str) -> str:
    cell = row.cells.get(column)
    return cell.strip() if isinstance(cell, str) else ""


def _share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
