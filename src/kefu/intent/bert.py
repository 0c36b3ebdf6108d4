"""Intents by a fine-tuned BERT: trained with `kefu[train]`, served by ONNX Runtime."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kefu.bert.session import BertSession
from kefu.intent.calibration import Calibration, Scores
from kefu.intent.classifier import Prediction, Vectors, predictions
from kefu.intent.folder import About, checked_file, read_about, read_manifest

BERT_FOLDER = "bert"


@dataclass(frozen=True, eq=False)
class BertClassifier:
    """Reads the text itself: a pass of its own, some milliseconds a message."""

    session: BertSession
    calibration: Calibration
    encoder_id: str | None = None

    @property
    def labels(self) -> tuple[str, ...]:
        return self.session.labels

    @property
    def vectors(self) -> None:
        return None

    def classify(
        self, texts: Sequence[str], vectors: Vectors | None, products: Vectors | None = None
    ) -> list[Prediction]:
        return predictions(self.labels, centred(self.session.logits(texts)), self.calibration)


def centred(logits: Scores) -> Scores:
    """Logits mean nothing but by their differences; calibration looks at their size too."""
    return np.asarray(logits - logits.mean(1, keepdims=True), np.float32)


def load_bert(folder: Path, threads: int = 1) -> tuple[BertClassifier, About]:
    """Raises `ModelMissing`, `ModelCorrupt`, or `NotInstalled` where `kefu[bert]` is missing."""
    manifest = read_manifest(folder)
    for name in manifest["files"]:
        checked_file(folder, manifest, name)
    about = read_about(folder)
    return BertClassifier(BertSession(folder / BERT_FOLDER, threads), about.calibration), about
