"""A document read by a child process that cannot take the desk with it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

import psutil
import structlog

from kefu.errors import InvalidFile, Overloaded
from kefu.knowledge.documents.blocks import Sheet
from kefu.knowledge.documents.chunking import Chunk
from kefu.knowledge.documents.kinds import Kind, title_of
from kefu.knowledge.documents.limits import (
    MAX_DOCUMENT_BYTES,
    MIB,
    PARSER_CPU_SECONDS,
    PARSER_MEMORY_BYTES,
    PARSER_OUTPUT_BYTES,
    PARSER_SECONDS,
)
from kefu.knowledge.documents.worker import OUT_OF_MEMORY, Order

log = structlog.stdlib.get_logger("kefu.documents")

# Each may take a gigabyte for a minute.
MAX_CHILDREN = 2
WAIT_SECONDS = 60.0
_LOOK_EVERY_SECONDS = 0.1
_LAST_WORDS_BYTES = 2_000

_children = threading.BoundedSemaphore(MAX_CHILDREN)


@dataclass(frozen=True)
class Reading:
    """The chunks of a document, or the sheets of a workbook; `notes` stop nothing."""

    chunks: Sequence[Chunk] = ()
    sheets: Sequence[Sheet] = ()
    notes: Sequence[str] = ()


def read_in_child(content: bytes, name: str, kind: Kind) -> Reading:
    """Read a document that may be hostile. Blocks: seconds for large ones, so not on an event loop.

    Raises `InvalidFile` where it cannot be read, also where reading takes too long or too much
    memory; `Overloaded` while as many are being read as may be.
    """
    if len(content) > MAX_DOCUMENT_BYTES:
        raise InvalidFile(f"{name} is larger than {MAX_DOCUMENT_BYTES // MIB} MB. Part it.")
    if not content.strip():
        raise InvalidFile(f"{name} is empty.")
    with _room():
        answer = _ask(Order(kind, name, title_of(name)), content)
    if "error" in answer:
        raise InvalidFile(answer["error"])
    return Reading(
        chunks=[_chunk(chunk) for chunk in answer.get("chunks", ())],
        sheets=[Sheet(**sheet) for sheet in answer.get("sheets", ())],
        notes=answer.get("notes", ()),
    )


def _chunk(fields: dict[str, Any]) -> Chunk:
    return Chunk(**{**fields, "sentences": tuple(fields["sentences"])})


@contextmanager
def _room() -> Iterator[None]:
    if not _children.acquire(timeout=WAIT_SECONDS):
        raise Overloaded(f"{MAX_CHILDREN} documents are being read already. Try again in a minute.")
    try:
        yield
    finally:
        _children.release()


def _ask(order: Order, content: bytes) -> dict[str, Any]:
    """Files and not pipes between the two: neither side can wait for the other's reading."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as answer:
        with tempfile.TemporaryFile() as words:
            given.write(order.line() + content)
            given.seek(0)
            status = _run(order.name, given, answer, words)
            if status:
                raise _failed(order, status, words)
        answer.seek(0)
        found: dict[str, Any] = json.loads(answer.read(PARSER_OUTPUT_BYTES))
        return found


def _run(name: str, given: IO[bytes], answer: IO[bytes], words: IO[bytes]) -> int:
    """The child's exit status. `-P` keeps the folder that is imported off the import path."""
    command = [sys.executable, "-P", "-m", "kefu.knowledge.documents.worker"]
    process = subprocess.Popen(command, stdin=given, stdout=answer, stderr=words)
    try:
        return _watch(name, process)
    finally:
        process.kill()
        process.wait()


def _watch(name: str, process: subprocess.Popen[bytes]) -> int:
    """Wait for the end, and see to it where the kernel does not hold the limits."""
    deadline = time.monotonic() + PARSER_SECONDS
    watched = psutil.Process(process.pid)
    while time.monotonic() < deadline:
        with suppress(subprocess.TimeoutExpired):
            return process.wait(_LOOK_EVERY_SECONDS)
        with suppress(psutil.Error):
            if watched.memory_info().rss > PARSER_MEMORY_BYTES:
                return OUT_OF_MEMORY
    raise _too_long(name)


def _failed(order: Order, status: int, words: IO[bytes]) -> InvalidFile:
    words.seek(max(0, words.seek(0, 2) - _LAST_WORDS_BYTES))
    last = words.read().decode("utf-8", "replace").strip().rpartition("\n")[2]
    log.warning("document_reader_ended", status=status, kind=order.kind, last_words=last)
    if status == OUT_OF_MEMORY:
        return InvalidFile(
            f"{order.name} takes more than {PARSER_MEMORY_BYTES // MIB:,} MB of memory to read. "
            "Save its content as a new, smaller file."
        )
    if sys.platform != "win32" and status == -signal.SIGXCPU:
        return _too_long(order.name)
    return InvalidFile(
        f"{order.name} cannot be read: it is damaged, or not of the kind that its name says. "
        "Save it anew."
    )


def _too_long(name: str) -> InvalidFile:
    return InvalidFile(
        f"{name} takes longer than {PARSER_CPU_SECONDS} s to read. Save its content as a new, "
        "smaller file."
    )
