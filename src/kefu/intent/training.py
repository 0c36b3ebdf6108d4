"""The default trainer: seconds, no PyTorch, and every figure on texts it was not shown."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from kefu.errors import InvalidInput
from kefu.intent import ngrams
from kefu.intent.calibrating import FEWEST_OUT_OF_SCOPE, calibrate, chosen_rate
from kefu.intent.calibration import Scores
from kefu.intent.classifier import KernelClassifier, TextWeights, predictions
from kefu.intent.dataset import OUT_OF_SCOPE, Example, digest, folded, label_in_words
from kefu.intent.figures import Figures, TradeOff, figures, trade_offs
from kefu.intent.folder import About, save_kernel
from kefu.intent.kernel_ridge import KernelRidge
from kefu.intent.ngrams import Rows, Vocabulary
from kefu.stamps import utc_now

Matrix = NDArray[np.float32]
Encode = Callable[[Sequence[str]], Matrix]

FOLDS = 10
_TEXTS_PER_STEP = 256

# Done of all, and what is being done.
Progress = Callable[[int, int, str], None]


@dataclass(frozen=True, eq=False)
class Trained:
    """A classifier and what is known of it."""

    classifier: KernelClassifier
    figures: Figures
    trade_offs: tuple[TradeOff, ...]
    examples: int
    data_sha256: str
    false_rejections: float
    seconds: float


@dataclass(frozen=True, eq=False)
class _Data:
    """Rows of the regression: examples of intents, the labels' own names, out-of-scope texts."""

    labels: tuple[str, ...]
    known: list[Example]
    foreign: list[Example]
    texts: list[str]
    vectors: Matrix
    number_of_label: NDArray[np.intp]

    @property
    def targets(self) -> Matrix:
        targets = np.full((len(self.texts), len(self.labels)), -1 / len(self.labels), np.float32)
        targets[np.arange(len(self.number_of_label)), self.number_of_label] = 1
        return targets


def train(
    examples: Sequence[Example],
    encode: Encode,
    encoder_id: str,
    *,
    false_rejections: float | None = None,
    on_progress: Progress = lambda done, total, what: None,
) -> Trained:
    """Train on examples of two or more intents, and of `oos` where there are any.

    `false_rejections`: of the messages that would be recognised rightly, the share that may be
    called out of scope; None chooses by whether out-of-scope examples are there.
    Raises `InvalidInput` where there is nothing to tell apart.
    """
    started = time.monotonic()
    # The same examples in another order are the same model: folds go by place.
    examples = sorted(examples, key=lambda example: (example.label, example.text))
    data = _prepare(examples, encode, on_progress)
    vocabularies = [
        Vocabulary.learn(kind, data.texts) for kind in (ngrams.words, ngrams.characters)
    ]
    rows = [vocabulary.rows(data.texts) for vocabulary in vocabularies]
    ridge = KernelRidge(
        data.vectors, rows, data.targets, lambda done, n: on_progress(done, n, "comparing")
    )
    on_progress(0, 1, "testing on what was held out")
    held_out = ridge.held_out(_folds(data.texts))
    foreign = _foreign_scores(data, ridge, held_out)
    taught = len(data.foreign) >= FEWEST_OUT_OF_SCOPE
    chosen = chosen_rate(false_rejections, taught=taught)
    known = held_out[: len(data.known)]
    numbers = data.number_of_label[: len(data.known)]
    calibration = calibrate(known, numbers, foreign, taught=taught, false_rejections=chosen)
    classifier = KernelClassifier(
        data.labels,
        encoder_id,
        data.vectors,
        ridge.coefficients,
        tuple(map(_text_weights, vocabularies, rows, [ridge.coefficients] * 2)),
        calibration,
    )
    tested = [*data.known, *data.foreign]
    scores = np.vstack([known, held_out[len(data.texts) - len(data.foreign) :]])
    guesses = predictions(data.labels, scores, calibration)
    on_progress(1, 1, "testing on what was held out")
    return Trained(
        classifier,
        figures([e.label for e in tested], guesses),
        trade_offs([e.label for e in tested], guesses),
        len(examples),
        digest(examples),
        chosen,
        time.monotonic() - started,
    )


