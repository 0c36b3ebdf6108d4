"""Excel workbooks: the cells of each sheet as texts, without formulas."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime
from io import BytesIO
from typing import Any
from zipfile import BadZipFile

import openpyxl
from openpyxl.utils.exceptions import InvalidFileException

from kefu.errors import InvalidFile
from kefu.knowledge.documents.archive import check_archive
from kefu.knowledge.documents.blocks import Sheet
from kefu.knowledge.documents.limits import MAX_CHARACTERS
from kefu.tables import MAX_ROWS


def read_workbook(content: bytes, name: str) -> list[Sheet]:
    """The sheets in their order. Raises `InvalidFile` for what is no workbook, or too large a one."""
    check_archive(content, name)
    try:
        book = openpyxl.load_workbook(BytesIO(content), read_only=True, data_only=True)
    except (InvalidFileException, BadZipFile, KeyError, ValueError, OSError) as error:
        raise InvalidFile(f"{name} is no Excel workbook (.xlsx). Save it as one.") from error
    sheets, rows, characters = [], 0, 0
    for sheet in book.worksheets:
        found = []
        for number, cells in _rows(sheet):
            found.append((number, cells))
            rows, characters = rows + 1, characters + sum(map(len, cells))
            _check(rows, characters, name)
        sheets.append(Sheet(sheet.title, sheet.sheet_state != "visible", found))
    return sheets


def _rows(sheet: Any) -> Iterator[tuple[int, list[str]]]:
    sheet.reset_dimensions()  # what the file says of its size may be wrong, or a trap
    for number, row in enumerate(sheet.iter_rows(values_only=True), 1):
        cells = [_text(value) for value in row]
        while cells and not cells[-1]:
            cells.pop()
        if cells:
            yield number, cells


def _text(value: object) -> str:
    """As the sheet shows it, or nearly: 3 and not 3.0, days without a time."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime) and value.time() == datetime.min.time():
        return value.date().isoformat()
    if isinstance(value, (date, datetime)):
        return value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
    return str(value).strip()


def _check(rows: int, characters: int, name: str) -> None:
    if rows > MAX_ROWS:
        raise InvalidFile(f"{name} has more than {MAX_ROWS:,} rows. Import it in parts.")
    if characters > MAX_CHARACTERS * 4:
        raise InvalidFile(
            f"{name} has more than {MAX_CHARACTERS * 4:,} characters. Import it in parts."
        )
