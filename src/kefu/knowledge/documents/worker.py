"""The child program that reads one document: `python -m kefu.knowledge.documents.worker`.

Parsers are fed what strangers wrote. Here they may loop, eat memory or crash, and the desk goes on:
this process has a limit on its time and memory, and does nothing else.

Standard input: one JSON line (`Order`), then the bytes of the document. Standard output: one JSON
document, `{"chunks": [...], "notes": [...]}`, `{"sheets": [...]}` or `{"error": "..."}`.
"""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from kefu.errors import InvalidFile
from kefu.knowledge.documents.blocks import Document
from kefu.knowledge.documents.chunking import chunks_of
from kefu.knowledge.documents.limits import (
    PARSER_CPU_SECONDS,
    PARSER_MEMORY_BYTES,
    PARSER_OUTPUT_BYTES,
)

# The exit status that says "not enough memory": Python's own way of ending says it in no way.
OUT_OF_MEMORY = 77


@dataclass(frozen=True)
class Order:
    """What the parent asks for. `title` names a document that has no heading."""

    kind: str
    name: str
    title: str

    def line(self) -> bytes:
        return json.dumps(asdict(self)).encode() + b"\n"


def main() -> int:
    _limit_self()
    try:
        order = Order(**json.loads(sys.stdin.buffer.readline()))
        answer = _answer(order, sys.stdin.buffer.read())
        sys.stdout.buffer.write(json.dumps(answer).encode())
        sys.stdout.buffer.flush()
    except MemoryError:
        return OUT_OF_MEMORY
    return 0


def _answer(order: Order, content: bytes) -> dict[str, Any]:
    try:
        if order.kind == "workbook":
            return {"sheets": [asdict(sheet) for sheet in _load("workbook")(content, order.name)]}
        document: Document = _load(order.kind)(content, order.name, order.title)
        chunks = chunks_of(document, order.name)
    except InvalidFile as error:
        return {"error": str(error)}
    return {"chunks": [asdict(chunk) for chunk in chunks], "notes": list(document.notes)}


def _load(kind: str) -> Callable[..., Any]:
    """`read_pdf` of `pdf.py`, and so on. Each parser takes a tenth of a second to import, so only
    the one that is needed is."""
    module = importlib.import_module(f"kefu.knowledge.documents.{kind}")
    reader: Callable[..., Any] = getattr(module, f"read_{kind}")
    return reader


def _limit_self() -> None:
    """Limits that the kernel holds, where there are any; the parent watches on every system."""
    if sys.platform == "win32":
        return
    resource = importlib.import_module("resource")
    for which, soft, hard in (
        # The soft limit ends the process with a signal that says why, the hard one with any.
        (resource.RLIMIT_CPU, PARSER_CPU_SECONDS, PARSER_CPU_SECONDS + 1),
        (resource.RLIMIT_AS, PARSER_MEMORY_BYTES, PARSER_MEMORY_BYTES),
        (resource.RLIMIT_FSIZE, PARSER_OUTPUT_BYTES, PARSER_OUTPUT_BYTES),
        (resource.RLIMIT_CORE, 0, 0),
    ):
        with suppress(ValueError, OSError):  # macOS knows the names and refuses some values
            resource.setrlimit(which, (soft, hard))


if __name__ == "__main__":
    sys.exit(main())
