"""Models on this computer: what a pull left, and whether it is still whole.

A model is a folder `models/NAME/` with its files, `NOTICE.txt` and `kefu-model.json`, the record of
sizes and sums. The folder appears by one rename when everything in it has been verified, so a start
need only compare sizes; the sums are compared again by `kefu models list --verify`.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kefu.errors import ModelCorrupt, ModelError, ModelMissing
from kefu.inference.models.catalogue import Model, load_catalogue
from kefu.inference.models.files import sha256_of
from kefu.inference.models.progress import SILENT, Progress
from kefu.settings import Settings

RECORD = "kefu-model.json"
NOTICE = "NOTICE.txt"


@dataclass(frozen=True)
class InstalledFile:
    """A file in a model's folder as it was verified. `path` is relative to the folder."""

    path: str
    size_bytes: int
    sha256: str


@dataclass(frozen=True)
class InstalledModel:
    """A model that is ready to be opened."""

    model: Model
    directory: Path
    files: tuple[InstalledFile, ...]

    @property
    def path(self) -> Path:
        """The file a program opens: the catalogue's first."""
        return self.directory / self.model.files[0].path

    @property
    def size_bytes(self) -> int:
        return sum(file.size_bytes for file in self.files)


def get_installed(settings: Settings, name: str) -> InstalledModel:
    """The model, or `ModelMissing`/`ModelCorrupt` saying which command brings it."""
    return inspect_installed(load_catalogue(settings.data_dir).get(name), settings.models_dir)


def find_installed(settings: Settings, name: str) -> InstalledModel | None:
    """The model, or None when it is not here or no longer whole."""
    model = load_catalogue(settings.data_dir).get(name)
    try:
        return inspect_installed(model, settings.models_dir)
    except ModelError:
        return None


def inspect_installed(model: Model, models_dir: Path) -> InstalledModel:
    """Compare the folder with its record and the catalogue, by size. Raises as `get_installed`."""
    directory = models_dir / model.name
    files = read_record(directory)
    if files is None:
        raise ModelMissing(
            f"The model {model.name} is not in {models_dir}. Fetch it: kefu models pull {model.name}"
        )
    recorded = {file.path: file for file in files}
    for wanted in model.files:
        have = recorded.get(wanted.path)
        if have is None or (wanted.sha256 and wanted.sha256 != have.sha256):
            raise ModelMissing(
                f"The catalogue has another version of {model.name} than {directory}. "
                f"Fetch it: kefu models pull {model.name}"
            )
    for file in files:
        _check_size(directory / file.path, file, model.name)
    return InstalledModel(model, directory, files)


def verify_installed(installed: InstalledModel, progress: Progress = SILENT) -> None:
    """Read every byte and compare the sums. Raises `ModelCorrupt`."""
    for file in installed.files:
        done = 0

        def add(more: int, file: InstalledFile = file) -> None:
            nonlocal done
            done += more
            progress.advance(f"verifying {file.path}", done, file.size_bytes)

        path = installed.directory / file.path
        if sha256_of(path, add) != file.sha256:
            raise _damaged(path, installed.model.name, "its SHA-256 has changed")


def read_record(directory: Path) -> tuple[InstalledFile, ...] | None:
    """What the last pull verified, or None where there is no readable record."""
    try:
        record: dict[str, Any] = json.loads((directory / RECORD).read_text("utf-8"))
        return tuple(InstalledFile(**file) for file in record["files"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _check_size(path: Path, file: InstalledFile, name: str) -> None:
    size = path.stat().st_size if path.is_file() else None
    if size != file.size_bytes:
        found = "is gone" if size is None else f"has {size} bytes instead of {file.size_bytes}"
        raise _damaged(path, name, f"it {found}")


def _damaged(path: Path, name: str, what: str) -> ModelCorrupt:
    return ModelCorrupt(
        f"{path} is damaged: {what}. Delete {path.parent} and run: kefu models pull {name}"
    )
