"""Folders that appear whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from kefu.errors import InvalidInput
from kefu.inference.models.files import sync_directory, sync_file


@contextmanager
def written_whole(target: Path, marker: str | None = None) -> Iterator[Path]:
    """A folder to write into. When the block ends well it takes the place of `target`.

    `marker` is a file that such folders have: an older one is replaced, anything else with
    content is refused (`InvalidInput`), because it may be somebody's work. Without a marker
    whatever is there is refused.
    """
    _check_replaceable(target, marker)
    target.parent.mkdir(parents=True, exist_ok=True)
    # Beside the target: a rename works only within one file system.
    with tempfile.TemporaryDirectory(prefix=f".{target.name}-", dir=target.parent) as around:
        made = Path(around) / "made"
        made.mkdir()
        yield made
        for path in made.rglob("*"):
            sync_directory(path) if path.is_dir() else sync_file(path)
        _check_replaceable(target, marker)  # it may have appeared meanwhile
        _exchange(made, target, Path(around) / "old")
        sync_directory(target.parent)


def require_new(target: Path) -> None:
    """Raises `InvalidInput`."""
    if target.exists():
        raise InvalidInput(f"{target} exists already. Remove it or give another folder.")


def _check_replaceable(target: Path, marker: str | None) -> None:
    if marker is None:
        require_new(target)
        return
    if target.exists() and not target.is_dir():
        raise InvalidInput(f"{target} is a file. Name a folder to write to.")
    if target.is_dir() and any(target.iterdir()) and not (target / marker).is_file():
        raise InvalidInput(
            f"{target} has other things in it (and no {marker}). Name a new or an empty folder."
        )


def _exchange(made: Path, target: Path, old: Path) -> None:
    if target.exists():
        target.rename(old)
    try:
        made.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
