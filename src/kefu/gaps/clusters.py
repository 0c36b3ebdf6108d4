"""Questions that could share one answer, by their meaning and their wording."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kefu.intent.suggest import distinctive, linked
from kefu.terms import lexical_terms

Floats = NDArray[np.float32]

# Of the likeness of two questions. An answer is narrower than an intent, and the same words are a
# good sign of it. Sample shop, 60 entries with 2 to 5 of their questions each among 80 questions
# that belong to nothing, six draws with the real encoder: purity of the clusters, and share of the
# entries that are most of one cluster with half of their questions or more:
#
#     wording   distance 0.45    0.55          0.60          0.65          0.70
#     0         0.89  0.22       0.82  0.36    0.77  0.39    0.70  0.39    0.61  0.36
#     0.3       0.96  0.13       0.90  0.25    0.87  0.33    0.83  0.38    0.77  0.43
#     0.5       0.99  0.07       0.97  0.21    0.93  0.26    0.89  0.33    0.85  0.39
#
# At the same purity, wording finds a third more. Some of those questions share no word and little
# meaning ("the thing is coming back, who fetches it?"); such stay apart at any distance.
WORDING_SHARE = 0.5

# Highest average distance within a cluster: two questions in one cost a reader more than one in two.
MAX_DISTANCE = 0.65


def cluster(texts: Sequence[str], vectors: Floats, counts: Sequence[int]) -> list[list[int]]:
    """Numbers of the texts of each cluster: the most typical first, then those most like it.

    `vectors` are (n, dimensions) of length 1, `counts` how often each was asked. Takes about 20 n^2
    bytes.
    """
    if not texts:
        return []
    rest = distinctive(texts, vectors)
    likeness = (1 - WORDING_SHARE) * (rest @ rest.T) + WORDING_SHARE * wording_likeness(texts)
    groups = linked(np.clip(1 - likeness, 0, None), MAX_DISTANCE)
    weights = np.array(counts, np.float32)
    return [_typical_first(group, likeness, weights) for group in groups]


def _typical_first(group: list[int], likeness: Floats, weights: Floats) -> list[int]:
    within = likeness[np.ix_(group, group)]
    typical = int((within @ weights[group]).argmax())
    others = [n for n in np.argsort(-within[typical], kind="stable") if n != typical]
    return [group[n] for n in (typical, *others)]


def wording_likeness(texts: Sequence[str]) -> Floats:
    """(n, n) cosines of IDF-weighted terms; 0 for a text without any."""
    terms = [lexical_terms(text) for text in texts]
    used = Counter(term for one in terms for term in one)
    # A term of one text is like nothing in another: it only lengthens that text's row.
    shared = {term: at for at, term in enumerate(t for t, n in used.items() if n > 1)}
    rows = np.zeros((len(texts), len(shared)), np.float32)
    lengths = np.zeros(len(texts), np.float32)
    for row, one in enumerate(terms):
        for term, weight in one.items():
            value = weight * float(np.log1p(len(texts) / used[term]))
            lengths[row] += value**2
            if term in shared:
                rows[row, shared[term]] = value
    rows /= np.maximum(np.sqrt(lengths), 1e-9)[:, None]
    likeness: Floats = rows @ rows.T
    np.fill_diagonal(likeness, 1)
    return likeness
