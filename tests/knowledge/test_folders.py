"""Which files of a folder are taken."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from kefu.errors import InvalidFile
from kefu.knowledge import folders
from kefu.knowledge.folders import find_files


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "手册"
    for name in (
        "b.md",
        "a/c.csv",
        "a/d.PDF",
        ".git/x.md",
        ".hidden.md",
        "~$b.docx",
        "p.png",
        "old.doc",
    ):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text("x", "utf-8")
    return root


def test_a_folder_is_walked_in_order_and_says_what_it_skips(folder: Path) -> None:
    found, skipped = find_files(folder)
    assert [(file.name, file.kind) for file in found] == [
        ("a/c.csv", "table"),
        ("a/d.PDF", "pdf"),
        ("b.md", "markdown"),
    ]
    reasons = {item.name: item.reason for item in skipped}
    assert list(reasons) == [".git", ".hidden.md", "old.doc", "p.png", "~$b.docx"]
    assert (reasons[".git"], reasons[".hidden.md"]) == ("hidden", "hidden")
    assert reasons["old.doc"] == "files of the type .doc are not read. Save it as .docx."
    assert "lock" in reasons["~$b.docx"]
    assert found[2].load().content == b"x"


@pytest.mark.skipif(sys.platform == "win32", reason="links and pipes need POSIX")
def test_links_to_folders_and_pipes_are_not_followed(folder: Path) -> None:
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "pipe.md")
    found, skipped = find_files(folder)
    assert len(found) == 3
    reasons = {item.name: item.reason for item in skipped}
    assert (reasons["loop"], reasons["pipe.md"]) == ("a link to a folder", "no ordinary file")


def test_a_single_file_is_called_by_its_name(folder: Path) -> None:
    (file,), skipped = find_files(folder / "a" / "c.csv")
    assert (file.name, skipped) == ("c.csv", [])


@pytest.mark.parametrize(
    ("name", "says"),
    [("old.doc", "Save it as .docx"), ("none.md", "no such file"), (".git", "no file that could")],
)
def test_what_is_asked_for_by_name_must_be_readable(folder: Path, name: str, says: str) -> None:
    if name == ".git":
        (folder / ".git" / "x.md").rename(folder / ".git" / "x.bin")
    with pytest.raises(InvalidFile, match=says):
        find_files(folder / name)


def test_limits(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folders, "MAX_DOCUMENT_BYTES", 0)
    with pytest.raises(InvalidFile, match=r"c\.csv is larger than"):
        find_files(folder / "a" / "c.csv")[0][0].load()
    monkeypatch.setattr(folders, "MAX_FILES", 2)
    with pytest.raises(InvalidFile, match="3 files to import; 2 are allowed"):
        find_files(folder)
