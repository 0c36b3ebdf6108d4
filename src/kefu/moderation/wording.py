"""The wording of a text as hashed character n-grams: what the semantic head reads beside the vector.

Chinese counts by characters and pairs of them, other scripts by runs of 3 to 5 characters with
the borders of words. A hash stands for each, so no vocabulary of insults has to be kept, and an
n-gram that was never seen costs nothing. Everything is array operations for each length: 0.1 ms for
50 characters, 0.15 ms for 500.
"""

from __future__ import annotations

import re
import unicodedata

import numpy as np
from numpy.typing import NDArray

from kefu.language import CJK

# 2^15 cost half a point of F1 on COLD, 2^17 and inverse document frequencies gained nothing.
BITS = 16
BUCKETS = 1 << BITS

# What the encoder reads of a text, too.
MAX_CHARACTERS = 512

_LONGEST_CJK = 2
_SHORTEST, _LONGEST = 3, 5

_GAP = re.compile(r"[\W_]+")
_DIGIT = re.compile(r"\d")
_CJK_CHARACTER = re.compile(f"[{CJK}]")

# Odd, so that no information of a character is lost: constants of hash functions in wide use.
# `_mixed` is a finisher like that of SplitMix64 (Steele et al. 2014, "Fast Splittable Pseudorandom
# Number Generators").
_MULTIPLIERS = np.array(
    [
        0x9E3779B97F4A7C15,
        0xC2B2AE3D27D4EB4F,
        0x165667B19E3779F9,
        0xD6E8FEB86659FD93,
        0xA0761D6478BD642F,
    ],
    np.uint64,
)


def fold(text: str) -> str:
    """One width and case, every digit a 0 (which number it is tells nothing), single spaces."""
    folded = unicodedata.normalize("NFKC", text[:MAX_CHARACTERS]).lower()
    return f" {_DIGIT.sub('0', _GAP.sub(' ', folded)).strip()} "


def row(text: str) -> tuple[NDArray[np.intp], NDArray[np.float32]]:
    """Bucket numbers, each once, and their values, of length 1 together. No buckets for no text."""
    sums = _sums(fold(text))
    buckets, repeats = np.unique(_mixed(sums), return_counts=True)
    values = 1 + np.log(repeats)
    norm = float(np.linalg.norm(values))
    return buckets.astype(np.intp), (values / (norm or 1)).astype(np.float32)


def _sums(folded: str) -> NDArray[np.uint64]:
    """One number for each n-gram of each length."""
    codes = np.frombuffer(folded.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    is_cjk = np.array([bool(_CJK_CHARACTER.match(character)) for character in folded])
    sums, has_cjk = codes * _MULTIPLIERS[0], is_cjk
    found = [sums[has_cjk]]
    for size in range(2, min(_LONGEST, len(codes)) + 1):
        sums = sums[:-1] + codes[size - 1 :] * _MULTIPLIERS[size - 1]
        has_cjk = has_cjk[:-1] | is_cjk[size - 1 :]
        if has_cjk.all() and size > _LONGEST_CJK:
            break
        if size <= _LONGEST_CJK:
            found.append(sums[has_cjk])
        if size >= _SHORTEST:
            found.append(sums[~has_cjk])
    return np.concatenate(found)


def _mixed(sums: NDArray[np.uint64]) -> NDArray[np.uint64]:
    mixed = (sums ^ (sums >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed ^= mixed >> np.uint64(32)
    return (mixed * np.uint64(0x94D049BB133111EB)) >> np.uint64(64 - BITS)
