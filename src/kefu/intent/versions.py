"""The trained models of a data folder: every training adds one, and one of them is in use.

    intents/current.json        {"version": "...", "previous": "...", "chosen_at": "..."}
    intents/versions/<version>/ a model folder

A desk looks at `current.json` every second; replacing it is one rename, so it is the old one or the
new one and never a half.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from kefu.errors import KefuError, ModelCorrupt, ModelError, NotFound
from kefu.intent.folder import About, read_about

KEPT = 10

# What `add` calls them, and what people call folders. Drafts begin with a dot.
_NAME = re.compile(r"[\w-][\w. -]{0,59}")


@dataclass(frozen=True)
class Version:
    """`about` is None where the folder cannot be read; `problem` says why."""

    id: str
    folder: Path
    active: bool
    about: About | None
    problem: str = ""


@dataclass(frozen=True)
class Current:
    """`chosen_at` tells a choice from the same one made again when its folder was mended."""

    version: str
    previous: str | None = None
    chosen_at: str = ""


class Versions:
    def __init__(self, root: Path) -> None:
        self._root = root
        self._pointer = root / "current.json"
        self._folder = root / "versions"

    def current(self) -> Current | None:
        """Which one is in use; None before the first training. Raises `ModelCorrupt`."""
        try:
            data = json.loads(self._pointer.read_text(encoding="utf-8"))
            version, previous = str(data["version"]), data.get("previous")
            return Current(version, previous and str(previous), str(data.get("chosen_at")))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelCorrupt(
                f"{self._pointer} cannot be read: {error}. Choose a version again with "
                "`kefu intent use VERSION` (`kefu intent list` shows them)."
            ) from error

    def folder_of(self, version: str) -> Path:
        """Raises `NotFound`."""
        folder = self._folder / version
        if not _NAME.fullmatch(version) or not folder.is_dir():
            raise NotFound(f"There is no intent model {version[:100]!r}. See `kefu intent list`.")
        return folder

    def all(self) -> list[Version]:
        """Newest first."""
        active = self._active()
        names = sorted((path.name for path in self._complete()), reverse=True)
        return [_version(name, self._folder / name, name == active) for name in names]

    def add(self, write: Callable[[Path], None], *, activate: bool = True) -> str:
        """Have a model written into a new version and, if wanted, use it. Old ones are pruned."""
        version = f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"  # sorts by age
        write(self._folder / version)
        if activate:
            self.activate(version)
        self._prune()
        return version

    def activate(self, version: str) -> None:
        """Use `version` from now on. Raises `NotFound`, or `ModelError` where it is damaged."""
        read_about(self.folder_of(version))
        active = self._active()
        previous = active if active != version else self._previous()
        draft = self._pointer.with_suffix(f".{uuid.uuid4().hex[:8]}")
        chosen = Current(version, previous, datetime.now(UTC).isoformat())
        text = json.dumps(asdict(chosen))
        try:
            with draft.open("w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._pointer)
        except OSError as error:
            raise ModelError(f"Cannot write {self._pointer}: {error.strerror or error}.") from error
        finally:
            draft.unlink(missing_ok=True)

    def previous(self) -> str:
        """The one that was in use before. Raises `NotFound` where there was none."""
        previous = self._previous()
        if previous is None:
            raise NotFound("No other intent model was in use before this one.")
        return previous

    def roll_back(self) -> str:
        """Use the one that was in use before. Raises `NotFound` where there was none."""
        previous = self.previous()
        self.activate(previous)
        return previous

    def _active(self) -> str | None:
        try:
            current = self.current()
        except KefuError:
            return None
        return current.version if current else None

    def _previous(self) -> str | None:
        current = self.current()
        return current.previous if current else None

    def _complete(self) -> list[Path]:
        """Drafts of trainings that still run begin with a dot."""
        if not self._folder.is_dir():
            return []
        return [path for path in self._folder.iterdir() if not path.name.startswith(".")]

    def _prune(self) -> None:
        kept = {self._active()}
        try:
            kept.add(self._previous())
        except KefuError:
            return  # which one may be wanted again is not known
        for old in self.all()[KEPT:]:
            if old.id not in kept:
                shutil.rmtree(old.folder, ignore_errors=True)


def _version(name: str, folder: Path, active: bool) -> Version:
    try:
        return Version(name, folder, active, read_about(folder))
    except KefuError as error:
        return Version(name, folder, active, None, str(error))
