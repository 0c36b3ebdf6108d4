"""Office files are zip archives of XML: looked over before a parser sees them."""

from __future__ import annotations

import zlib
from io import BytesIO
from zipfile import BadZipFile, ZipFile, ZipInfo

from kefu.errors import InvalidFile
from kefu.knowledge.documents.limits import (
    MAX_ARCHIVE_PARTS,
    MAX_RATIO,
    MAX_UNPACKED_BYTES,
    MIB,
    RATIO_COUNTS_FROM_BYTES,
)

# An entity can stand for others, and so ten lines for gigabytes. Office programs write none.
_DECLARATIONS = ("<!DOCTYPE", "<!ENTITY")
_DECLARED = tuple(
    declaration.encode(encoding)
    for declaration in _DECLARATIONS
    for encoding in ("ascii", "utf-16-le", "utf-16-be")
)
_OLD_OFFICE = b"\xd0\xcf\x11\xe0"


def check_archive(content: bytes, name: str) -> None:
    """Raise `InvalidFile` for an archive that is damaged, a bomb, or declares XML entities."""
    if content.startswith(_OLD_OFFICE):
        raise InvalidFile(
            f"{name} is protected by a password, or of an old Office. Save it as .docx or .xlsx "
            "without a password."
        )
    try:
        with ZipFile(BytesIO(content)) as archive:
            parts = archive.infolist()
            _check_sizes(parts, name)
            for part in parts:
                _check_part(archive.read(part), part, name)
    except (BadZipFile, EOFError, zlib.error, NotImplementedError, RuntimeError) as error:
        raise InvalidFile(f"{name} is damaged, or no Office file. Save it anew.") from error


def _check_sizes(parts: list[ZipInfo], name: str) -> None:
    """By what the archive declares; `read` never gives more of a part than that."""
    if len(parts) > MAX_ARCHIVE_PARTS:
        raise _bomb(name, f"has {len(parts):,} parts; {MAX_ARCHIVE_PARTS:,} are allowed")
    unpacked = sum(part.file_size for part in parts)
    if unpacked > MAX_UNPACKED_BYTES:
        allowed = MAX_UNPACKED_BYTES // MIB
        raise _bomb(name, f"unpacks to {unpacked // MIB:,} MB; {allowed} MB are allowed")
    for part in parts:
        is_large = part.file_size > RATIO_COUNTS_FROM_BYTES
        if is_large and part.file_size > MAX_RATIO * part.compress_size:
            raise _bomb(
                name, f"unpacks {part.filename[:80]!r} to more than {MAX_RATIO} times its size"
            )


def _check_part(content: bytes, part: ZipInfo, name: str) -> None:
    if any(declaration in content for declaration in _DECLARED):
        raise InvalidFile(
            f"{name} declares XML entities in {part.filename[:80]!r}, as no Office program does. It "
            "was not read; save it anew with an Office program."
        )


def _bomb(name: str, what: str) -> InvalidFile:
    return InvalidFile(f"{name} {what}. It was not read; save its content as a new, smaller file.")
