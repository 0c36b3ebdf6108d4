"""A semantic head as one file: numbers without pickle, what is known of it, and its own checksum.

`about` in the archive is JSON with the format, the figures and the SHA-256 of all arrays, so a torn
copy is told from a head that changed its mind. Landmarks and weights are kept in half precision.
"""

from __future__ import annotations

import hashlib
import io
import json
import tempfile
import zipfile
import zlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from kefu import __version__
from kefu.errors import InvalidInput, ModelCorrupt, ModelMissing
from kefu.inference.models.files import replace_durably
from kefu.moderation import wording
from kefu.moderation.categories import Category
from kefu.moderation.policy import Thresholds
from kefu.moderation.semantic import SemanticHead
from kefu.moderation.semantic_figures import Figures

FORMAT = 1
SUFFIX = ".npz"

_ABOUT = "about"
_ARRAYS = ("landmarks", "of_meaning", "of_wording", "bias", "slope", "offset")
_HALVED = ("landmarks", "of_wording")


@dataclass(frozen=True)
class HeadAbout:
    """What is known of a head. `trained_on` is the SHA-256 of its labelled texts.

    `figures` are of examples while they were held out; `false_holds` is what it was allowed.
    """

    encoder_id: str | None
    categories: tuple[Category, ...]
    thresholds: dict[Category, Thresholds]
    trained_on: str
    examples: int
    false_holds: float
    seconds: float
    figures: Figures
    created_at: str
    kefu: str = __version__


_ABOUT_TYPE = TypeAdapter(HeadAbout)


def save_head(head: SemanticHead, about: HeadAbout, path: Path) -> None:
    """Write or replace a file, whole or not at all. Raises `InvalidInput`."""
    arrays = {
        name: getattr(head, name).astype(np.float16) if name in _HALVED else getattr(head, name)
        for name in _ARRAYS
    }
    text = json.dumps({"format": FORMAT, "sha256": _sum(arrays), **asdict(about)})
    described = {_ABOUT: np.frombuffer(text.encode(), np.uint8), **arrays}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Beside the target: a rename works only within one file system.
        with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.parent) as around:
            made = Path(around) / path.name
            with made.open("wb") as file:
                np.savez_compressed(file, allow_pickle=False, **described)
            replace_durably(made, path)
    except OSError as error:
        raise InvalidInput(f"Cannot write {path}: {error.strerror or error}.") from error


def load_head(path: Path | Traversable) -> tuple[SemanticHead, HeadAbout]:
    """Raises `ModelMissing` or `ModelCorrupt`."""
    arrays = _read(path)
    about = _about(arrays, path)
    try:
        parts = {name: arrays[name] for name in _ARRAYS}
    except KeyError as error:
        raise _corrupt(path, f"it lacks {error}") from error
    for name in _HALVED:
        parts[name] = parts[name].astype(np.float32)
    _check_shapes(parts, len(about.categories), path)
    head = SemanticHead(
        encoder_id=about.encoder_id or "",
        categories=about.categories,
        thresholds=about.thresholds,
        **parts,
    )
    return head, about


def shipped_head() -> Traversable:
    """The head that kefu comes with, for the encoder that kefu comes with."""
    return resources.files("kefu.moderation") / "starter" / f"head{SUFFIX}"


def _read(path: Path | Traversable) -> dict[str, NDArray[Any]]:
    try:
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ModelMissing(
            f"No semantic head at {path}. Train one with `kefu moderation train`."
        ) from error
    except OSError as error:
        raise _corrupt(path, f"it cannot be read: {error.strerror or error}") from error
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except (OSError, ValueError, EOFError, AttributeError, zipfile.BadZipFile, zlib.error) as error:
        raise _corrupt(path, f"it is not one of kefu's: {error}") from error


def _about(arrays: Mapping[str, NDArray[Any]], path: Path | Traversable) -> HeadAbout:
    try:
        data = json.loads(arrays[_ABOUT].tobytes())
        known = data["format"], data.pop("sha256")
    except (KeyError, ValueError, TypeError) as error:
        raise _corrupt(path, f"it does not say what it is ({error})") from error
    if known[0] != FORMAT:
        raise ModelCorrupt(
            f"{path} was written by kefu {data.get('kefu')} in format {known[0]}; this kefu "
            f"({__version__}) reads format {FORMAT}. Train it again with `kefu moderation train`."
        )
    if known[1] != _sum({name: arrays[name] for name in sorted(arrays) if name != _ABOUT}):
        raise _corrupt(path, "its numbers are not those that were written")
    try:
        return _ABOUT_TYPE.validate_python(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise _corrupt(path, f"{where}: {first['msg']}") from error


def _check_shapes(
    arrays: Mapping[str, NDArray[Any]], categories: int, path: Path | Traversable
) -> None:
    shapes = {name: array.shape for name, array in arrays.items()}
    of_landmarks = shapes["landmarks"]
    expected = {
        "landmarks": of_landmarks,
        "of_meaning": (*of_landmarks[:1], categories),
        "of_wording": (wording.BUCKETS, categories),
        **dict.fromkeys(("bias", "slope", "offset"), (categories,)),
    }
    if shapes != expected or len(of_landmarks) != 2:
        raise _corrupt(path, f"the sizes of its numbers do not fit together: {shapes}")
    if not all(np.isfinite(array).all() for array in arrays.values()):
        raise _corrupt(path, "it has numbers that are none")


def _sum(arrays: Mapping[str, NDArray[Any]]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        array = np.ascontiguousarray(arrays[name])
        digest.update(f"{name} {array.dtype} {array.shape} ".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _corrupt(path: Path | Traversable, reason: str) -> ModelCorrupt:
    return ModelCorrupt(
        f"The semantic head {path} is damaged: {reason}. Train it again with `kefu moderation "
        "train`, or install kefu again where it is the one that kefu comes with."
    )
