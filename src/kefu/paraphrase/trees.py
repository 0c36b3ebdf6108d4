"""Boosted trees that turn the features of a pair into one number, in numpy.

`training/paraphrase/train.py` makes `pairs.json` with scikit-learn, which is not needed to serve:

    {"format": 2, "features": [...], "start": 0.1, "cosine_weight": 1.5, "cosine_centre": 0.9,
     "cosine_scale": 0.03, "wording_weight": 3.0, "trees": [[[feature, threshold, left, right, value], ...], ...]}

A node with feature -1 is a leaf. A tree goes left where the feature is at most the threshold.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib import resources
from importlib.resources.abc import Traversable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kefu.errors import ModelCorrupt
from kefu.paraphrase.features import NAMES, WORDING

FORMAT = 2
LEAF = -1

_WORDING = NAMES.index(WORDING)


class Trees:
    """All trees side by side: every pair takes one step down every tree at a time."""

    def __init__(self, data: dict[str, Any]) -> None:
        """Raises `ValueError` for what does not fit: see the module."""
        if data["format"] != FORMAT or tuple(data["features"]) != NAMES:
            raise ValueError("they are for another version of kefu")
        self._start = float(data["start"])
        weight, centre, scale = (
            float(data[f"cosine_{of}"]) for of in ("weight", "centre", "scale")
        )
        self._slope, self._centre = weight / scale, centre
        self._wording_weight = float(data["wording_weight"])
        self._roots, nodes = _side_by_side(data["trees"])
        feature, threshold, left, right, value = nodes.T
        self._feature = feature.astype(np.int64)
        self._left, self._right = left.astype(np.int64), right.astype(np.int64)
        self._threshold, self._value = threshold, value
        self._check()

    def logits(self, features: NDArray[np.float32]) -> NDArray[np.float32]:
        """(pairs,) from (pairs, features): the trees, a share of the plain cosine, and the wording.

        The cosine breaks the ties of the trees, which see steps only, and holds them where pairs
        are of a kind that they were not taught. Two questions of the same words are rare among
        those that they were taught, so the trees alone give it too little weight.
        """
        places = np.tile(self._roots, (len(features), 1))
        rows = np.arange(len(features))[:, np.newaxis]
        while (inside := self._feature[places] != LEAF).any():
            # In a leaf the last feature is compared for nothing: the place stays.
            is_left = features[rows, self._feature[places]] <= self._threshold[places]
            below = np.where(is_left, self._left[places], self._right[places])
            places = np.where(inside, below, places)
        plain = self._slope * (features[:, 0].astype(np.float64) - self._centre)
        plain += self._wording_weight * features[:, _WORDING].astype(np.float64)
        return np.asarray(self._start + self._value[places].sum(axis=1) + plain, np.float32)

    def _check(self) -> None:
        """Features exist, and children stand behind their parents, so that every walk ends."""
        inner = self._feature != LEAF
        numbers = np.arange(len(inner))[inner]
        children = np.stack([self._left[inner], self._right[inner]])
        if self._feature.max() >= len(NAMES) or self._feature.min() < LEAF:
            raise ValueError("a node asks for a feature that is not there")
        if (children <= numbers).any() or (children >= len(inner)).any():
            raise ValueError("a node leads nowhere")
        if not (np.isfinite(self._threshold).all() and np.isfinite(self._value).all()):
            raise ValueError("a node has no number")


def shipped_trees() -> Traversable:
    """The trees that kefu comes with."""
    return resources.files(__package__) / "pairs.json"


def read_trees(path: Traversable) -> tuple[Trees, str]:
    """The trees of a file, and the sum of its bytes. Raises `ModelCorrupt`."""
    try:
        content = path.read_bytes()
        return Trees(json.loads(content)), hashlib.sha256(content).hexdigest()
    except (OSError, ValueError, KeyError, TypeError, IndexError) as error:
        raise ModelCorrupt(
            f"{path} of this kefu cannot be used: {error!r}. Install kefu again."
        ) from error


def _side_by_side(
    trees: Sequence[Sequence[Sequence[float]]],
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Where each tree begins, and the nodes of all with children counted from the first tree."""
    sizes = np.array([len(tree) for tree in trees])
    if not len(sizes) or not sizes.all():
        raise ValueError("there are no trees, or an empty one")
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    nodes = np.array([node for tree in trees for node in tree], np.float64)
    nodes[:, 2:4] += np.repeat(roots, sizes)[:, np.newaxis]
    return roots, nodes
