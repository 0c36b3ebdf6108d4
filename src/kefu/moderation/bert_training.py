"""The BERT path: fine-tune a model on labelled messages, bring it to ONNX int8, calibrate that."""

from __future__ import annotations

import math
import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kefu.bert.export import ExportReport, export
from kefu.bert.finetune import BATCH, EPOCHS, Epoch, finetune
from kefu.bert.finetune import save as save_bert
from kefu.bert.session import BertSession
from kefu.errors import InvalidInput
from kefu.inference.models.whole_folder import written_whole
from kefu.learning.figures import sigmoid
from kefu.moderation.bert_head import (
    ABOUT,
    BERT_FOLDER,
    INNOCENT,
    BertAbout,
    margins_of,
    save_about,
)
from kefu.moderation.calibrating import FALSE_HOLDS, check_rate, scale_of, thresholds_of
from kefu.moderation.categories import Category
from kefu.moderation.examples import Example, digest
from kefu.moderation.semantic_figures import figures
from kefu.moderation.training import categories_of
from kefu.stamps import utc_now
from kefu.terms import exact_key

HELD_OUT = 0.2
_FEWEST_STEPS = 500


@dataclass(frozen=True)
class Exported:
    """A BERT in a folder. `pytorch_accuracy` is of the held-out texts, before ONNX int8."""

    about: BertAbout
    report: ExportReport
    epochs: tuple[Epoch, ...]
    pytorch_accuracy: float


def train_bert(
    examples: Sequence[Example],
    encoder: Path,
    folder: Path,
    *,
    epochs: int | None = None,
    false_holds: float = FALSE_HOLDS,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Exported:
    """Fine-tune the Hugging Face model in `encoder` and write a head's folder.

    A fifth of each kind of text is held out: it chooses the epoch, calibrates, and gives the
    figures. Raises `InvalidInput`, `ModelError`, or `NotInstalled` where `kefu[train]` is missing.
    """
    began = time.monotonic()
    check_rate(false_holds)
    categories = categories_of(examples)
    known = [e for e in examples if not e.is_bad or e.category in categories]
    training, held_out = _split(known, seed)
    tuned = finetune(
        encoder,
        [(example.text, _label(example)) for example in training],
        [(example.text, _label(example)) for example in held_out],
        epochs=epochs or max(EPOCHS, math.ceil(_FEWEST_STEPS * BATCH / len(training))),
        seed=seed,
        on_progress=on_progress,
        on_epoch=on_epoch,
    )
    try:
        with (
            tempfile.TemporaryDirectory(prefix="kefu-bert-") as scratch,
            written_whole(folder, ABOUT) as draft,
        ):
            source = Path(scratch) / "tuned"
            save_bert(tuned, source)
            texts = [example.text for example in held_out]
            report = export(
                source, draft / BERT_FOLDER, max_tokens=tuned.max_tokens, check_texts=texts
            )
            about = _calibrated(draft, held_out, categories, examples, false_holds, began)
            save_about(about, draft)
    except OSError as error:
        raise InvalidInput(f"Cannot write {folder}: {error.strerror or error}.") from error
    return Exported(about, report, tuned.epochs, tuned.best.validation_accuracy)


def _calibrated(
    draft: Path,
    held_out: Sequence[Example],
    categories: tuple[Category, ...],
    examples: Sequence[Example],
    false_holds: float,
    began: float,
) -> BertAbout:
    """What the written model's margins deserve, by the texts that it was not shown."""
    session = BertSession(draft / BERT_FOLDER, threads=1)
    logits = session.logits([example.text for example in held_out])
    margins = margins_of(logits, session.labels, categories)
    slope, offset = scale_of(held_out, categories, margins)
    probabilities = sigmoid(slope * margins + offset)
    thresholds = thresholds_of(held_out, categories, probabilities, false_holds)
    return BertAbout(
        encoder_id=None,
        categories=categories,
        thresholds=dict(thresholds),
        trained_on=digest(examples),
        examples=len(examples),
        false_holds=false_holds,
        seconds=time.monotonic() - began,
        figures=figures(probabilities, held_out, categories, thresholds),
        created_at=utc_now(),
        slope=tuple(np.asarray(slope).tolist()),
        offset=tuple(np.asarray(offset).tolist()),
    )


def _label(example: Example) -> str:
    return example.category if example.is_bad and example.category else INNOCENT


def _split(examples: Sequence[Example], seed: int) -> tuple[list[Example], list[Example]]:
    """A fifth of each kind held out; writings of the same words are on the same side."""
    kinds: dict[tuple[bool, str], dict[str, list[Example]]] = defaultdict(lambda: defaultdict(list))
    for example in examples:
        kinds[example.is_bad, example.category or ""][exact_key(example.text)].append(example)
    shuffle = random.Random(seed).shuffle  # noqa: S311 - reproducible, not secret
    held_out: set[str] = set()
    for kind in sorted(kinds):
        keys = sorted(kinds[kind])
        shuffle(keys)
        held_out.update(keys[: max(1, round(HELD_OUT * len(keys)))])
    parts: tuple[list[Example], list[Example]] = ([], [])
    for example in examples:
        parts[exact_key(example.text) in held_out].append(example)
    return parts
