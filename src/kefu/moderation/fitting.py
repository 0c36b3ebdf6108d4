"""How the weights of a semantic head are found. Only training comes here: SciPy is slow to load.

Logistic regression for all categories at once, on the examples' places among the landmarks and on
their hashed n-grams. A head that exists can be what the weights are pulled to: then a few hundred
verdicts of one shop move what they speak of and leave the rest as it was.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize
from scipy.sparse import csr_array

from kefu.learning.figures import Floats, Marks, sigmoid
from kefu.moderation import wording
from kefu.moderation.semantic import Matrix, nearness

# How much an example counts against the pull. 2 and 4 differ by 0.3 points of F1 on COLD.
STRENGTH = 4.0
# The places among the landmarks beside the n-grams, whose rows have length 1 too.
MEANING_SHARE = 1.5

_STEPS = 100
_REMEMBERED = 10
_LEAST_EIGENVALUE = 1e-6
_SCALE_PULL = 1e-3


@dataclass(frozen=True, eq=False)
class Rows:
    """What is known of n texts: `places` (n, m) among the landmarks, `terms` (n, buckets)."""

    places: Matrix
    terms: csr_array

    def of(self, numbers: NDArray[np.intp]) -> Rows:
        return Rows(self.places[numbers], self.terms[numbers])


@dataclass(frozen=True, eq=False)
class Weights:
    """(m, categories), (buckets, categories), (categories,)."""

    of_places: Floats
    of_terms: Floats
    bias: Floats

    def margins(self, rows: Rows) -> Floats:
        """(n, categories)."""
        found = rows.places @ self.of_places + rows.terms @ self.of_terms + self.bias
        return np.asarray(found, np.float64)


@dataclass(frozen=True, eq=False)
class Landmarks:
    """Vectors (m, dimensions) of examples. A place among them is a row of `places`.

    Places are such that their products are the Gaussian kernel: nearness times `inverse_root`,
    the root of the inverse of the landmarks' own nearness; `root` undoes it.
    """

    vectors: Matrix
    root: Floats
    inverse_root: Floats

    @classmethod
    def at(cls, vectors: Matrix) -> Landmarks:
        values, axes = np.linalg.eigh(nearness(vectors, vectors).astype(np.float64))
        roots = np.sqrt(np.maximum(values, _LEAST_EIGENVALUE))
        return cls(vectors, (axes * roots) @ axes.T, (axes / roots) @ axes.T)

    def places(self, vectors: Matrix) -> Matrix:
        """(n, m) of (n, dimensions)."""
        near = nearness(vectors, self.vectors)
        return np.asarray(near @ (MEANING_SHARE * self.inverse_root).astype(np.float32))

    def of_meaning(self, of_places: Floats) -> Floats:
        """Weights of nearness, (m, categories), from those of places."""
        return MEANING_SHARE * self.inverse_root @ of_places

    def of_places(self, of_meaning: Floats) -> Floats:
        """The other way round."""
        return self.root @ of_meaning / MEANING_SHARE


def terms_of(texts: list[str]) -> csr_array:
    """(n, buckets), one row of hashed n-grams for each text."""
    rows = wording.rows(texts)
    return csr_array((rows.values, rows.buckets, rows.starts), shape=(len(texts), wording.BUCKETS))


def fit(rows: Rows, targets: Floats, counts: Floats, start: Weights | None = None) -> Weights:
    """Weights for (n, categories) `targets` of 1 and -1; `counts` (n, categories) says how much each
    counts. With `start` the weights are pulled to it, and the bias stays: a shop that only sends
    what it found bad must not make everything bad.
    """
    known = start.margins(rows) if start is not None else np.zeros(targets.shape)
    # The weights of the others would stay where they are.
    occurring = np.unique(rows.terms.indices)
    found = _fit(Rows(rows.places, rows.terms[:, occurring]), targets, counts, known, start is None)
    of_terms = np.zeros((rows.terms.shape[1], targets.shape[1]))
    of_terms[occurring] = found.of_terms
    whole = Weights(found.of_places, of_terms, found.bias)
    return whole if start is None else _added(start, whole)


def _fit(rows: Rows, targets: Floats, counts: Floats, known: Floats, has_bias: bool) -> Weights:
    """The weights that are added to margins that are `known`."""
    categories = targets.shape[1]
    widths = rows.places.shape[1], rows.terms.shape[1]
    transposed = rows.terms.T.tocsr()

    def parted(values: Floats) -> Weights:
        matrix = values.reshape(-1, categories)
        return Weights(matrix[: widths[0]], matrix[widths[0] : -1], matrix[-1])

    def loss(values: Floats) -> tuple[float, Floats]:
        moved = parted(values.astype(np.float32)).margins(rows)
        agreement = targets * (known + moved)
        slope = -targets * counts * sigmoid(-agreement) * STRENGTH
        slope32 = slope.astype(np.float32)
        gradient = np.vstack([rows.places.T @ slope32, transposed @ slope32, slope.sum(0)])
        gradient[-1] *= has_bias
        weighted = values.copy()
        weighted[-categories:] = 0
        value = STRENGTH * float((counts * np.logaddexp(0, -agreement)).sum())
        return value + float(weighted @ weighted) / 2, gradient.ravel() + weighted

    found = minimize(
        loss,
        np.zeros(int(sum(widths) + 1) * categories),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _STEPS, "maxcor": _REMEMBERED},
    )
    return parted(found.x)


def fit_scale(margins: Floats, is_bad: Marks, counts: Floats) -> tuple[float, float]:
    """Slope and offset that make margins probabilities (Platt 1999).

    `counts` says how much each counts; both answers together count alike.
    """
    signs = np.where(is_bad, 1.0, -1.0)
    shares = counts / np.where(is_bad, 2 * counts[is_bad].sum(), 2 * counts[~is_bad].sum())

    def loss(values: Floats) -> tuple[float, Floats]:
        agreement = signs * (values[0] * margins + values[1])
        slope = -signs * shares * sigmoid(-agreement)
        # A weak pull to 1 and 0, for margins that no error was made with.
        pull = _SCALE_PULL * (values - np.array([1.0, 0.0]))
        value = float((shares * np.logaddexp(0, -agreement)).sum() + pull @ pull / 2 / _SCALE_PULL)
        return value, np.array([slope @ margins, slope.sum()]) + pull

    slope, offset = minimize(loss, np.array([1.0, 0.0]), jac=True, method="L-BFGS-B").x
    return float(slope), float(offset)


def _added(one: Weights, other: Weights) -> Weights:
    return Weights(
        one.of_places + other.of_places, one.of_terms + other.of_terms, one.bias + other.bias
    )
