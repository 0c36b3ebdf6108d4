"""Which intent is missing: clusters of the messages that the classifier was not sure of.

Average-linkage clustering on the cosine distance of sentence vectors, less what all have in common:
every message to a shop is a little like every other, and so are the texts of one language. With that
taken off, one threshold serves a desk with one subject and a desk with many, and Chinese and English
wordings of the same wish meet.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kefu.intent.dataset import folded
from kefu.language import detect

Vectors = NDArray[np.float32]

# Clustering n wordings takes about 12 n^2 bytes and n^2 / 20,000 ms: 300 MB and 1.5 s here.
MAX_WORDINGS = 5000

# Highest average cosine distance within a cluster. Chosen on the sample shop with the real encoder:
# 8 of 36 intents hidden, all their messages mixed with 320 out-of-scope ones, 12 draws. Of the 20
# largest clusters:
#
#     distance                                        0.65  0.70  0.75  0.80  0.85
#     purity                                          0.87  0.85  0.82  0.78  0.75
#     hidden intents that are most of a cluster       0.88  0.87  0.90  0.85  0.88
#     the same, 15 messages per intent among 100      0.58  0.80  0.89  0.81  0.79
#
# The adjusted Rand index rises on to 0.9, but there 29% of what a cluster has belongs elsewhere:
# a wish in two clusters costs the reader less than two wishes in one.
MAX_DISTANCE = 0.75

# The common part is taken off as far as it is known: half of it with this many wordings. Taken off
# whole, a handful of messages about one thing would have nothing left to be alike in.
_HALF_KNOWN = 30

_TEXTS_SHOWN = 10


@dataclass(frozen=True)
class Unsure:
    """A message, and what was guessed of it with which probability."""

    text: str
    label: str
    score: float
    uid: str


@dataclass(frozen=True)
class Cluster:
    """Messages that may ask for the same thing.

    `example` is the wording most like all the others, `texts` up to ten different ones, it first.
    `size` counts messages, `guesses` what they were taken for, most frequent first. `cohesion` is
    the mean cosine of the different wordings with one another, 1 where there is only one.
    """

    example: str
    size: int
    customers: int
    texts: tuple[str, ...]
    guesses: tuple[tuple[str, int], ...]
    cohesion: float


def suggest(
    messages: Sequence[Unsure], vectors: Vectors, *, at_least: int = 3, at_most: int = 20
) -> list[Cluster]:
    """Clusters of `at_least` messages, those of most customers first.

    `messages` are newest first, `vectors` their (n, dimensions) rows of length 1. Different
    wordings beyond the newest `MAX_WORDINGS` are left out.
    """
    if len(vectors) != len(messages):
        raise ValueError("each message needs its sentence vector")
    wordings = _wordings(messages)
    first = [same[0] for same in wordings]
    rest = distinctive([messages[i].text for i in first], vectors[first])
    groups = linked(np.maximum(1 - rest @ rest.T, 0), MAX_DISTANCE)
    found = [
        _cluster(
            [[messages[i] for i in wordings[j]] for j in group], vectors[[first[j] for j in group]]
        )
        for group in groups
        if sum(len(wordings[j]) for j in group) >= at_least
    ]
    return sorted(found, key=lambda cluster: (-cluster.customers, -cluster.size))[:at_most]


def _wordings(messages: Sequence[Unsure]) -> list[list[int]]:
    """Numbers of the messages that say the same, the newest first in each and of all."""
    same: dict[str, list[int]] = {}
    for number, message in enumerate(messages):
        same.setdefault(folded(message.text), []).append(number)
    return list(same.values())[:MAX_WORDINGS]


def distinctive(texts: Sequence[str], vectors: Vectors) -> Vectors:
    """(n, dimensions) rows of length 1, less what the texts of a language have in common."""
    languages = np.array([detect(text) for text in texts], np.str_)
    rest = vectors.copy()
    for language in np.unique(languages):
        rows = languages == language
        known = rows.sum() / (rows.sum() + _HALF_KNOWN)
        rest[rows] -= np.float32(known) * vectors[rows].mean(0)
    lengths = np.linalg.norm(rest, axis=1, keepdims=True)
    return np.asarray(rest / np.maximum(lengths, 1e-12), np.float32)


def linked(distances: Vectors, most: float) -> list[list[int]]:
    """Average linkage of (n, n) distances, cut at `most`: row numbers of each cluster, in order,
    the cluster with the first row first.
    """
    if len(distances) < 2:
        return [[number] for number in range(len(distances))]
    from scipy import cluster, spatial  # noqa: PLC0415 - a second that no other command waits for

    tree = cluster.hierarchy.linkage(
        spatial.distance.squareform(distances, checks=False), "average"
    )
    groups: dict[int, list[int]] = {}
    for number, group in enumerate(cluster.hierarchy.fcluster(tree, most, "distance").tolist()):
        groups.setdefault(group, []).append(number)
    return list(groups.values())


def _cluster(wordings: Sequence[Sequence[Unsure]], vectors: Vectors) -> Cluster:
    likeness = np.minimum(vectors @ vectors.T, 1)
    medoid = int((likeness @ np.array([len(same) for same in wordings], np.float32)).argmax())
    nearest = [medoid, *(i for i in np.argsort(-likeness[medoid], kind="stable") if i != medoid)]
    messages = [message for same in wordings for message in same]
    count = len(wordings)
    pairs = count * (count - 1)
    return Cluster(
        example=wordings[medoid][0].text,
        size=len(messages),
        customers=len({message.uid for message in messages}),
        texts=tuple(wordings[i][0].text for i in nearest[:_TEXTS_SHOWN]),
        guesses=tuple(Counter(message.label for message in messages).most_common()),
        cohesion=float((likeness.sum() - np.trace(likeness)) / pairs) if pairs else 1.0,
    )