def _prepare(examples: Sequence[Example], encode: Encode, on_progress: Progress) -> _Data:
    known = [example for example in examples if example.label != OUT_OF_SCOPE]
    foreign = [example for example in examples if example.label == OUT_OF_SCOPE]
    labels = tuple(sorted({example.label for example in known}))
    if len(labels) < 2:
        raise InvalidInput(
            f"There is {'only one intent' if labels else 'no intent'} beside {OUT_OF_SCOPE!r}: "
            "nothing to tell apart. Give examples of at least two."
        )
    number = {label: i for i, label in enumerate(labels)}
    # A label's name is an example of it that nobody had to write.
    named = [label for label in labels if _says_something(label)]
    texts = [
        *(example.text for example in known),
        *map(label_in_words, named),
        *(example.text for example in foreign),
    ]
    of_known = [number[example.label] for example in known]
    return _Data(
        labels,
        known,
        foreign,
        texts,
        _encoded(texts, encode, on_progress),
        np.array([*of_known, *(number[label] for label in named)], np.intp),
    )


def _says_something(label: str) -> bool:
    """`refund_status` and `退款` do; `q17` and `A` do not."""
    words = label_in_words(label)
    return sum(c.isalpha() for c in words) >= (3 if words.isascii() else 1)


def _encoded(texts: Sequence[str], encode: Encode, on_progress: Progress) -> Matrix:
    parts = []
    for start in range(0, len(texts), _TEXTS_PER_STEP):
        parts.append(encode(texts[start : start + _TEXTS_PER_STEP]))
        on_progress(min(start + _TEXTS_PER_STEP, len(texts)), len(texts), "encoding")
    return np.vstack(parts)


def _folds(texts: Sequence[str]) -> list[NDArray[np.intp]]:
    """Random tenths; writings of the same words are never on both sides."""
    group_of: dict[str, int] = {}
    groups = [group_of.setdefault(folded(text), len(group_of)) for text in texts]
    fold_of = np.random.default_rng(0).permutation(len(group_of)) % FOLDS
    fold = fold_of[groups]
    return [found for i in range(FOLDS) if len(found := np.flatnonzero(fold == i))]


def _foreign_scores(data: _Data, ridge: KernelRidge, held_out: Scores) -> Scores:
    """Held-out scores of the out-of-scope examples, or of those that stand in for them."""
    if len(data.foreign) >= FEWEST_OUT_OF_SCOPE:
        return held_out[len(data.texts) - len(data.foreign) :]
    blocks = [np.flatnonzero(data.number_of_label == i) for i in range(len(data.labels))]
    return ridge.held_out(blocks)[: len(data.known)]


def _text_weights(vocabulary: Vocabulary, rows: Rows, coefficients: Matrix) -> TextWeights:
    """The examples' terms times their coefficients: (terms, labels)."""
    shape = (len(coefficients), len(vocabulary.terms))
    found = csr_array((rows.values, rows.indices, rows.starts), shape=shape).T @ coefficients
    return TextWeights(vocabulary, found.astype(np.float16))


def save(trained: Trained, folder: Path) -> None:
    """Write a model folder, whole or not at all. Raises `InvalidInput` where `folder` exists."""
    about = About(
        kind="kernel",
        labels=trained.classifier.labels,
        encoder_id=trained.classifier.encoder_id,
        trained_on=trained.data_sha256,
        examples=trained.examples,
        false_rejections=trained.false_rejections,
        seconds=trained.seconds,
        figures=trained.figures,
        trade_offs=trained.trade_offs,
        calibration=trained.classifier.calibration,
        created_at=utc_now(),
        tested_on=f"its own examples, each held out in one of {FOLDS} folds",
    )
    save_kernel(trained.classifier, about, folder)
