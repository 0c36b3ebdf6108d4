"""Files of models on disk: sums, copies, and writing that a power cut does not tear."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import IO

CHUNK_BYTES = 1024 * 1024
OnBytes = Callable[[int], None]
"""Told how many more bytes are done."""


def sha256_of(path: Path, on_bytes: OnBytes | None = None) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(CHUNK_BYTES):
            digest.update(block)
            if on_bytes is not None:
                on_bytes(len(block))
    return digest.hexdigest()


def copy_stream(
    source: IO[bytes], target: IO[bytes], on_bytes: OnBytes | None = None
) -> tuple[str, int]:
    """Copy to the end. Returns the SHA-256 and the number of bytes."""
    digest, size = hashlib.sha256(), 0
    while block := source.read(CHUNK_BYTES):
        target.write(block)
        digest.update(block)
        size += len(block)
        if on_bytes is not None:
            on_bytes(len(block))
    return digest.hexdigest(), size


def sync_file(path: Path) -> None:
    """Make the content durable before a rename makes it visible."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_directory(path: Path) -> None:
    """Make a rename in this directory durable. Windows has no such call and needs none."""
    if os.name == "nt":
        return
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def replace_durably(made: Path, final: Path) -> None:
    """Put a finished file in its place: whole or not at all, also after a power cut."""
    sync_file(made)
    made.replace(final)
    sync_directory(final.parent)
