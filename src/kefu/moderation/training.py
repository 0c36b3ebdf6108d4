"""From labelled messages to a semantic head, with every figure on texts it was not shown."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice, zip_longest
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kefu.errors import InvalidInput
from kefu.learning.figures import Floats, Marks, sigmoid
from kefu.moderation.calibrating import FALSE_HOLDS, FEWEST_BAD, check_rate, scale_of, thresholds_of
from kefu.moderation.categories import Category
from kefu.moderation.examples import LEARNT, Example, digest
from kefu.moderation.fitting import Landmarks, Rows, Weights, fit, terms_of
from kefu.moderation.head_file import HeadAbout, save_head
from kefu.moderation.policy import Thresholds
from kefu.moderation.semantic import Matrix, SemanticHead
from kefu.moderation.semantic_figures import Figures, figures
from kefu.stamps import utc_now
from kefu.terms import exact_key

Encode = Callable[[Sequence[str]], Matrix]
Progress = Callable[[int, int, str], None]
"""Told how many are done, of how many, and what is being done."""

FOLDS = 5
LANDMARKS = 1024
FEWEST_INNOCENT = 50

# A bad text of another category says little of this one: much of it is of both.
_OF_ANOTHER = 0.05
# What a category has few of counts more, up to so much.
_MOST_BOOST = 5.0
_INNOCENTS_FOR_A_BAD = 10
_TEXTS_PER_STEP = 256


@dataclass(frozen=True, eq=False)
class Trained:
    """A head and what is known of it. `figures` are of its examples from desks, each held out once."""

    head: SemanticHead
    figures: Figures
    examples: int
    data_sha256: str
    false_holds: float
    seconds: float


@dataclass(frozen=True, eq=False)
class _Data:
    """The examples as rows, what is to be learnt of them, and the fold each is held out in."""

    examples: Sequence[Example]
    categories: tuple[Category, ...]
    rows: Rows
    targets: Floats
    counts: Floats
    folds: NDArray[np.intp]


def train(
    examples: Sequence[Example],
    encode: Encode,
    encoder_id: str,
    *,
    start: SemanticHead | None = None,
    false_holds: float = FALSE_HOLDS,
    on_progress: Progress = lambda done, total, what: None,
) -> Trained:
    """Train a head, or teach `start` further: it keeps its categories and what probabilities mean.

    `false_holds`: of everyday messages, the share that may be held. Raises `InvalidInput` where
    there is too little to learn from.
    """
    began = time.monotonic()
    # The same examples in another order are the same head.
    examples = sorted(examples, key=lambda example: (example.text, example.is_bad))
    categories = categories_of(examples) if start is None else _taught(examples, start, encoder_id)
    check_rate(false_holds)
    vectors = _encoded([example.text for example in examples], encode, on_progress)
    landmarks = Landmarks.at(_chosen(examples, vectors) if start is None else start.landmarks)
    data = _prepare(examples, categories, landmarks, vectors)
    known = _weights_of(start, landmarks) if start is not None else None
    margins = _held_out(data, known, on_progress)
    weights = fit(data.rows, data.targets, data.counts, known)
    on_progress(FOLDS + 1, FOLDS + 1, "learning")
    scale = (start.slope, start.offset) if start else scale_of(examples, categories, margins)
    probabilities = sigmoid(scale[0] * margins + scale[1])
    here = [number for number, example in enumerate(examples) if not example.elsewhere]
    said, probabilities = [examples[number] for number in here], probabilities[here]
    before = start.thresholds if start else None
    thresholds = thresholds_of(said, categories, probabilities, false_holds, before)
    head = _head(encoder_id, categories, landmarks, weights, scale, thresholds)
    return Trained(
        head,
        figures(probabilities, said, categories, thresholds),
        len(examples),
        digest(examples),
        false_holds,
        time.monotonic() - began,
    )


def categories_of(examples: Sequence[Example]) -> tuple[Category, ...]:
    """Those with enough bad examples. Raises `InvalidInput`."""
    here = [example for example in examples if not example.elsewhere]
    bad = Counter(example.category for example in here if example.is_bad)
    innocent = sum(not example.is_bad for example in here)
    found = tuple(category for category in LEARNT if bad[category] >= FEWEST_BAD)
    if not found or innocent < FEWEST_INNOCENT:
        raise InvalidInput(
            f"There are {innocent} innocent texts and {max(bad.values(), default=0)} bad ones of "
            f"one category; a head needs {FEWEST_INNOCENT} and {FEWEST_BAD}. Give more, or teach "
            "the head that comes with kefu further."
        )
    return found


def _taught(
    examples: Sequence[Example], start: SemanticHead, encoder_id: str
) -> tuple[Category, ...]:
    """The head's categories. Raises `InvalidInput` where it cannot learn these examples."""
    if start.encoder_id != encoder_id:
        raise InvalidInput(
            f"The head reads vectors of the encoder {start.encoder_id!r}, and the one in use is "
            f"{encoder_id!r}. Train a head from the start."
        )
    bad = {example.category for example in examples if example.is_bad and example.category}
    if unknown := sorted(bad - set(start.categories)):
        raise InvalidInput(
            f"The head does not know {', '.join(unknown)}. Leave these texts out, or train a head "
            "from the start."
        )
    if not examples:
        raise InvalidInput("There are no examples to learn from.")
    return start.categories


