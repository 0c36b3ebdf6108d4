"""The wording of a text: TF-IDF over its words, word pairs and character n-grams.

Words and pairs know what is asked ("how long", "为什么"), characters forgive typos and inflection.
A Chinese character counts as a word. Numbers are kept: "2" in "2FA" tells more than it harms.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kefu.language import CJK

_OTHER_LETTER = rf"[^\W\d_{CJK}]"
_WORD = re.compile(rf"{_OTHER_LETTER}+(?:'{_OTHER_LETTER}+)?|\d+|[{CJK}]")
_RUN = re.compile(rf"[{CJK}]+|[^\W{CJK}]+")

_SHORTEST, _LONGEST = 2, 5

# The text counts as far as the encoder reads it, and a few thousand n-grams are plenty.
MAX_CHARACTERS = 512


def fold(text: str) -> str:
    """Full-width, ligatures, case and apostrophes as one form."""
    return unicodedata.normalize("NFKC", text[:MAX_CHARACTERS]).lower().replace("’", "'")


def words(text: str) -> Iterator[str]:
    """Words and pairs of neighbours; the ends of the text count as neighbours."""
    found = _WORD.findall(fold(text))
    yield from found
    if not found:
        return
    for first, second in zip(["^", *found], [*found, "$"], strict=True):
        yield f"{first} {second}"


def characters(text: str) -> Iterator[str]:
    """Pieces of 2 to 5 characters within each word, whose ends count as a character."""
    for run in _RUN.findall(fold(text)):
        padded = f" {run} "
        for size in range(_SHORTEST, min(_LONGEST, len(padded)) + 1):
            for start in range(len(padded) - size + 1):
                yield padded[start : start + size]


@dataclass(frozen=True, eq=False)
class Rows:
    """n sparse rows of length 1, in CSR form: row i is `indices[starts[i]:starts[i + 1]]`."""

    starts: NDArray[np.int64]
    indices: NDArray[np.int32]
    values: NDArray[np.float32]


class Vocabulary:
    """Terms of one kind with their inverse document frequencies, learned with `learn`."""

    def __init__(
        self,
        terms_of: Callable[[str], Iterator[str]],
        terms: Sequence[str],
        weights: NDArray[np.float32],
    ) -> None:
        self._terms_of = terms_of
        self.terms = terms
        self.weights = weights
        self._ids = {term: number for number, term in enumerate(terms)}

    @classmethod
    def learn(cls, terms_of: Callable[[str], Iterator[str]], texts: Sequence[str]) -> Vocabulary:
        found: Counter[str] = Counter()
        for text in texts:
            found.update(set(terms_of(text)))
        terms = sorted(found)
        counts = np.array([found[term] for term in terms], np.float64)
        weights = np.log((1 + len(texts)) / (1 + counts)) + 1
        return cls(terms_of, terms, weights.astype(np.float32))

    def rows(self, texts: Sequence[str]) -> Rows:
        """Term numbers and their TF-IDF of each text. Unknown terms are left out."""
        counted = [Counter(map(self._ids.get, self._terms_of(text))) for text in texts]
        for counts in counted:
            counts.pop(None, None)
        starts = np.cumsum([0, *(len(counts) for counts in counted)])
        indices = np.array([key for counts in counted for key in counts], np.int32)
        repeats = np.array([n for counts in counted for n in counts.values()], np.float32)
        owners = np.repeat(np.arange(len(texts)), np.diff(starts))
        values = (np.float32(1) + np.log(repeats)) * self.weights[indices]
        lengths = np.sqrt(np.bincount(owners, values.astype(np.float64) ** 2, len(texts)))
        return Rows(starts, indices, (values / lengths[owners]).astype(np.float32))
