"""Labelled messages from files people keep, and everything that is wrong with them, by line.

A row says of a text whether it is bad (`label` 1) or innocent (0), and of what category it is bad.
An innocent text with a category is a near miss of it: a customer who reports a fraud. One without
is an everyday message, and those are what a head may hardly ever hold.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kefu.errors import InvalidFile, RowProblem
from kefu.moderation.categories import Category
from kefu.tables import Cell, Table, read_table

MAX_TEXT = 4000

# Numbers and addresses of persons are recognised by rules (personal_data.py), not learnt.
LEARNT = tuple(category for category in Category if category is not Category.PERSONAL_DATA)

_REQUIRED = ("text", "label")
_ALIASES = {
    "message": "text",
    "文本": "text",
    "内容": "text",
    "标签": "label",
    "类别": "category",
    "分类": "category",
}
_COLUMNS = (*_REQUIRED, "category")
_LABELS = {"0": False, "1": True}
# Line breaks belong into texts; nothing else that is no character may pass.
_NOT_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff]")
_NAMED = 5

Note = Callable[[str], None]


@dataclass(frozen=True)
class Example:
    """What was written, and whether it is bad. `line` is where it stands in its file.

    `category` of an innocent text is what it could be mistaken for; None: an everyday message.
    `weight` is how much it counts in training. What is said `elsewhere`, in a forum, is learnt from,
    but has no say in how much is held at a desk.
    """

    text: str
    is_bad: bool
    category: Category | None = None
    line: int = 0
    weight: float = 1.0
    elsewhere: bool = False


def read_examples(
    source: Path | bytes, name: str = "", *, note: Note, lenient: bool = False
) -> list[Example]:
    """Read `text,label[,category]` rows of a CSV or JSON lines file, each text once.

    A bad text without a category is abuse. Rows that lack something and texts with two labels are
    problems; `lenient` leaves them out and `note` hears of it. Raises `InvalidFile`.
    """
    table = read_table(source, name, _REQUIRED, _ALIASES, note)
    examples, problems = _sound(table)
    contradicted = _contradicted(examples)
    problems += contradicted.values()
    if problems and not lenient:
        raise _invalid(table.name, problems)
    if problems:
        note(f"{_rows(len(problems))} left out:")
        for problem in problems[:_NAMED]:
            note(f"  {problem}")
    kept = _once([example for example in examples if id(example) not in contradicted], note)
    if not kept:
        raise InvalidFile(f"{table.name} has no examples.")
    return kept


def digest(examples: Iterable[Example]) -> str:
    """SHA-256 of the labelled texts, whatever file and order they came in."""
    lines = sorted(json.dumps([e.is_bad, e.category, e.text]) for e in examples)
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _sound(table: Table) -> tuple[list[Example], list[RowProblem]]:
    """The rows that have what an example needs, and what is wrong with the others."""
    examples, problems = [], list(table.problems)
    for row in table.rows:
        text, label, category = (_text(row.cells.get(key)) for key in _COLUMNS)
        if problem := _problem(row.line, text, label, category.lower()):
            problems.append(problem)
        else:
            examples.append(_example(text, _LABELS[label], category.lower(), row.line))
    return examples, problems


def _problem(line: int, text: str, label: str, category: str) -> RowProblem | None:
    if not text:
        return RowProblem(line, "text", "is empty")
    if len(text) > MAX_TEXT:
        return RowProblem(line, "text", f"has {len(text)} characters; {MAX_TEXT} are allowed")
    if found := _NOT_TEXT.search(text):
        reason = f"has a character that is not text (U+{ord(found.group()):04X})"
        return RowProblem(line, "text", reason)
    if label not in _LABELS:
        return RowProblem(line, "label", f"is {label!r}; write 1 for bad, 0 for innocent")
    if category and category not in LEARNT:
        return RowProblem(line, "category", f"is {category!r}; known are {', '.join(LEARNT)}")
    return None


def _example(text: str, is_bad: bool, category: str, line: int) -> Example:
    default = Category.ABUSE if is_bad else None
    return Example(text, is_bad, Category(category) if category else default, line)


def _text(cell: Cell) -> str:
    return "" if cell is None or isinstance(cell, list) else cell.strip()


def _contradicted(examples: Sequence[Example]) -> dict[int, RowProblem]:
    """The examples (by `id`) whose text has another label or category too."""
    by_text: dict[str, list[Example]] = defaultdict(list)
    for example in examples:
        by_text[example.text].append(example)
    found = {}
    for same in by_text.values():
        for example in same:
            other = next((o for o in same if _label(o) != _label(example)), None)
            if other is not None:
                reason = f"{_label(example)}, but in line {other.line} it is {_label(other)}"
                found[id(example)] = RowProblem(example.line, "label", reason)
    return found


def _label(example: Example) -> str:
    return f"{int(example.is_bad)} {example.category or ''}".strip()


def _once(examples: Sequence[Example], note: Note) -> list[Example]:
    seen = {example.text: example for example in reversed(examples)}
    if len(seen) < len(examples):
        note(f"{len(examples) - len(seen)} repeated rows count once.")
    return [example for example in examples if seen[example.text] is example]


def _rows(count: int) -> str:
    return f"{count} row was" if count == 1 else f"{count} rows were"


def _invalid(name: str, problems: Sequence[RowProblem]) -> InvalidFile:
    lines = len({problem.line for problem in problems})
    return InvalidFile(
        f"{name}: {lines} {'line' if lines == 1 else 'lines'} cannot be taken. Nothing was changed. "
        "Mend them, or leave them out with --lenient.",
        tuple(sorted(problems, key=lambda problem: problem.line)),
    )
