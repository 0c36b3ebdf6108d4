"""Which texts are suspicious for what they mean: probabilities from one vector and the wording.

For each category one number: a weighted sum of how near the text's sentence vector is to some
hundreds of landmarks (vectors of examples; a Gaussian kernel approximated as in Williams & Seeger
2001, "Using the Nyström Method to Speed Up Kernel Machines") and of its character n-grams. What
else was tried stands in training/moderation/README.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kefu.inference.encoder.compared import Compared, products
from kefu.learning.figures import sigmoid
from kefu.moderation import wording
from kefu.moderation.categories import Category
from kefu.moderation.policy import Thresholds

Vector = NDArray[np.float32]
Matrix = NDArray[np.float32]

# Of the squared distance. From 0.25 to 1 nothing changes; 2 loses 1.2 points of AUROC against near
# misses (mean of the categories), 3 loses four.
SHARPNESS = 1.0

# Never quite sure: a threshold of 1 is one that no text reaches.
_SUREST = 0.9999


class Head(Protocol):
    """What says of a text how likely it is of each of its `categories`. Safe to call from several
    threads. One without an `encoder_id` reads the text itself, which takes milliseconds.
    """

    @property
    def encoder_id(self) -> str | None: ...
    @property
    def landmarks(self) -> Matrix | None:
        """What the vectors are compared with; None where they have no say."""
        ...

    @property
    def categories(self) -> tuple[Category, ...]: ...
    @property
    def thresholds(self) -> Mapping[Category, Thresholds]: ...

    def scores(self, text: str, vector: Vector) -> dict[Category, float]:
        """`scores_of_all` of one."""
        ...

    def scores_of_all(
        self, texts: Sequence[str], vectors: Sequence[Compared]
    ) -> list[dict[Category, float]]:
        """Of each text the probability of each category that it is of it, were every second text so.

        `vectors` are the texts', of length 1, by the encoder `encoder_id`.
        """
        ...


@dataclass(frozen=True, eq=False)
class SemanticHead:
    """The head on sentence vectors. Safe to call from several threads.

    `landmarks` (m, dimensions) and their weights `of_meaning` (m, categories), the weights
    `of_wording` (buckets, categories), and `bias` make a margin for each category; `slope` and
    `offset` make it a probability. `thresholds` are what the margins were found to deserve.
    """

    encoder_id: str
    categories: tuple[Category, ...]
    landmarks: Matrix
    of_meaning: Matrix
    of_wording: Matrix
    bias: NDArray[np.float64]
    slope: NDArray[np.float64]
    offset: NDArray[np.float64]
    thresholds: Mapping[Category, Thresholds]

    def scores(self, text: str, vector: Vector) -> dict[Category, float]:
        return self.scores_of_all([text], [Compared(vector)])[0]

    def scores_of_all(
        self, texts: Sequence[str], vectors: Sequence[Compared]
    ) -> list[dict[Category, float]]:
        wanted = self.landmarks.shape[1:]
        if wrong := next((v for v in vectors if v.vector.shape != wanted), None):
            raise ValueError(f"a vector of {wanted[0]} is needed, not {wrong.vector.shape}")
        probabilities = sigmoid(self.slope * self._margins(texts, vectors) + self.offset)
        return [by_category(self.categories, row) for row in probabilities]

    def _margins(self, texts: Sequence[str], vectors: Sequence[Compared]) -> NDArray[np.float64]:
        """(n, categories)"""
        meaning = nearness_of(products(vectors, self.landmarks)) @ self.of_meaning
        said = wording.rows(texts).weigh(self.of_wording)
        return np.asarray(meaning + said + self.bias, np.float64)


def by_category(
    categories: Sequence[Category], probabilities: NDArray[np.float64]
) -> dict[Category, float]:
    return dict(zip(categories, np.minimum(probabilities, _SUREST).tolist(), strict=True))


def nearness(vectors: Matrix, landmarks: Matrix) -> Matrix:
    """(…, m): the Gaussian of the distance of vectors of length 1 to each landmark, 0 to 1."""
    return nearness_of(vectors @ landmarks.T)


def nearness_of(products: Matrix) -> Matrix:
    """`nearness` from the products of the vectors."""
    near = products - 1
    near *= 2 * SHARPNESS
    return np.asarray(np.exp(near, out=near), np.float32)
