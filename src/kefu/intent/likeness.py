"""How alike two texts are: in meaning, words and characters.

0.7 of a Gaussian on the sentence vectors + 0.15 of the cosine of their words + 0.15 of the cosine of
their characters; each is 1 for the same text. Chosen in docs/decisions/0009-intents.md.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]

VECTOR_SHARE = 0.7
TEXT_SHARE = 0.15
SHARPNESS = 2.5


def vector_likeness(these: Matrix, those: Matrix) -> Matrix:
    """(n, m) from vectors of length 1: the Gaussian of their distance, times its share."""
    return likeness_of(these @ those.T)


def likeness_of(products: Matrix) -> Matrix:
    """`vector_likeness` from the products of the vectors."""
    likeness = products - 1
    likeness *= SHARPNESS
    np.exp(likeness, out=likeness)
    likeness *= VECTOR_SHARE
    return likeness
