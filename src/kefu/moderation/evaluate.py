"""How much a checker finds of what is bad, and how many innocents it disturbs, on labelled texts."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kefu.errors import InvalidFile, RowProblem
from kefu.moderation.categories import Direction, Outcome
from kefu.moderation.checker import Checker
from kefu.moderation.policy import joined
from kefu.tables import Cell, Table, read_table

MAX_TEXT = 20_000

ALIASES = {
    "message": "text",
    "文本": "text",
    "内容": "text",
    "标签": "label",
    "种类": "kind",
    "类型": "kind",
}
_COLUMNS = ("text", "label", "kind")
_LABELS = {"0": False, "1": True}
_BLOCKED = frozenset({Outcome.BLOCK, Outcome.CARE})
_REVIEWED = _BLOCKED | {Outcome.HOLD}
_TEXTS_PER_STEP = 128

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class LabelledText:
    text: str
    is_bad: bool
    kind: str = ""
    line: int = 0


@dataclass(frozen=True)
class CheckedText:
    """`outcome` with the times of the word filter and of the semantic head without the encoder."""

    labelled: LabelledText
    outcome: Outcome
    words_us: float
    meaning_us: float | None = None


@dataclass(frozen=True)
class Figures:
    """`block_recall`: of the bad ones, the share that is blocked (or answered with care) at once;
    `review_recall`: that and those held for a person. `false_…`: the same of the innocent ones.
    None where there are none. Times are of the word filter, `meaning_p50_us` of the head."""

    n: int
    bad: int
    block_recall: float | None
    review_recall: float | None
    false_block_rate: float | None
    false_review_rate: float | None
    p50_us: float
    p99_us: float
    meaning_p50_us: float | None


def read_texts(source: Path | bytes, name: str) -> list[LabelledText]:
    """Rows `text,label[,kind]`; label 1 is bad. Raises `InvalidFile` that names the bad rows."""
    table = read_table(source, name, ("text", "label"), ALIASES, lambda _: None)
    problems = [*table.problems]
    found = []
    for row in table.rows:
        text, label, kind = (_text(row.cells.get(column)) for column in _COLUMNS)
        if problem := _problem(row.line, text, label):
            problems.append(problem)
        else:
            found.append(LabelledText(text, _LABELS[label], kind, row.line))
    _require_sound(table, problems)
    if not found:
        raise InvalidFile(f"{table.name} has no texts.")
    return found


def check_all(
    texts: Sequence[LabelledText],
    checker: Checker,
    direction: Direction,
    encode: Encode | None = None,
    on_progress: Progress = lambda done, total: None,
) -> list[CheckedText]:
    """What becomes of each text. Without `encode` their meanings are not looked at."""
    checked: list[CheckedText] = []
    for start in range(0, len(texts), _TEXTS_PER_STEP):
        step = texts[start : start + _TEXTS_PER_STEP]
        vectors = encode([item.text for item in step]) if encode is not None else None
        for number, item in enumerate(step):
            vector = None if vectors is None else vectors[number]
            checked.append(_check(item, vector, checker, direction))
        on_progress(len(checked), len(texts))
    return checked


def figures(checked: Sequence[CheckedText]) -> Figures:
    bad = [item for item in checked if item.labelled.is_bad]
    innocent = [item for item in checked if not item.labelled.is_bad]
    words = np.array([item.words_us for item in checked])
    meanings = [item.meaning_us for item in checked if item.meaning_us is not None]
    return Figures(
        n=len(checked),
        bad=len(bad),
        block_recall=_share(bad, _BLOCKED),
        review_recall=_share(bad, _REVIEWED),
        false_block_rate=_share(innocent, _BLOCKED),
        false_review_rate=_share(innocent, _REVIEWED),
        p50_us=round(float(np.percentile(words, 50)), 2),
        p99_us=round(float(np.percentile(words, 99)), 2),
        meaning_p50_us=round(float(np.median(meanings)), 2) if meanings else None,
    )


def figures_by_kind(checked: Sequence[CheckedText]) -> dict[str, Figures]:
    """The same of each kind that the file names, in the order in which they come."""
    kinds: dict[str, list[CheckedText]] = defaultdict(list)
    for item in checked:
        kinds[item.labelled.kind].append(item)
    return {kind: figures(items) for kind, items in kinds.items() if kind}


def is_mistake(item: CheckedText) -> bool:
    """Whether a bad text passes, or an innocent one does not."""
    return item.labelled.is_bad != (item.outcome in _REVIEWED)


def _check(
    item: LabelledText,
    vector: NDArray[np.float32] | None,
    checker: Checker,
    direction: Direction,
) -> CheckedText:
    began = time.perf_counter()
    hits = checker.filter.find(item.text)
    words_us = 1e6 * (time.perf_counter() - began)
    verdict = checker.policy.of_words(hits, direction)
    if vector is None or checker.head is None:
        return CheckedText(item, verdict.outcome, words_us)
    began = time.perf_counter()
    meaning = checker.check_meaning(item.text, vector, direction)
    meaning_us = 1e6 * (time.perf_counter() - began)
    return CheckedText(item, joined(verdict, meaning).outcome, words_us, meaning_us)


def _share(items: Sequence[CheckedText], outcomes: frozenset[Outcome]) -> float | None:
    if not items:
        return None
    return sum(item.outcome in outcomes for item in items) / len(items)


def _problem(line: int, text: str, label: str) -> RowProblem | None:
    if not text:
        return RowProblem(line, "text", "is empty")
    if len(text) > MAX_TEXT:
        return RowProblem(line, "text", f"has {len(text)} characters; {MAX_TEXT} are allowed")
    if label not in _LABELS:
        return RowProblem(line, "label", f"is {label!r}; write 1 for bad, 0 for innocent")
    return None


def _require_sound(table: Table, problems: Sequence[RowProblem]) -> None:
    if problems:
        lines = len({problem.line for problem in problems})
        raise InvalidFile(
            f"{table.name}: {lines} {'line' if lines == 1 else 'lines'} cannot be read.",
            tuple(sorted(problems, key=lambda problem: problem.line)),
        )


def _text(cell: Cell) -> str:
    return "" if cell is None or isinstance(cell, list) else cell.strip()
