"""Sparse rows one after another, as CSR has them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def sums_of_rows(parts: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.float32]:
    """(n, k): row i is the sum of `parts[starts[i]:starts[i + 1]]`, of (terms, k)."""
    sums = np.zeros((len(starts) - 1, parts.shape[1]), np.float32)
    has_any = np.diff(starts) > 0  # `reduceat` would give an empty row the next one's first part
    if has_any.any():
        sums[has_any] = np.add.reduceat(parts, starts[:-1][has_any], 0)
    return sums
