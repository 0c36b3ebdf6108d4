"""How likely a small model's reply is right: by what it thought of it, and by what the reader does.

A trained 270M model copies its passages faithfully and picks the wrong sentence in half of what it
says, which no comparison with the passages can show. Its own probability of the reply tells a
little, the reader's probability of the sentence behind it tells more, and their mistakes differ.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from kefu.reading.reader import Told
from kefu.terms import count_terms, weight_of

# A logistic regression on the replies to the tuning half of `kefu generate evaluate`
# (docs/generation.md): constant, log-probability of the whole reply, log-odds by the reader.
_WITH_READER = (0.0, 0.5, 0.5)
_ALONE = (0.0, 0.5)
_LEAST = 1e-3


def certainty(logprob: float, told: Sequence[Told], reply: str) -> float:
    """The probability, 0 to 1, that a reply answers its question.

    `logprob`: natural logarithm of the reply's probability to the model that wrote it. `told`: what
    the reader found in the same passages, empty where there is no reader.
    """
    if not told:
        constant, weight = _ALONE
        return _logistic(constant + weight * logprob)
    constant, weight, weight_of_reader = _WITH_READER
    behind = max(told, key=lambda one: (_share(reply, one.sentence), one.probability))
    return _logistic(constant + weight * logprob + weight_of_reader * _odds(behind.probability))


def _share(reply: str, sentence: str) -> float:
    """The share of a reply's terms that a sentence has, by their weights."""
    wanted, there = count_terms(reply), count_terms(sentence)
    whole = sum(map(weight_of, wanted))
    return sum(weight_of(term) for term in wanted if term in there) / whole if whole else 0.0


def _odds(probability: float) -> float:
    kept = min(max(probability, _LEAST), 1 - _LEAST)
    return math.log(kept / (1 - kept))


def _logistic(value: float) -> float:
    return 1 / (1 + math.exp(-value))
