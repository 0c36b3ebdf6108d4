"""Vectors by id in one growing matrix, so that all are compared in one product."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

_FIRST_ROWS = 64

Floats = NDArray[np.float32]


class VectorTable:
    """Vectors of length 1, all with as many dimensions as the first one."""

    def __init__(self) -> None:
        self._matrix: Floats = np.zeros((0, 0), np.float32)
        self._ids: list[str] = []
        self._rows: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._ids)

    def put(self, id_: str, vector: Floats) -> None:
        """Add a vector, or replace the one with this id."""
        row = self._rows.setdefault(id_, len(self._ids))
        if row == len(self._ids):
            self._ids.append(id_)
            self._make_room(len(vector))
        self._matrix[row] = vector

    def remove(self, id_: str) -> None:
        """Forget a vector, where there is one. The last row takes its place."""
        row = self._rows.pop(id_, None)
        if row is None:
            return
        last = self._ids.pop()
        if last != id_:
            self._ids[row] = last
            self._rows[last] = row
            self._matrix[row] = self._matrix[len(self._ids)]

    def nearest(self, vector: Floats, floor: float) -> Iterator[str]:
        """The ids whose cosine with `vector` is at least `floor`, nearest first."""
        if not self._ids:
            return
        cosines = self._matrix[: len(self._ids)] @ vector
        near = np.flatnonzero(cosines >= floor)
        ids = [self._ids[row] for row in near[np.argsort(-cosines[near], kind="stable")]]
        yield from ids

    def near_any(self, vectors: Floats, floor: float) -> list[str]:
        """The ids whose cosine with any row of `vectors` (n, d) is at least `floor`."""
        if not self._ids or not len(vectors):
            return []
        best = (self._matrix[: len(self._ids)] @ vectors.T).max(axis=1)
        return [self._ids[row] for row in np.flatnonzero(best >= floor)]

    def _make_room(self, dimensions: int) -> None:
        if len(self._ids) > len(self._matrix):
            grown = np.zeros((max(_FIRST_ROWS, 2 * len(self._matrix)), dimensions), np.float32)
            if len(self._matrix):
                grown[: len(self._matrix)] = self._matrix
            self._matrix = grown
