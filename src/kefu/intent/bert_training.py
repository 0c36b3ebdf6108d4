"""The BERT path: fine-tune or take over a model, bring it to ONNX int8, calibrate what will serve."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kefu.bert.export import ExportReport, export
from kefu.bert.finetune import BATCH, EPOCHS, Epoch, finetune
from kefu.bert.finetune import save as save_bert
from kefu.bert.session import BertSession
from kefu.errors import InvalidInput
from kefu.intent.bert import BERT_FOLDER, BertClassifier, centred
from kefu.intent.calibrating import FEWEST_OUT_OF_SCOPE, calibrate, chosen_rate
from kefu.intent.calibration import Scores, never_out_of_scope
from kefu.intent.dataset import OUT_OF_SCOPE, Example, digest, split
from kefu.intent.figures import Figures, TradeOff, figures, trade_offs
from kefu.intent.folder import About, new_folder, write_manifest
from kefu.stamps import utc_now

HELD_OUT = 0.15
_FEWEST_STEPS = 500
_FILES = ("model.onnx", "tokenizer.json", "bert.json")


@dataclass(frozen=True)
class Exported:
    """A BERT in a model folder. `pytorch_accuracy` and `accuracy` are of the same held-out texts,
    before and after ONNX int8, without anything called out of scope.
    """

    about: About
    report: ExportReport
    epochs: tuple[Epoch, ...] = ()
    pytorch_accuracy: float | None = None
    accuracy: float | None = None


def train_bert(
    examples: Sequence[Example],
    encoder: Path,
    folder: Path,
    *,
    epochs: int | None = None,
    false_rejections: float | None = None,
    seed: int = 0,
    on_progress: Callable[[int, int], None] = lambda done, total: None,
    on_epoch: Callable[[Epoch], None] = lambda epoch: None,
) -> Exported:
    """Fine-tune the Hugging Face model in `encoder` and write a model folder.

    15% of each label is held out: it chooses the epoch, calibrates, and gives the figures.
    Raises `InvalidInput`, `ModelError`, or `NotInstalled` where `kefu[train]` is missing.
    """
    started = time.monotonic()
    known = [example for example in examples if example.label != OUT_OF_SCOPE]
    foreign = [example for example in examples if example.label == OUT_OF_SCOPE]
    if len({example.label for example in known}) < 2:
        raise InvalidInput("There is only one intent: nothing to tell apart. Give at least two.")
    training, held_out = split(known, HELD_OUT, seed)
    tuned = finetune(
        encoder,
        [(e.text, e.label) for e in training],
        [(e.text, e.label) for e in held_out],
        epochs=epochs or _enough_epochs(len(training)),
        seed=seed,
        on_progress=on_progress,
        on_epoch=on_epoch,
    )
    with tempfile.TemporaryDirectory(prefix="kefu-bert-") as scratch, new_folder(folder) as draft:
        source = Path(scratch) / "tuned"
        save_bert(tuned, source)
        texts = [example.text for example in held_out]
        report = export(source, draft / BERT_FOLDER, max_tokens=tuned.max_tokens, check_texts=texts)
        classifier = _calibrated(draft, held_out, foreign, false_rejections)
        about = _finish(draft, classifier, examples, held_out, foreign, false_rejections, started)
    return Exported(
        about,
        report,
        tuned.epochs,
        tuned.best.validation_accuracy,
        about.figures.in_scope_accuracy_unrejected if about.figures else None,
    )


def export_bert(
    source: Path,
    folder: Path,
    examples: Sequence[Example] = (),
    false_rejections: float | None = None,
) -> Exported:
    """Take over a sequence classifier that is trained already.

    With `examples` that it was not trained on it is calibrated and measured; without any it is as
    sure as its softmax and calls nothing out of scope.
    """
    started = time.monotonic()
    known = [example for example in examples if example.label != OUT_OF_SCOPE]
    foreign = [example for example in examples if example.label == OUT_OF_SCOPE]
    with new_folder(folder) as draft:
        texts = [example.text for example in examples]
        report = export(source, draft / BERT_FOLDER, check_texts=texts)
        _check_labels(known, report.labels)
        classifier = _calibrated(draft, known, foreign, false_rejections)
        about = _finish(draft, classifier, examples, known, foreign, false_rejections, started)
    return Exported(about, report)


def _enough_epochs(examples: int) -> int:
    """The usual number, and more of them where so few steps would leave the new head untrained."""
    return max(EPOCHS, math.ceil(_FEWEST_STEPS * BATCH / examples))


def _calibrated(
    draft: Path,
    known: Sequence[Example],
    foreign: Sequence[Example],
    false_rejections: float | None,
) -> BertClassifier:
    session = BertSession(draft / BERT_FOLDER, threads=1)
    if not known:
        return BertClassifier(session, never_out_of_scope())
    numbers = np.array([session.labels.index(example.label) for example in known], np.intp)
    scores = centred(session.logits([example.text for example in known]))
    taught = len(foreign) >= FEWEST_OUT_OF_SCOPE
    strangers = (
        centred(session.logits([example.text for example in foreign]))
        if taught
        else _without_own(scores, numbers)
    )
    calibration = calibrate(
        scores,
        numbers,
        strangers,
        taught=taught,
        false_rejections=chosen_rate(false_rejections, taught=taught),
    )
    return BertClassifier(session, calibration)


def _finish(
    draft: Path,
    classifier: BertClassifier,
    examples: Sequence[Example],
    known: Sequence[Example],
    foreign: Sequence[Example],
    false_rejections: float | None,
    started: float,
) -> About:
    found, others = _figures(classifier, [*known, *foreign])
    about = About(
        kind="bert",
        labels=classifier.labels,
        encoder_id=None,
        trained_on=digest(examples),
        examples=len(examples),
        false_rejections=chosen_rate(false_rejections, taught=len(foreign) >= FEWEST_OUT_OF_SCOPE),
        seconds=time.monotonic() - started,
        figures=found,
        trade_offs=others,
        calibration=classifier.calibration,
        created_at=utc_now(),
        tested_on=f"{len(known) + len(foreign):,} texts that it was not trained on",
    )
    write_manifest(draft, about, [f"{BERT_FOLDER}/{name}" for name in _FILES])
    return about


def _figures(
    classifier: BertClassifier, tested: Sequence[Example]
) -> tuple[Figures | None, tuple[TradeOff, ...]]:
    if not tested:
        return None, ()
    guesses = classifier.classify([example.text for example in tested], None)
    labels = [example.label for example in tested]
    return figures(labels, guesses), trade_offs(labels, guesses)


def _without_own(scores: Scores, labels: NDArray[np.intp]) -> Scores:
    """The scores as they would be if nothing spoke for the right label: stand-ins for strangers."""
    without = scores.copy()
    without[np.arange(len(scores)), labels] = scores.min(1)
    return centred(without)


def _check_labels(known: Sequence[Example], labels: Sequence[str]) -> None:
    missing = sorted({example.label for example in known} - set(labels))
    if missing:
        raise InvalidInput(
            f"The model does not know the label {missing[0]!r} of the examples"
            f"{f' and {len(missing) - 1} more' if len(missing) > 1 else ''}; it knows "
            f"{', '.join(labels[:10])}{', …' if len(labels) > 10 else ''}."
        )
