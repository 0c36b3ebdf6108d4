"""Which files are taken for what, and what to do with those that are not."""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Literal
from urllib.parse import urlsplit

from kefu.errors import InvalidFile

Kind = Literal["table", "workbook", "markdown", "web_page", "plain_text", "pdf", "word"]

SUFFIXES: dict[str, Kind] = {
    ".csv": "table",
    ".tsv": "table",
    ".jsonl": "table",
    ".ndjson": "table",
    ".xlsx": "workbook",
    ".md": "markdown",
    ".markdown": "markdown",
    ".html": "web_page",
    ".htm": "web_page",
    ".xhtml": "web_page",
    ".txt": "plain_text",
    ".text": "plain_text",
    ".pdf": "pdf",
    ".docx": "word",
}
TABLES: frozenset[Kind] = frozenset({"table", "workbook"})

_ADVICE = {
    ".doc": "Save it as .docx.",
    ".docm": "Save it as .docx.",
    ".wps": "Save it as .docx.",
    ".rtf": "Save it as .docx.",
    ".odt": "Save it as .docx.",
    ".xls": "Save it as .xlsx.",
    ".xlsm": "Save it as .xlsx.",
    ".et": "Save it as .xlsx.",
    ".ods": "Save it as .xlsx.",
    ".ppt": "Save it as PDF.",
    ".pptx": "Save it as PDF.",
    ".json": "Write one object a line (.jsonl).",
    ".zip": "Unpack it and import the folder.",
}
_KNOWN = "CSV, JSONL, XLSX, Markdown, HTML, TXT, PDF and DOCX are read."


def find_kind(name: str) -> Kind | None:
    """By the end of a file's name or of a URL's path; None for what is not read."""
    return SUFFIXES.get(suffix_of(name))


def suffix_of(name: str) -> str:
    path = urlsplit(name).path if "://" in name else name
    return PurePosixPath(path).suffix.lower()


def title_of(name: str) -> str:
    """What a document without headings is called: its file name without the ending."""
    path = urlsplit(name).path.rstrip("/") if "://" in name else name
    return PurePosixPath(path).stem or name


def reason_not_read(name: str) -> str:
    """Why a file is not taken, and what to do."""
    suffix = suffix_of(name)
    what = f"files of the type {suffix} are not read" if suffix else "its name has no known ending"
    return f"{what}. {_ADVICE.get(suffix, _KNOWN)}"


def kind_of(name: str) -> Kind:
    """Raises `InvalidFile` for what is not read. A name without an ending is taken for a table."""
    kind = find_kind(name)
    if kind is None and suffix_of(name):
        raise InvalidFile(f"{name} cannot be imported: {reason_not_read(name)}")
    return kind or "table"
