"""Sentences with their likeness to what every message is compared with.

The desk holds each message against the same few thousand vectors: examples of intents, landmarks of
moderation, the questions of a small shop. That is a fifth of what a message costs, and where the
encoder does it for its whole batch, in its own thread, the event loop is free meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float32]
Vector = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Compared:
    """A sentence's `vector` (d,), and its products with some matrices (m, d), by their identity."""

    vector: Vector
    known: Mapping[int, tuple[Matrix, Vector]] = field(default_factory=dict)

    @classmethod
    def all_with(cls, vectors: Matrix, matrices: Sequence[Matrix]) -> list[Self]:
        """Each row of `vectors` (n, d) with its products with each of `matrices`."""
        products = [vectors @ matrix.T for matrix in matrices]
        return [
            cls(
                vector,
                {id(m): (m, rows[n]) for m, rows in zip(matrices, products, strict=True)},
            )
            for n, vector in enumerate(vectors)
        ]

    def has(self, matrix: Matrix) -> bool:
        return id(matrix) in self.known  # which also keeps it from being another's


def vectors_of(compared: Sequence[Compared]) -> Matrix:
    """(n, d) of at least one."""
    return np.stack([one.vector for one in compared])


def products(compared: Sequence[Compared], matrix: Matrix) -> Matrix:
    """(n, m) of at least one with a matrix (m, d): looked up where all have it, as after a change some have not."""
    if all(one.has(matrix) for one in compared):
        return np.stack([one.known[id(matrix)][1] for one in compared])
    return vectors_of(compared) @ matrix.T
