"""What classifies a message: the kernel machine on the shared sentence vector."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kefu.intent.calibration import Calibration, Floats, Scores
from kefu.intent.dataset import OUT_OF_SCOPE
from kefu.intent.likeness import TEXT_SHARE, likeness_of
from kefu.intent.ngrams import Vocabulary
from kefu.learning.sparse import sums_of_rows

Vectors = NDArray[np.float32]

_RANKED = 5


@dataclass(frozen=True)
class Prediction:
    """`score` is the probability that `label` is right.

    `ranking` has the likeliest labels other than out-of-scope, likeliest first, each with its
    probability; `out_of_scope` is the probability that it is none of them.
    """

    label: str
    score: float
    out_of_scope: float
    ranking: tuple[tuple[str, float], ...]


class Classifier(Protocol):
    """A trained model. Safe to call from several threads."""

    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def encoder_id(self) -> str | None:
        """Whose vectors it wants; None where it reads the texts itself and takes none."""
        ...

    @property
    def vectors(self) -> Vectors | None:
        """What the texts' vectors are compared with; None where it takes none."""
        ...

    def classify(
        self, texts: Sequence[str], vectors: Vectors | None, products: Vectors | None = None
    ) -> list[Prediction]:
        """One prediction for each text. `vectors` are (n, dimensions) of `encoder_id`, `products`
        those with its own `vectors`, where they are known."""
        ...


@dataclass(frozen=True, eq=False)
class TextWeights:
    """(terms, labels) weights of the terms of a vocabulary, half precision."""

    vocabulary: Vocabulary
    weights: NDArray[np.float16]

    def scores(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """(n, labels)"""
        rows = self.vocabulary.rows(texts)
        # Summed in a higher precision than they are kept in.
        weights = self.weights[rows.indices].astype(np.float32)
        return sums_of_rows(rows.values[:, np.newaxis] * weights, rows.starts)


@dataclass(frozen=True, eq=False)
class KernelClassifier:
    """Examples' vectors (n, dimensions), their coefficients (n, labels), and weights of wording."""

    labels: tuple[str, ...]
    encoder_id: str
    vectors: NDArray[np.float32]
    coefficients: NDArray[np.float32]
    texts: tuple[TextWeights, ...]
    calibration: Calibration

    def classify(
        self, texts: Sequence[str], vectors: Vectors | None, products: Vectors | None = None
    ) -> list[Prediction]:
        """See `Classifier`."""
        if vectors is None or vectors.shape != (len(texts), self.vectors.shape[1]):
            raise ValueError("each text needs its sentence vector")
        if not texts:
            return []
        return predictions(self.labels, self.scores(texts, vectors, products), self.calibration)

    def scores(
        self, texts: Sequence[str], vectors: Vectors, products: Vectors | None = None
    ) -> Scores:
        """(n, labels) raw scores."""
        if products is None:
            products = vectors @ self.vectors.T
        scores = likeness_of(products) @ self.coefficients
        for kind in self.texts:
            scores += TEXT_SHARE * kind.scores(texts)
        return scores


def predictions(
    labels: Sequence[str], scores: Scores, calibration: Calibration
) -> list[Prediction]:
    """Scores as decisions: out of scope from the threshold on, else the best label."""
    within = calibration.probabilities(scores)
    outside = calibration.out_of_scope(scores)
    return [
        _prediction(labels, row, float(share), calibration.threshold)
        for row, share in zip(within, outside, strict=True)
    ]


def _prediction(
    labels: Sequence[str], within: Floats, outside: float, threshold: float
) -> Prediction:
    shares = within * (1 - outside)
    best = np.argsort(-shares, kind="stable")[:_RANKED]
    ranking = tuple((labels[i], float(shares[i])) for i in best)
    if outside > threshold:
        return Prediction(OUT_OF_SCOPE, outside, outside, ranking)
    return Prediction(*ranking[0], outside, ranking)
