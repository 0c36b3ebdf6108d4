"""Opens a model folder of any kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from kefu.errors import ModelCorrupt
from kefu.intent.bert import load_bert
from kefu.intent.classifier import Classifier
from kefu.intent.folder import About, load_kernel, read_manifest

_LOADERS: dict[str, Callable[[Path], tuple[Classifier, About]]] = {
    "kernel": load_kernel,
    "bert": load_bert,
}


def load(folder: Path) -> tuple[Classifier, About]:
    """The classifier in `folder`. Raises `ModelMissing` or `ModelCorrupt`."""
    kind = read_manifest(folder).get("kind")
    if not isinstance(kind, str) or kind not in _LOADERS:
        raise ModelCorrupt(f"{folder} is of the kind {kind!r}, which this kefu does not know.")
    return _LOADERS[kind](folder)
