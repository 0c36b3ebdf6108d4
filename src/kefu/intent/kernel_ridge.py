"""Kernel ridge regression, with every held-out score from one factorisation.

The regression onto the labels is one Cholesky factor of all examples' likeness. What it would have
said about any of them had it never seen them follows in closed form
(Rasmussen & Williams 2006, "Gaussian Processes for Machine Learning", 5.4.2, for blocks):

    held_out(B) = Y[B] - inverse[B, B]^-1 coefficients[B],   inverse = (K + ridge I)^-1

So cross-validation costs no second training, and neither does leaving a whole label out. Chosen
among linear and kernel machines in docs/decisions/0009-intents.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import lapack, solve
from scipy.sparse import csr_array

from kefu.errors import InvalidInput
from kefu.intent.likeness import TEXT_SHARE, Matrix, vector_likeness
from kefu.intent.ngrams import Rows

RIDGE = 0.1

# The matrix takes 4 n^2 bytes: 1.6 GB here.
MAX_ROWS = 20_000

_ROWS_PER_BLOCK = 1024
# A term in more than this share of the texts is multiplied as a dense column: that is faster.
_COMMON = 1 / 64


class KernelRidge:
    """Fitted when made. `targets` is (n, labels), `texts` one `Rows` for each kind of term."""

    def __init__(
        self,
        vectors: Matrix,
        texts: Sequence[Rows],
        targets: Matrix,
        on_progress: Callable[[int, int], None],
    ) -> None:
        if len(vectors) > MAX_ROWS:
            raise InvalidInput(
                f"{len(vectors):,} examples are too many to train on at once (at most "
                f"{MAX_ROWS:,}). Give fewer of the labels that have most."
            )
        self._targets = targets
        # Only the lower triangle is filled and used. Its transpose is what LAPACK takes in place.
        matrix = _kernel(vectors, texts, on_progress)
        matrix[np.diag_indices(len(matrix))] += RIDGE
        factor, failed = lapack.spotrf(matrix.T, lower=0, clean=0, overwrite_a=1)
        _check(failed)
        self.coefficients: Matrix = np.ascontiguousarray(
            lapack.spotrs(factor, np.asfortranarray(targets), lower=0)[0]
        )
        _check(not np.isfinite(self.coefficients).all())
        inverse, failed = lapack.spotri(factor, lower=0, overwrite_c=1)
        _check(failed)
        self._inverse: Matrix = inverse.T

    def held_out(self, blocks: Sequence[NDArray[np.intp]]) -> Matrix:
        """(n, labels) scores, each row as if the block it is in had not been there.

        Rows in no block are NaN.
        """
        scores = np.full_like(self._targets, np.nan)
        for block in map(np.sort, blocks):
            part = np.tril(self._inverse[np.ix_(block, block)]).astype(np.float64)
            part += np.tril(part, -1).T
            moved = solve(part, self.coefficients[block], assume_a="pos", check_finite=False)
            scores[block] = self._targets[block] - moved
        return scores


def _kernel(
    vectors: Matrix, texts: Sequence[Rows], on_progress: Callable[[int, int], None]
) -> Matrix:
    count = len(vectors)
    kinds = [_parts(rows, count) for rows in texts]
    kernel = np.empty((count, count), np.float32)
    for start in range(0, count, _ROWS_PER_BLOCK):
        end = min(start + _ROWS_PER_BLOCK, count)
        block = vector_likeness(vectors[start:end], vectors[:end])
        for common, rare in kinds:
            block += TEXT_SHARE * (common[start:end] @ common[:end].T)
            block += TEXT_SHARE * (rare[start:end] @ rare[:end].T).toarray()
        kernel[start:end, :end] = block
        on_progress(end, count)
    return kernel


def _parts(rows: Rows, count: int) -> tuple[Matrix, csr_array]:
    """The columns of terms that many texts have, dense, and those of the others, sparse."""
    width = int(rows.indices.max(initial=-1)) + 1
    whole = csr_array((rows.values, rows.indices, rows.starts), shape=(count, width))
    common = np.bincount(rows.indices, minlength=width) > _COMMON * count
    columns = whole.tocsc()
    return columns[:, np.flatnonzero(common)].toarray(), columns[:, np.flatnonzero(~common)].tocsr()


def _check(failed: int | bool) -> None:
    if failed:  # cannot be with these likenesses, unless a vector is not finite
        raise InvalidInput("The examples cannot be told apart: their vectors are not numbers.")
