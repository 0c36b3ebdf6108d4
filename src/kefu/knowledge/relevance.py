"""How the parts of a likeness are weighed."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

# How surely a question was asked: meaning and wording. 0.7 to 0.9 find the same on DIAC's hard
# negatives and on StackFAQ; free rewordings share no words, so the sample shop wants more meaning.
COSINE_WEIGHT = 0.8
LEXICAL_WEIGHT = 0.2

# How near an entry is as a whole: points of 21. Round numbers, chosen on DIAC, StackFAQ and the
# sample shop together: docs/knowledge.md has the figures.
BEST_COSINE = 3 / 21
BEST_LEXICAL = 2 / 21
MEAN_COSINE = 4 / 21
TEXT = 8 / 21
ANSWER = 4 / 21

# An answer that is less like the question is about something else; how much less says nothing.
LEAST_ANSWER = 0.1


def score(cosine: Floats, lexical: Floats) -> Floats:
    return np.asarray(COSINE_WEIGHT * cosine + LEXICAL_WEIGHT * lexical, np.float32)


def relevance(
    cosine: Floats, lexical: Floats, mean: Floats, text: Floats, answer: Floats
) -> Floats:
    asked = BEST_COSINE * cosine + BEST_LEXICAL * lexical + MEAN_COSINE * mean
    said = TEXT * text + ANSWER * np.maximum(answer, LEAST_ANSWER)
    return np.asarray(asked + said, np.float32)


def first_relevance(mean: Floats, text: Floats, answer: Floats) -> Floats:
    """About what `relevance` is, where no more is known."""
    return np.asarray(
        (BEST_COSINE + MEAN_COSINE) * mean + TEXT * text + ANSWER * answer, np.float32
    )
