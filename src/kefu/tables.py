"""Tables from bytes: CSV of any delimiter and usual encoding, or JSON lines, with line numbers.

Other files with rows (a workbook's sheets) become tables through `table_of`.
"""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from kefu.errors import InvalidFile, RowProblem

MAX_BYTES = 16 * 1024 * 1024
MAX_ROWS = 200_000
_MAX_CELL = 100_000
_DELIMITERS = (",", ";", "\t", "|", "，")

# How files that people take for text begin, and what to do with them.
_NOT_TEXT = (
    (b"PK\x03\x04", "is an Excel workbook or a zip archive. Save the sheet as CSV (UTF-8)."),
    (b"\xd0\xcf\x11\xe0", "is an old Excel workbook. Save the sheet as CSV (UTF-8)."),
    (b"%PDF", "is a PDF. Put its texts into a CSV file."),
    (b"\x1f\x8b", "is compressed with gzip. Unpack it first."),
)

Cell = str | list[str] | None


@dataclass(frozen=True)
class Row:
    """`line` is where the row begins; a quoted cell may go over several lines."""

    line: int
    cells: Mapping[str, Cell]


@dataclass(frozen=True)
class Table:
    name: str
    columns: Sequence[str]
    rows: Sequence[Row]
    problems: Sequence[RowProblem] = field(default=())


def read_table(
    source: Path | bytes,
    name: str,
    required: Sequence[str],
    aliases: Mapping[str, str],
    note: Callable[[str], None],
) -> Table:
    """Read a table whose header has the `required` columns or `aliases` of them.

    JSON lines where the name ends in `.jsonl` or the text begins with `{`, CSV elsewhere. Rows
    that cannot be read are among `problems`. Raises `InvalidFile` where there is no table at all.
    """
    name = name or (str(source) if isinstance(source, Path) else "The file")
    text = read_text(source, name, note)
    if text.lstrip().startswith("["):
        raise InvalidFile(f"{name} is a JSON array. Write one object a line (JSON lines).")
    is_json = name.lower().endswith((".jsonl", ".ndjson")) or text.lstrip().startswith("{")
    table = _read_json(text, name, aliases) if is_json else _read_csv(text, name, required, aliases)
    _check_table(table, required)
    return table


def read_text(source: Path | bytes, name: str, note: Callable[[str], None]) -> str:
    """The text of a file, UTF-8 or GB18030. Raises `InvalidFile` where it is none, or empty."""
    text = _decode(_bytes_of(source, name), name, note)
    if not text.strip():
        raise InvalidFile(f"{name} is empty.")
    return text


def _bytes_of(source: Path | bytes, name: str) -> bytes:
    if isinstance(source, Path):
        try:
            if source.stat().st_size <= MAX_BYTES:
                return source.read_bytes()
        except OSError as error:
            raise InvalidFile(f"{name} cannot be read: {error.strerror or error}.") from error
    elif len(source) <= MAX_BYTES:
        return source
    raise InvalidFile(f"{name} is larger than {MAX_BYTES // 1024**2} MB. Import it in parts.")


def _decode(data: bytes, name: str, note: Callable[[str], None]) -> str:
    for beginning, advice in _NOT_TEXT:
        if data.startswith(beginning):
            raise InvalidFile(f"{name} {advice}")
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return _decode_as("utf-16", data, name)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = _decode_as("gb18030", data, name)
    # GB18030 takes nearly any bytes for text, so see whether what came out is one.
    if sum(ord(character) < 32 and character not in "\t\r\n" for character in text[:4096]) > 8:
        raise InvalidFile(f"{name} is not a text file.")
    note(f"{name} is not UTF-8 and was read as GB18030. Check a few rows.")
    return text


def _decode_as(encoding: str, data: bytes, name: str) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise InvalidFile(
            f"{name} is neither UTF-8 nor GB18030 text. Save it as CSV (UTF-8)."
        ) from error


