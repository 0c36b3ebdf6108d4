"""The calibrations of a data folder: every `kefu answers calibrate` that helps adds one.

    answers/current.json            {"version": "..."}; "" or no file: the shipped calibration
    answers/versions/<version>.json the calibration, the model it is for, the figures it was chosen by

A file is replaced by one rename, so it is the old one or the new one and never a half.
"""

from __future__ import annotations

import json
import os
import uuid
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import structlog

from kefu.answers.calibrate import Calibrated
from kefu.errors import KefuError, ModelCorrupt, ModelError, NotFound
from kefu.paraphrase.judge import Calibration, Judge
from kefu.stamps import utc_now

log = structlog.get_logger("kefu.answers")

SHIPPED = "shipped"
KEPT = 10


@dataclass(frozen=True)
class Version:
    """A calibration that was fitted here. `figures` are those of the held-out pairs."""

    id: str
    model: str
    created_at: str
    calibration: Calibration
    figures: dict[str, Any]


class Calibrations:
    """`shipped` is what serves where no version is chosen, or the chosen one is for another model."""

    def __init__(self, root: Path, shipped: Calibration) -> None:
        self._pointer = root / "current.json"
        self._folder = root / "versions"
        self._shipped = shipped

    def add(self, found: Calibrated, model: str) -> str:
        """Keep a calibration and use it from now on; its version. Raises `ModelError`."""
        version = f"{datetime.now(UTC):%Y%m%d-%H%M%S-%f}"  # sorts by age
        about = {
            "model": model,
            "created_at": utc_now(),
            "calibration": asdict(found.calibration),
            "figures": {"before": asdict(found.before), "after": asdict(found.after)},
        }
        _write_whole(self._folder / f"{version}.json", about)
        self.use(version)
        self._prune()
        return version

    def use(self, version: str) -> None:
        """Choose a version, or `SHIPPED`. Raises `NotFound`, `ModelCorrupt` or `ModelError`."""
        if version != SHIPPED:
            self.read(version)
        _write_whole(self._pointer, {"version": "" if version == SHIPPED else version})

    def chosen(self) -> str:
        """The version in use, or `SHIPPED`. Raises `ModelCorrupt`."""
        if not self._pointer.exists():
            return SHIPPED
        return str(_read(self._pointer).get("version") or SHIPPED)

    def read(self, version: str) -> Version:
        """Raises `NotFound` or `ModelCorrupt`."""
        path = self._folder / f"{version}.json"
        if path.parent != self._folder or not path.is_file():
            raise NotFound(
                f"There is no calibration {version[:60]!r}. `kefu answers calibrations` lists them."
            )
        data = _read(path)
        try:
            calibration = Calibration(**{k: float(v) for k, v in data["calibration"].items()})
            return Version(
                version, str(data["model"]), str(data["created_at"]), calibration, data["figures"]
            )
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise _corrupt(path, error) from error

    def all(self) -> list[Version]:
        """Newest first. Raises `ModelCorrupt`."""
        return [self.read(name) for name in self._names()]

    def apply_to(self, judge: Judge) -> None:
        """Let the judge decide by the chosen calibration. A damaged one is logged and not used."""
        try:
            calibration = self._current(judge.model_id)
        except KefuError as error:
            log.warning("calibration_not_used", reason=str(error))
            calibration = self._shipped
        if calibration != judge.calibration:
            judge.calibration = calibration
            log.info("calibration_in_use", threshold=round(calibration.threshold, 4))

    def _current(self, model: str) -> Calibration:
        chosen = self.chosen()
        version = None if chosen == SHIPPED else self.read(chosen)
        # The logits of another model mean something else.
        return version.calibration if version and version.model == model else self._shipped

    def _names(self) -> list[str]:
        """Newest first. Drafts begin with a dot."""
        found = self._folder.glob("[!.]*.json")
        return sorted((path.stem for path in found), reverse=True)

    def _prune(self) -> None:
        """The one in use is the newest here."""
        for name in self._names()[KEPT:]:
            (self._folder / f"{name}.json").unlink(missing_ok=True)


def _read(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _corrupt(path, error) from error
    if not isinstance(data, dict):
        raise _corrupt(path, "it is no JSON object")
    return data


def _write_whole(path: Path, data: dict[str, Any]) -> None:
    draft = path.with_name(f".{path.name}.{uuid.uuid4().hex[:8]}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            _write_synced(draft, json.dumps(data, ensure_ascii=False, indent=2))
            draft.replace(path)
        finally:
            draft.unlink(missing_ok=True)
    except OSError as error:
        raise ModelError(f"Cannot write {path}: {error.strerror or error}.") from error


def _write_synced(path: Path, text: str) -> None:
    with path.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def _corrupt(path: Path, reason: object) -> ModelCorrupt:
    return ModelCorrupt(
        f"{path} cannot be read: {reason}. Go back with `kefu answers calibrations --use shipped`, "
        "or calibrate again."
    )
