"""Files and folders that are given for import: which are taken, and which are skipped and why."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kefu.errors import InvalidFile
from kefu.knowledge.documents.kinds import Kind, find_kind, kind_of, reason_not_read
from kefu.knowledge.documents.limits import MAX_DOCUMENT_BYTES, MIB
from kefu.knowledge.listing import Skipped
from kefu.knowledge.sources import SourceFile

MAX_FILES = 10_000


@dataclass(frozen=True)
class FoundFile:
    """`name`: what its entries say they come from, with `/` between folders."""

    name: str
    path: Path
    kind: Kind

    def load(self) -> SourceFile:
        """Its content. Raises `InvalidFile`."""
        try:
            if self.path.stat().st_size > MAX_DOCUMENT_BYTES:
                raise InvalidFile(f"{self.name} is larger than {MAX_DOCUMENT_BYTES // MIB} MB.")
            return SourceFile(self.name, self.kind, self.path.read_bytes())
        except OSError as error:
            reason = error.strerror or error
            raise InvalidFile(f"{self.name} cannot be read: {reason}.") from error


def find_files(path: Path) -> tuple[list[FoundFile], list[Skipped]]:
    """A file, or all files of a folder and its folders in the order of their names.

    Raises `InvalidFile` for a path that is neither, and for a single file of an unknown type.
    """
    if path.is_dir():
        return _in_folder(path)
    if not path.is_file():
        what = "is no file" if path.exists() else "cannot be read: there is no such file"
        raise InvalidFile(f"{path} {what}.")
    name = _name(path.name)
    return [FoundFile(name, path, kind_of(name))], []


def _in_folder(folder: Path) -> tuple[list[FoundFile], list[Skipped]]:
    found: list[FoundFile] = []
    skipped: list[Skipped] = []
    for path, reason in sorted(_walk(folder)):
        name = _name(path.relative_to(folder).as_posix())
        kind = find_kind(name)
        if reason or kind is None:
            skipped.append(Skipped(name, reason or reason_not_read(name)))
        else:
            found.append(FoundFile(name, path, kind))
    if len(found) > MAX_FILES:
        raise InvalidFile(
            f"{folder} has {len(found):,} files to import; {MAX_FILES:,} are allowed at once. "
            "Import its folders one by one."
        )
    if not found:
        raise InvalidFile(f"{folder} has no file that could be imported.")
    return found, skipped


def _walk(folder: Path) -> Iterator[tuple[Path, str]]:
    """Each file with a reason to skip it, or ""; a folder only where it is not entered."""
    for parent, folders, files in os.walk(folder):
        for name in list(folders):
            path = Path(parent, name)
            if reason := _reason_to_skip(path) or (
                "a link to a folder" if path.is_symlink() else ""
            ):
                folders.remove(name)
                yield path, reason
        for name in files:
            path = Path(parent, name)
            reason = _reason_to_skip(path) or ("" if path.is_file() else "no ordinary file")
            yield path, reason


def _reason_to_skip(path: Path) -> str:
    if path.name.startswith("."):
        return "hidden"
    return "a lock of an office program" if path.name.startswith("~$") else ""


def _name(text: str) -> str:
    """The same for the same file on every system, and text also where the name is none."""
    shown = text.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    return unicodedata.normalize("NFC", shown)
