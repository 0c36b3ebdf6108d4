"""A trained model as a folder: `model.json`, `weights.npz` (or `bert/`), and a card to read.

Only numbers and texts are read back; nothing in the folder can run code. Every file's SHA-256 is in
`model.json`, so a torn copy is told from a model that changed its mind.
"""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from kefu import __version__
from kefu.errors import InvalidInput, ModelCorrupt, ModelMissing
from kefu.inference.models.whole_folder import written_whole
from kefu.intent import ngrams
from kefu.intent.calibration import Calibration
from kefu.intent.card import write_card
from kefu.intent.classifier import KernelClassifier, TextWeights
from kefu.intent.figures import Figures, TradeOff
from kefu.intent.ngrams import Vocabulary

FORMAT = 1
MANIFEST = "model.json"
CARD = "card.md"
WEIGHTS = "weights.npz"

_KINDS_OF_TERMS = {"words": ngrams.words, "characters": ngrams.characters}


@dataclass(frozen=True)
class About:
    """What is known of a model. `trained_on` is the SHA-256 of its labelled texts.

    `kind` is "kernel" or "bert"; `figures` are of texts that it was not trained on, if any.
    """

    kind: str
    labels: tuple[str, ...]
    encoder_id: str | None
    trained_on: str
    examples: int
    false_rejections: float
    seconds: float
    figures: Figures | None
    trade_offs: tuple[TradeOff, ...]
    calibration: Calibration
    tested_on: str
    created_at: str
    kefu: str = __version__


_ABOUT = TypeAdapter(About)


def save_kernel(classifier: KernelClassifier, about: About, folder: Path) -> None:
    """Write a model folder, whole or not at all. Raises `InvalidInput` where `folder` exists."""
    with new_folder(folder) as draft:
        arrays: dict[str, NDArray[Any]] = {
            "vectors": classifier.vectors.astype(np.float16),
            "coefficients": classifier.coefficients,
        }
        for name, kind in zip(_KINDS_OF_TERMS, classifier.texts, strict=True):
            terms = "\n".join(kind.vocabulary.terms).encode()
            arrays[f"{name}_terms"] = np.frombuffer(terms, np.uint8)
            arrays[f"{name}_idf"] = kind.vocabulary.weights
            arrays[f"{name}_weights"] = kind.weights
        np.savez_compressed(draft / WEIGHTS, allow_pickle=False, **arrays)
        write_manifest(draft, about, [WEIGHTS])


def write_manifest(folder: Path, about: About, files: Sequence[str]) -> None:
    """Write `model.json` and the card beside the `files`, which are named by relative path."""
    data = {
        "format": FORMAT,
        **asdict(about),
        "files": {name: _sha256((folder / name).read_bytes()) for name in files},
    }
    text = json.dumps(data, ensure_ascii=False, indent=1)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
    (folder / CARD).write_text(write_card(data), encoding="utf-8")


def read_about(folder: Path) -> About:
    """What `model.json` says. Raises `ModelMissing` or `ModelCorrupt`."""
    return _about(read_manifest(folder), folder)


def load_kernel(folder: Path) -> tuple[KernelClassifier, About]:
    """Raises `ModelMissing` or `ModelCorrupt`."""
    manifest = read_manifest(folder)
    about = _about(manifest, folder)
    arrays = _arrays(checked_file(folder, manifest, WEIGHTS), folder)
    try:
        texts = tuple(_text_weights(name, arrays) for name in _KINDS_OF_TERMS)
        vectors, coefficients = arrays["vectors"].astype(np.float32), arrays["coefficients"]
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise _corrupt(folder, f"{WEIGHTS} lacks {error}") from error
    shapes = [coefficients.shape, *(kind.weights.shape for kind in texts)]
    fits = vectors.ndim == 2 and len(vectors) == len(coefficients)
    sizes = all(
        len(kind.vocabulary.terms) == len(kind.vocabulary.weights) == len(kind.weights)
        for kind in texts
    )
    if not fits or not sizes or {shape[1:] for shape in shapes} != {(len(about.labels),)}:
        raise _corrupt(folder, f"the sizes in {WEIGHTS} do not fit together")
    classifier = KernelClassifier(
        about.labels,
        about.encoder_id or "",
        vectors,
        coefficients,
        texts,
        about.calibration,
    )
    try:
        classifier.classify(["?"], vectors[:1])
    except Exception as error:  # the sums are right, so somebody put it together by hand
        raise _corrupt(folder, f"it does not run ({error})") from error
    return classifier, about


def read_manifest(folder: Path) -> dict[str, Any]:
    """`model.json` of this format. Raises `ModelMissing` or `ModelCorrupt`."""
    try:
        data = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ModelMissing(
            f"{folder} is no intent model: it has no {MANIFEST}. Make one with `kefu intent train`."
        ) from error
    except (OSError, ValueError) as error:
        raise _corrupt(folder, f"{MANIFEST} cannot be read: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("format"), int):
        raise _corrupt(folder, f"{MANIFEST} is not one of kefu's")
    if data["format"] != FORMAT:
        raise ModelCorrupt(
            f"{folder} was written by kefu {data.get('kefu')} in format {data['format']}; this "
            f"kefu ({__version__}) reads format {FORMAT}. Train it again with `kefu intent train`."
        )
    if not isinstance(data.get("files"), dict):
        raise _corrupt(folder, f"{MANIFEST} does not say of which files")
    return data


def checked_file(folder: Path, manifest: Mapping[str, Any], name: str) -> bytes:
    """The bytes of a file that is what `model.json` says it is. Raises `ModelCorrupt`."""
    try:
        data = (folder / name).read_bytes()
    except OSError as error:
        raise _corrupt(folder, f"{name} cannot be read: {error.strerror}") from error
    if _sha256(data) != manifest["files"].get(name):
        raise _corrupt(folder, f"{name} is not the file that was written ({len(data):,} bytes)")
    return data


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A draft that becomes `folder` when the block ends well, and goes away when it does not."""
    try:
        with written_whole(folder) as draft:
            yield draft
    except OSError as error:
        raise InvalidInput(f"Cannot write {folder}: {error.strerror or error}.") from error


def _about(manifest: Mapping[str, Any], folder: Path) -> About:
    known = {field.name for field in fields(About)}
    try:
        return _ABOUT.validate_python({k: v for k, v in manifest.items() if k in known})
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"]))
        raise _corrupt(folder, f"{MANIFEST}: {where}: {first['msg']}") from error


def _arrays(data: bytes, folder: Path) -> dict[str, NDArray[Any]]:
    try:
        with np.load(io.BytesIO(data), allow_pickle=False) as found:
            return {name: found[name] for name in found.files}
    except Exception as error:  # zip, zlib and NumPy: their errors share no base class
        raise _corrupt(folder, f"{WEIGHTS} cannot be read: {error}") from error


def _text_weights(name: str, arrays: Mapping[str, NDArray[Any]]) -> TextWeights:
    terms = arrays[f"{name}_terms"].tobytes().decode()
    vocabulary = Vocabulary(
        _KINDS_OF_TERMS[name], terms.split("\n") if terms else [], arrays[f"{name}_idf"]
    )
    return TextWeights(vocabulary, arrays[f"{name}_weights"])


def _corrupt(folder: Path, reason: str) -> ModelCorrupt:
    return ModelCorrupt(
        f"The intent model {folder} is damaged: {reason}. Train it again, or go back with "
        "`kefu intent rollback`."
    )


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
