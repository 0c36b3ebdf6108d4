"""Questions and answers from tables people keep: CSV, JSON lines, or an Excel workbook.

A file is taken whole or not at all, and everything wrong with it is said at once, by line.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Literal

from kefu.errors import InvalidFile, RowProblem
from kefu.knowledge.documents.blocks import Sheet
from kefu.knowledge.documents.child import read_in_child
from kefu.knowledge.entry import Entry, problems_of, with_language
from kefu.tables import Cell, Row, Table, read_table, table_of
from kefu.terms import exact_key

COLUMNS = (
    "id",
    "question",
    "answer",
    "alternatives",
    "tags",
    "language",
    "enabled",
    "valid_from",
    "valid_until",
)
_REQUIRED = ("question", "answer")
_LISTS = ("alternatives", "tags")

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
    "启用": "enabled",
    "是否启用": "enabled",
    "生效日期": "valid_from",
    "开始日期": "valid_from",
    "失效日期": "valid_until",
    "结束日期": "valid_until",
    "有效期至": "valid_until",
}

_YES = frozenset({"", "true", "yes", "y", "1", "on", "是", "启用", "√"})
_NO = frozenset({"false", "no", "n", "0", "off", "否", "停用", "禁用", "×"})
# As ISO writes a day, and as spreadsheets show it.
_DAY = re.compile(r"(\d{4})[-/.年](\d{1,2})[-/.月](\d{1,2})日?")

Note = Callable[[str], None]


@dataclass(frozen=True)
class FaqTable:
    """The entries of a file, and which of `COLUMNS` it has."""

    entries: tuple[Entry, ...]
    columns: frozenset[str]


@dataclass(frozen=True)
class _Parsed:
    place: str
    line: int
    entry: Entry
    problems: tuple[RowProblem, ...]


def read_entries(source: Path | bytes, name: str = "", note: Note | None = None) -> list[Entry]:
    """Read the entries of a `.csv` or `.jsonl` file, or of bytes that came from one called `name`.

    Columns: `COLUMNS` or their `ALIASES`, in any order; only a question and an answer are needed.
    Lists are JSON lists or texts parted by `|`, days ISO dates. In a file without ids each entry
    gets one made of its question. `note` hears of what looks odd and stops nothing.

    Raises `InvalidFile`, whose `problems` name every bad row.
    """
    return list(read_faq(source, name, note or _ignore).entries)


def read_faq(
    source: Path | bytes, name: str, note: Note, kind: Literal["table", "workbook"] = "table"
) -> FaqTable:
    """As `read_entries`; a workbook must be bytes, and each of its sheets that is a table is read."""
    if kind == "workbook":
        assert isinstance(source, bytes)
        tables = _sheet_tables(source, name, note)
    else:
        tables = {"": read_table(source, name, _REQUIRED, ALIASES, note)}
    parsed = [item for place, table in tables.items() for item in _parsed(place, table, note)]
    problems = [_placed(p, place) for place, table in tables.items() for p in table.problems]
    problems += [problem for item in parsed for problem in item.problems]
    problems += _duplicates(parsed)
    file = name or next(iter(tables.values())).name
    if problems:
        raise _invalid(file, problems)
    if not parsed:
        raise InvalidFile(f"{file} has no entries.")
    entries = tuple(item.entry for item in parsed)
    _note_contradictions(entries, note)
    columns = {column for table in tables.values() for column in table.columns}
    return FaqTable(entries, frozenset(columns & set(COLUMNS)))


def _parsed(place: str, table: Table, note: Note) -> list[_Parsed]:
    for column in table.columns:
        if column not in COLUMNS:
            note(f"Column {column!r} is not known and was left out.")
    return [_parse(place, row, makes_id="id" not in table.columns) for row in table.rows]


def _sheet_tables(content: bytes, name: str, note: Note) -> dict[str, Table]:
    """The tables of a workbook by sheet; `note` hears which sheets are left out, and why."""
    sheets = read_in_child(content, name, "workbook").sheets
    tables: dict[str, Table] = {}
    for sheet in sheets:
        table = table_of(_padded(sheet), name, ALIASES)
        missing = [column for column in _REQUIRED if column not in table.columns]
        if sheet.is_hidden:
            note(f"Sheet {sheet.name!r} was skipped: it is hidden.")
        elif missing:
            note(f"Sheet {sheet.name!r} was skipped: it has no column {' and no '.join(missing)}.")
        else:
            tables[sheet.name] = table
    if not tables:
        names = ", ".join(repr(sheet.name) for sheet in sheets)
        raise InvalidFile(f"{name}: no sheet has the columns question and answer ({names}).")
    return {"": next(iter(tables.values()))} if len(sheets) == 1 else tables


def _padded(sheet: Sheet) -> Iterator[tuple[int, Sequence[str]]]:
    """Rows as wide as the first one: a sheet does not store its last empty cells."""
    width = len(sheet.rows[0][1]) if sheet.rows else 0
    for line, cells in sheet.rows:
        yield line, [*cells, *[""] * (width - len(cells))]


def derived_id(question: str) -> str:
    """The id of an entry that has none: the same question gets the same one in every import."""
    key = exact_key(question) or question
    return f"q-{hashlib.sha256(key.encode('utf-8', 'replace')).hexdigest()[:16]}"


def _parse(place: str, row: Row, makes_id: bool) -> _Parsed:
    question = _text(row.cells.get("question"))
    problems = [*_misplaced_lists(row)]
    entry = Entry(
        id=derived_id(question) if makes_id else _text(row.cells.get("id")),
        question=question,
        answer=_text(row.cells.get("answer")),
        alternatives=_without(question, _list(row.cells.get("alternatives"))),
        tags=_without("", _list(row.cells.get("tags"))),
        language=_text(row.cells.get("language")).lower(),
        enabled=_switch(row, "enabled", problems),
        valid_from=_day(row, "valid_from", problems),
        valid_until=_day(row, "valid_until", problems),
    )
    problems += [RowProblem(row.line, column, reason) for column, reason in problems_of(entry)]
    placed = tuple(_placed(problem, place) for problem in problems)
    return _Parsed(place, row.line, with_language(entry), placed)


def _placed(problem: RowProblem, sheet: str) -> RowProblem:
    """As spreadsheets write it: Sheet!column."""
    return replace(problem, column=f"{sheet}!{problem.column}") if sheet else problem


def _switch(row: Row, column: str, problems: list[RowProblem]) -> bool:
    text = _text(row.cells.get(column)).lower()
    if text not in _YES and text not in _NO:
        problems.append(RowProblem(row.line, column, f"{text[:20]!r} is neither yes nor no"))
    return text not in _NO


def _day(row: Row, column: str, problems: list[RowProblem]) -> date | None:
    text = _text(row.cells.get(column))
    if not text:
        return None
    found = _DAY.fullmatch(text)
    try:
        if found:
            return date(*map(int, found.groups()))
    except ValueError:
        pass  # a day that no calendar has
    problems.append(RowProblem(row.line, column, f"{text[:20]!r} is no day like 2026-01-31"))
    return None


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
        if isinstance(cell, list) and column in COLUMNS and column not in _LISTS:
            yield RowProblem(row.line, column, "is a list where one text belongs")


def _duplicates(parsed: Sequence[_Parsed]) -> Iterator[RowProblem]:
    first: dict[str, _Parsed] = {}
    for item in parsed:
        before = first.setdefault(item.entry.id, item)
        if item.entry.id and before is not item:
            where = f"line {before.line}" + (f" of {before.place}" if before.place else "")
            reason = f"{item.entry.id!r} was given on {where} before"
            yield _placed(RowProblem(item.line, "id", reason), item.place)


def _note_contradictions(entries: Sequence[Entry], note: Note) -> None:
    """The same question with two answers is allowed, and then neither is ever sure."""
    first_with: dict[tuple[str, str], Entry] = {}
    for entry in entries:
        for question in entry.questions:
            other = first_with.setdefault((entry.language, exact_key(question)), entry)
            if other.answer != entry.answer:
                note(f"{other.id} and {entry.id} answer {question!r} differently.")


def _invalid(name: str, problems: Sequence[RowProblem]) -> InvalidFile:
    lines = len({(problem.column.rpartition("!")[0], problem.line) for problem in problems})
    return InvalidFile(
        f"{name}: {lines} {'line' if lines == 1 else 'lines'} cannot be taken. Nothing was changed.",
        tuple(sorted(problems, key=lambda problem: problem.line)),
    )


def _ignore(_: str) -> None:
    pass
