"""A first, cheap look at many entries: which ones are worth scoring exactly?

An entry's vectors become one short one. 128 principal axes of 512 keep nearly all that tells one
company's entries apart and are read four times as fast, which is what a search among 100,000 waits
for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kefu.knowledge.growing import Growing

Floats = NDArray[np.float32]

AXES = 128
_SAMPLE = 20_000


class Coarse:
    """Entries' vectors on the principal axes of those that were there when it was made."""

    def __init__(self, vectors: Floats) -> None:
        """`vectors`: (entries, d), weighted as they count in a search."""
        self.fitted_on = len(vectors)
        sample = vectors[:: max(1, len(vectors) // _SAMPLE)]
        _, axes = np.linalg.eigh(sample.T @ sample)
        self._axes = np.ascontiguousarray(axes[:, ::-1][:, :AXES], np.float32)
        self._rows = Growing(np.float32, self._axes.shape[1])
        self.extend(vectors)

    def extend(self, vectors: Floats) -> None:
        self._rows.extend(vectors @ self._axes)

    def view(self) -> Floats:
        return self._rows.view()

    def on_axes(self, vector: Floats) -> Floats:
        """A query's vector, to be multiplied with the rows of `view`."""
        return vector @ self._axes
