"""What a hostile document does to its reader, and what the desk then says."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from kefu.errors import InvalidFile, Overloaded
from kefu.knowledge.documents import child
from kefu.knowledge.documents.child import Reading, read_in_child
from kefu.knowledge.documents.chunking import Chunk
from kefu.knowledge.documents.limits import MAX_DOCUMENT_BYTES
from tests.knowledge.documents.making import pdf, pdf_of_many_pages, word, workbook


def test_a_document_comes_back_in_chunks() -> None:
    read = read_in_child("# 退货\n\n七天内可退。运费由顾客承担。".encode(), "a.md", "markdown")
    sentences = ("七天内可退。运费由顾客承担。",)
    assert read == Reading(
        [Chunk("passage", "退货", "七天内可退。运费由顾客承担。", sentences)], [], []
    )


def test_every_kind_is_read() -> None:
    assert read_in_child(b"<p>text</p>", "help/faq.html", "web_page").chunks[0].question == "faq"
    assert read_in_child(b"text", "a.txt", "plain_text").chunks[0].text == "text"
    assert read_in_child(pdf([[(11, "text")]]), "a.pdf", "pdf").chunks[0].page == 1
    assert read_in_child(word(("Normal", "text")), "a.docx", "word").chunks[0].text == "text"
    (sheet,) = read_in_child(workbook(FAQ=[["a"]]), "a.xlsx", "workbook").sheets
    assert (sheet.name, sheet.rows) == ("FAQ", [[1, ["a"]]])


def test_what_the_reader_refuses_is_told() -> None:
    with pytest.raises(InvalidFile, match=r"a\.pdf has 10,000 pages"):
        read_in_child(pdf_of_many_pages(10_000), "a.pdf", "pdf")
    with pytest.raises(InvalidFile, match=r"a\.txt is empty"):
        read_in_child(b" \n", "a.txt", "plain_text")
    with pytest.raises(InvalidFile, match="larger than 32 MB"):
        read_in_child(b"x" * (MAX_DOCUMENT_BYTES + 1), "a.txt", "plain_text")


# Stands for a parser that a document drives into something. The limits and the watch are real.
STUCK = "while True: pass"
GREEDY = "held = []\nwhile True: held.append(bytearray(1 << 24))"
CRASHED = "import os\nos.abort()"
DAMAGED = "raise KeyError('word/styles.xml')"


@pytest.fixture
def possessed(monkeypatch: pytest.MonkeyPatch) -> Any:
    def possess(code: str) -> None:
        limited = (
            "import sys\nfrom kefu.knowledge.documents import worker\n"
            f"worker.PARSER_CPU_SECONDS = {child.PARSER_CPU_SECONDS}\n"
            f"def read(*_):\n  {code.replace(chr(10), chr(10) + '  ')}\n"
            "worker._load = lambda kind: read\nsys.exit(worker.main())"
        )
        start = subprocess.Popen

        def popen(_: Sequence[str], **files: Any) -> subprocess.Popen[bytes]:
            return start([sys.executable, "-P", "-c", limited], **files)

        monkeypatch.setattr(child.subprocess, "Popen", popen)

    return possess


def test_a_reader_that_goes_in_circles_is_ended(
    possessed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "PARSER_CPU_SECONDS", 1)
    possessed(STUCK)
    with pytest.raises(InvalidFile, match="takes longer than 1 s"):
        read_in_child(b"x", "a.pdf", "pdf")


def test_a_reader_that_the_kernel_does_not_limit_is_ended_as_well(
    possessed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "PARSER_SECONDS", 0.5)
    possessed("import time\nwhile True: time.sleep(1)")
    with pytest.raises(InvalidFile, match="takes longer"):
        read_in_child(b"x", "a.pdf", "pdf")


def test_a_reader_that_takes_all_memory_is_ended(possessed: Any) -> None:
    possessed(GREEDY)
    with pytest.raises(InvalidFile, match="more than 1,024 MB of memory"):
        read_in_child(b"x", "a.pdf", "pdf")


def test_memory_is_watched_where_the_kernel_does_not(
    possessed: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(child, "PARSER_MEMORY_BYTES", 1 << 20)
    possessed("import time\nwhile True: time.sleep(1)")
    with pytest.raises(InvalidFile, match="more than 1 MB of memory"):
        read_in_child(b"x", "a.pdf", "pdf")


@pytest.mark.parametrize("code", [CRASHED, DAMAGED])
def test_a_reader_that_dies_takes_nothing_with_it(possessed: Any, code: str) -> None:
    possessed(code)
    with pytest.raises(InvalidFile, match="damaged, or not of the kind"):
        read_in_child(b"x", "a.docx", "word")


def test_only_so_many_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "WAIT_SECONDS", 0.01)
    for _ in range(child.MAX_CHILDREN):
        child._children.acquire()
    try:
        with pytest.raises(Overloaded, match="are being read already"):
            read_in_child(b"x", "a.txt", "plain_text")
    finally:
        for _ in range(child.MAX_CHILDREN):
            child._children.release()
    assert read_in_child(b"x", "a.txt", "plain_text").chunks


def test_programs_that_lie_beside_a_document_are_not_run(tmp_path: Path) -> None:
    """A folder of strangers' files may be where the command is run (the tests' fixture goes there)."""
    (tmp_path / "docx.py").write_text("raise SystemExit('stranger')", "utf-8")
    (tmp_path / "kefu.py").write_text("raise SystemExit('stranger')", "utf-8")
    assert read_in_child(word(("Normal", "text")), "a.docx", "word").chunks[0].text == "text"