def _encoded(texts: Sequence[str], encode: Encode, on_progress: Progress) -> Matrix:
    parts = []
    for start in range(0, len(texts), _TEXTS_PER_STEP):
        parts.append(encode(texts[start : start + _TEXTS_PER_STEP]))
        on_progress(min(start + _TEXTS_PER_STEP, len(texts)), len(texts), "encoding")
    return np.vstack(parts)


def _chosen(examples: Sequence[Example], vectors: Matrix) -> Matrix:
    """Some of the examples' vectors, in the precision in which they are kept.

    As many of each kind as there are, the rest of what there is more of: a landmark tells apart
    what is near it, and everyday messages need few.
    """
    kinds: dict[tuple[Category | None, bool, bool], list[int]] = defaultdict(list)
    for number in np.random.default_rng(0).permutation(len(examples)).tolist():
        example = examples[number]
        kinds[example.category, example.is_bad, example.elsewhere].append(number)
    in_turns = (number for turn in zip_longest(*kinds.values()) for number in turn)
    numbers = sorted(islice((n for n in in_turns if n is not None), LANDMARKS))
    return vectors[numbers].astype(np.float16).astype(np.float32)


def _prepare(
    examples: Sequence[Example],
    categories: tuple[Category, ...],
    landmarks: Landmarks,
    vectors: Matrix,
) -> _Data:
    texts = [example.text for example in examples]
    is_bad = np.array([[example.is_bad] for example in examples])
    own = np.array([[e.category is category for category in categories] for e in examples])
    rows = Rows(landmarks.places(vectors), terms_of(texts))
    counts = _counts(examples, own, is_bad)
    return _Data(
        examples, categories, rows, np.where(own & is_bad, 1.0, -1.0), counts, _folds(texts)
    )


def _counts(examples: Sequence[Example], own: Marks, is_bad: Marks) -> Floats:
    """(n, categories): how much each example says of each category."""
    here = np.array([[not example.elsewhere] for example in examples])
    scarcity = (here & ~is_bad).sum() / np.maximum(1, (here & is_bad & own).sum(axis=0))
    boost = np.clip(scarcity / _INNOCENTS_FOR_A_BAD, 1, _MOST_BOOST)
    of_own = np.where(here, boost, 1.0)
    of_others = np.where(is_bad, _OF_ANOTHER, 1.0)
    counts = np.where(own, of_own, of_others) * np.array([[e.weight] for e in examples])
    return np.asarray(counts, np.float64)


def _folds(texts: Sequence[str]) -> NDArray[np.intp]:
    """A random fold for each text; writings of the same words are in the same."""
    group_of: dict[str, int] = {}
    groups = [group_of.setdefault(exact_key(text), len(group_of)) for text in texts]
    fold_of = np.random.default_rng(0).permutation(len(group_of)) % FOLDS
    return np.asarray(fold_of[groups], np.intp)


def _held_out(data: _Data, start: Weights | None, on_progress: Progress) -> Floats:
    """(n, categories) margins, each from the folds that the example is not in."""
    margins = np.zeros_like(data.targets)
    for fold in range(FOLDS):
        on_progress(fold, FOLDS + 1, "learning")
        inside = np.flatnonzero(data.folds == fold)
        if len(inside):
            rest = np.flatnonzero(data.folds != fold)
            weights = fit(data.rows.of(rest), data.targets[rest], data.counts[rest], start)
            margins[inside] = weights.margins(data.rows.of(inside))
    return margins


def _weights_of(head: SemanticHead, landmarks: Landmarks) -> Weights:
    of_places = landmarks.of_places(head.of_meaning.astype(np.float64))
    return Weights(of_places, head.of_wording.astype(np.float64), head.bias)


def _head(
    encoder_id: str,
    categories: tuple[Category, ...],
    landmarks: Landmarks,
    weights: Weights,
    scale: tuple[Floats, Floats],
    thresholds: Mapping[Category, Thresholds],
) -> SemanticHead:
    return SemanticHead(
        encoder_id,
        categories,
        landmarks.vectors,
        landmarks.of_meaning(weights.of_places).astype(np.float32),
        weights.of_terms.astype(np.float16).astype(np.float32),
        weights.bias,
        *scale,
        thresholds,
    )


def save(trained: Trained, path: Path) -> None:
    """Write or replace the file of a head, whole or not at all. Raises `InvalidInput`."""
    head = trained.head
    about = HeadAbout(
        encoder_id=head.encoder_id,
        categories=head.categories,
        thresholds=dict(head.thresholds),
        trained_on=trained.data_sha256,
        examples=trained.examples,
        false_holds=trained.false_holds,
        seconds=trained.seconds,
        figures=trained.figures,
        created_at=utc_now(),
    )
    save_head(head, about, path)
