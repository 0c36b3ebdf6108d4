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
from kefu.moderation.categories import Category
from kefu.moderation.examples import LEARNT, Example, digest
from kefu.moderation.fitting import Landmarks, Rows, Weights, fit, fit_scale, terms_of
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
FALSE_HOLDS = 0.005
"""Of everyday messages, the share that may be held, for all categories together."""

NEAR_MISSES_HELD = 0.03
"""Of the near misses of a category, the share that may be held for it."""

FEWEST_BAD = 20
FEWEST_INNOCENT = 50
# With fewer everyday messages a share of 0.5% is luck: all innocents count then, and a head that is
# only taught further keeps its thresholds. With fewer near misses they have no say.
FEWEST_EVERYDAY = 500
FEWEST_NEAR_MISSES = 100

# By meaning alone nothing is blocked: a person looks. The settings may say otherwise.
_NEVER_BLOCKED = 1.0
# A bad text of another category says little of this one: much of it is of both.
_OF_ANOTHER = 0.05
# What a category has few of counts more, up to so much.
_MOST_BOOST = 5.0
_INNOCENTS_FOR_A_BAD = 10
_HAIR = 1e-4
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
    categories = _categories(examples) if start is None else _taught(examples, start, encoder_id)
    _check_rate(false_holds)
    vectors = _encoded([example.text for example in examples], encode, on_progress)
    landmarks = Landmarks.at(_chosen(examples, vectors) if start is None else start.landmarks)
    data = _prepare(examples, categories, landmarks, vectors)
    before = _weights_of(start, landmarks) if start is not None else None
    margins = _held_out(data, before, on_progress)
    weights = fit(data.rows, data.targets, data.counts, before)
    on_progress(FOLDS + 1, FOLDS + 1, "learning")
    scale = _scale(data, margins) if start is None else (start.slope, start.offset)
    probabilities = sigmoid(scale[0] * margins + scale[1])
    here = [number for number, example in enumerate(examples) if not example.elsewhere]
    said, probabilities = [examples[number] for number in here], probabilities[here]
    thresholds = _thresholds(said, categories, probabilities, false_holds, start)
    head = _head(encoder_id, categories, landmarks, weights, scale, thresholds)
    return Trained(
        head,
        figures(probabilities, said, categories, thresholds),
        len(examples),
        digest(examples),
        false_holds,
        time.monotonic() - began,
    )


def _categories(examples: Sequence[Example]) -> tuple[Category, ...]:
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


def _check_rate(false_holds: float) -> None:
    if not 0 <= false_holds < 1:
        raise InvalidInput(
            f"{false_holds} is no share of messages: give 0 to 1, as 0.005 for 0.5%."
        )


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


def _scale(data: _Data, margins: Floats) -> tuple[Floats, Floats]:
    """Slope and offset of each category, on its bad texts and what is mistaken for them.

    What is said at desks and what is said elsewhere have half a say each.
    """
    here = np.array([not example.elsewhere for example in data.examples])
    found = []
    for number, category in enumerate(data.categories):
        disputed = _disputed(data.examples, category)
        places = here[disputed]
        shares = 1 / np.where(places, max(1, places.sum()), max(1, (~places).sum()))
        is_bad = data.targets[disputed, number] > 0
        found.append(fit_scale(margins[disputed, number], is_bad, shares))
    slopes, offsets = zip(*found, strict=True)
    return np.array(slopes), np.array(offsets)


def _disputed(examples: Sequence[Example], category: Category) -> Marks:
    """The bad texts of a category with its near misses; all innocents where it has few of them."""
    own = np.array([example.category is category for example in examples])
    is_bad = np.array([example.is_bad for example in examples])
    enough = (own & ~is_bad).sum() >= FEWEST_BAD
    return np.asarray(own if enough else own | ~is_bad, np.bool_)


def _thresholds(
    examples: Sequence[Example],
    categories: Sequence[Category],
    probabilities: Floats,
    false_holds: float,
    start: SemanticHead | None,
) -> Mapping[Category, Thresholds]:
    """From where on a text is held: as low as everyday messages and near misses allow."""
    innocent = np.array([not example.is_bad for example in examples], np.bool_)
    everyday = innocent & np.array([example.category is None for example in examples], np.bool_)
    if everyday.sum() < FEWEST_EVERYDAY:
        if start is not None:
            return start.thresholds
        everyday = innocent
    holds = _lowest_holds(probabilities[everyday], false_holds)
    found = {}
    for number, category in enumerate(categories):
        own = np.array([example.category is category for example in examples])
        near = probabilities[innocent & own, number]
        hold = max(float(holds[number]), _above_near_misses(near))
        found[category] = Thresholds(min(hold, _NEVER_BLOCKED), _NEVER_BLOCKED)
    return found


def _above_near_misses(scores: Floats) -> float:
    if len(scores) < FEWEST_NEAR_MISSES:
        return 0.0
    return float(np.quantile(scores, 1 - NEAR_MISSES_HELD, method="higher")) + _HAIR


def _lowest_holds(scores: Floats, share: float) -> Floats:
    """(categories,) thresholds that as many reach in each, and at most `share` in any."""
    in_order = -np.sort(-scores, axis=0)
    best = in_order[0]
    for reaching in range(1, len(scores)):
        if (scores > in_order[reaching]).any(axis=1).mean() > share:
            break
        best = in_order[reaching]
    # A hair above: the message that sets it must not be held for a rounding.
    return np.asarray(best + _HAIR, np.float64)


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