def _check_table(table: Table, required: Sequence[str]) -> None:
    missing = [column for column in required if column not in table.columns]
    if missing and (table.rows or not table.problems):
        raise InvalidFile(
            f"{table.name} has no column {' and no column '.join(missing)}.",
            tuple(RowProblem(1, column, "column is missing") for column in missing),
        )
    if len(table.rows) > MAX_ROWS:
        raise InvalidFile(f"{table.name} has more than {MAX_ROWS:,} rows. Import it in parts.")


def _read_csv(text: str, name: str, required: Sequence[str], aliases: Mapping[str, str]) -> Table:
    records = _Records(text, _sniff_delimiter(text, required, aliases))
    table = table_of(records, name, aliases)
    return replace(table, problems=(*table.problems, *records.problems))


def table_of(
    records: Iterable[tuple[int, Sequence[str]]], name: str, aliases: Mapping[str, str]
) -> Table:
    """A table of rows that are given with their line numbers, the header first."""
    rest = iter(records)
    first_line, header = next(rest, (1, ()))
    columns = [_column(cell, aliases) for cell in header]
    problems = [
        RowProblem(first_line, column or "header", "column is given twice")
        for number, column in enumerate(columns)
        if column in columns[:number] and column
    ]
    rows = []
    for line, cells in rest:
        if problem := _misfit(line, cells, columns):
            problems.append(problem)
        else:
            rows.append(Row(line, dict(zip(columns, cells, strict=False))))
    return Table(name, [column for column in columns if column], rows, problems)


def _misfit(line: int, cells: Sequence[str], columns: Sequence[str]) -> RowProblem | None:
    """Spreadsheets leave empty cells behind the last column; anything else is a torn row."""
    if len(cells) == len(columns) or (len(cells) > len(columns) and not any(cells[len(columns) :])):
        return None
    return RowProblem(line, "row", f"has {len(cells)} cells; the header has {len(columns)}")


class _Records:
    """Non-empty records of a CSV text, each with the line it begins on.

    A text that stops being CSV (an open quote) ends the records with a problem.
    """

    def __init__(self, text: str, delimiter: str) -> None:
        csv.field_size_limit(_MAX_CELL)
        self._reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        self.problems: list[RowProblem] = []

    def __iter__(self) -> Iterator[tuple[int, list[str]]]:
        while True:
            line = self._reader.line_num + 1
            try:
                cells = next(self._reader)
            except StopIteration:
                return
            except csv.Error as error:
                self.problems.append(RowProblem(line, "row", f"is not CSV from here on: {error}"))
                return
            if any(cell.strip() for cell in cells):
                yield line, cells


def _sniff_delimiter(text: str, required: Sequence[str], aliases: Mapping[str, str]) -> str:
    """The one that finds most known columns in the header."""
    header = text.lstrip().splitlines()[0]

    def known(delimiter: str) -> int:
        columns = [_column(cell, aliases) for cell in header.split(delimiter)]
        return sum(column in required or column in aliases.values() for column in columns)

    return max(_DELIMITERS, key=known)


def _column(cell: str, aliases: Mapping[str, str]) -> str:
    name = cell.strip().strip('"').strip().lower()
    return aliases.get(name, name)


def _read_json(text: str, name: str, aliases: Mapping[str, str]) -> Table:
    rows, problems, columns = [], [], dict[str, None]()
    for line, part in enumerate(text.split("\n"), 1):
        if not part.strip():
            continue
        try:
            cells = _object(part, aliases)
        except ValueError as error:
            problems.append(RowProblem(line, "row", str(error)))
            continue
        columns.update(dict.fromkeys(cells))
        rows.append(Row(line, cells))
    return Table(name, list(columns), rows, problems)


def _object(text: str, aliases: Mapping[str, str]) -> dict[str, Cell]:
    """One JSON object with texts, numbers and lists of texts. Raises `ValueError`."""
    try:
        value = json.loads(text)
    except (json.JSONDecodeError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ValueError("is not a JSON object")
    return {_column(key, aliases): _cell(key, cell) for key, cell in value.items()}


def _cell(key: str, value: object) -> Cell:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return value
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, (int, float)):
        return str(value)
    raise ValueError(f"{key!r} is neither a text nor a list of texts")
