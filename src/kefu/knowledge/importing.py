"""Knowledge from files people keep: CSV out of a spreadsheet, or JSON lines.

A file is taken whole or not at all, and everything wrong with it is said at once, by line.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from kefu.errors import InvalidFile, RowProblem
from kefu.knowledge.entry import Entry, problems_of, with_language
from kefu.tables import Cell, Row, read_table
from kefu.terms import exact_key

COLUMNS = ("id", "question", "answer", "alternatives", "tags", "language")
_REQUIRED = ("question", "answer")

# Headers that Chinese spreadsheets have.
ALIASES = {
    "编号": "id",
    "问题": "question",
    "标准问题": "question",
    "答案": "answer",
    "回答": "answer",
    "相似问法": "alternatives",
    "相似问题": "alternatives",
    "标签": "tags",
    "语言": "language",
}

Note = Callable[[str], None]


@dataclass(frozen=True)
class _Parsed:
    line: int
    entry: Entry
    problems: tuple[RowProblem, ...]


def read_entries(source: Path | bytes, name: str = "", note: Note | None = None) -> list[Entry]:
    """Read the entries of a `.csv` or `.jsonl` file, or of bytes that came from one called `name`.

    Columns: `COLUMNS` or their `ALIASES`, in any order; `id`, `alternatives`, `tags` and `language`
    may be missing. Lists are JSON lists or texts parted by `|`. In a file without ids each entry
    gets one made of its question. `note` hears of what looks odd and stops nothing.

    Raises `InvalidFile`, whose `problems` name every bad row.
    """
    tell = note or _ignore
    table = read_table(source, name, _REQUIRED, ALIASES, tell)
    for column in table.columns:
        if column not in COLUMNS:
            tell(f"Column {column!r} is not known and was left out.")
    parsed = [_parse(row, makes_id="id" not in table.columns) for row in table.rows]
    problems = [*table.problems, *(problem for item in parsed for problem in item.problems)]
    problems += _duplicates(parsed)
    if problems:
        raise _invalid(table.name, problems)
    if not parsed:
        raise InvalidFile(f"{table.name} has no entries.")
    entries = [item.entry for item in parsed]
    _note_contradictions(entries, tell)
    return entries


def derived_id(question: str) -> str:
    """The id of an entry that has none: the same question gets the same one in every import."""
    key = exact_key(question) or question
    return f"q-{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:16]}"


def _parse(row: Row, makes_id: bool) -> _Parsed:
    question = _text(row.cells.get("question"))
    entry = Entry(
        id=derived_id(question) if makes_id else _text(row.cells.get("id")),
        question=question,
        answer=_text(row.cells.get("answer")),
        alternatives=_without(question, _list(row.cells.get("alternatives"))),
        tags=_without("", _list(row.cells.get("tags"))),
        language=_text(row.cells.get("language")).lower(),
    )
    problems = [*_misplaced_lists(row)]
    problems += [RowProblem(row.line, column, reason) for column, reason in problems_of(entry)]
    return _Parsed(row.line, with_language(entry), tuple(problems))


def _text(cell: Cell) -> str:
    return "" if cell is None or isinstance(cell, list) else str(cell).strip()


def _list(cell: Cell) -> list[str]:
    parts = cell if isinstance(cell, list) else _text(cell).split("|")
    return [text for part in parts if (text := part.strip())]


def _without(taken: str, texts: Sequence[str]) -> tuple[str, ...]:
    """Each text once, and none that says the same as `taken`."""
    return tuple(text for text in dict.fromkeys(texts) if text != taken)


def _misplaced_lists(row: Row) -> Iterator[RowProblem]:
    for column, cell in row.cells.items():
        if isinstance(cell, list) and column in ("id", "question", "answer", "language"):
            yield RowProblem(row.line, column, "is a list where one text belongs")


def _duplicates(parsed: Sequence[_Parsed]) -> Iterator[RowProblem]:
    first_lines: dict[str, int] = {}
    for item in parsed:
        first = first_lines.setdefault(item.entry.id, item.line)
        if item.entry.id and first != item.line:
            yield RowProblem(item.line, "id", f"{item.entry.id!r} was given on line {first} before")


def _note_contradictions(entries: Sequence[Entry], note: Note) -> None:
    """The same question with two answers is allowed, and then neither is ever sure."""
    first_with: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        for question in entry.questions:
            other = first_with.setdefault((entry.language, exact_key(question)), entry)
            if other.answer != entry.answer:
                note(f"{other.id} and {entry.id} answer {question!r} differently.")


def _invalid(name: str, problems: Sequence[RowProblem]) -> InvalidFile:
    lines = len({problem.line for problem in problems})
    return InvalidFile(
        f"{name}: {lines} {'line' if lines == 1 else 'lines'} cannot be taken. Nothing was changed.",
        tuple(sorted(problems, key=lambda problem: problem.line)),
    )


def _ignore(_: str) -> None:
    pass
