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
from functools import lru_cache
from itertools import chain, repeat

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
    return chain.from_iterable(map(_pieces, _RUN.findall(fold(text))))


@lru_cache(4096)  # the same words are said all day
def _pieces(run: str) -> tuple[str, ...]:
    padded = f" {run} "
    return tuple(
        [  # a list first: half as long as from a generator
            padded[start : start + size]
            for size in range(_SHORTEST, min(_LONGEST, len(padded)) + 1)
            for start in range(len(padded) - size + 1)
        ]
    )


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
        found = [list(map(self._ids.get, self._terms_of(text), repeat(-1))) for text in texts]
        owners = np.repeat(np.arange(len(texts)), [len(terms) for terms in found])
        ids = np.array(list(chain.from_iterable(found)), np.int64)
        known = ids >= 0
        keys, repeats = np.unique(owners[known] * len(self.terms) + ids[known], return_counts=True)
        owners, indices = np.divmod(keys, max(1, len(self.terms)))
        starts = np.searchsorted(owners, np.arange(len(texts) + 1))
        values = (1 + np.log(repeats.astype(np.float32))) * self.weights[indices]
        lengths = np.sqrt(np.bincount(owners, values.astype(np.float64) ** 2, len(texts)))
        return Rows(starts, indices.astype(np.int32), (values / lengths[owners]).astype(np.float32))
