"""The sentences of one passage that the reader found to answer, to be quoted in place of all of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kefu.language import Language
from kefu.reading.reader import Told

MOST_SENTENCES = 3
# How likely another sentence of the passage must be, against the likeliest one.
_BESIDE = 0.3


@dataclass(frozen=True)
class Extraction:
    """`passage`: the number of the one it stands in."""

    text: str
    passage: int


def extract(told: Sequence[Told], least: float, language: Language) -> Extraction | None:
    """The likeliest sentence and those of its passage that come near, in their order; None where it
    is less likely than `least`.

    Of one passage only: beside a sentence about its twin (green tea, white tea) nobody could tell
    which is meant.
    """
    best = max(told, key=lambda one: one.probability, default=None)
    if best is None or best.probability < least:
        return None
    near = (
        one
        for one in told
        if one.passage == best.passage and one.probability >= _BESIDE * best.probability
    )
    chosen = sorted(near, key=lambda one: -one.probability)[:MOST_SENTENCES]
    sentences = [
        _ended(one.sentence, language) for one in sorted(chosen, key=lambda one: one.place)
    ]
    return Extraction(("" if language == "zh" else " ").join(sentences), best.passage)


def _ended(sentence: str, language: Language) -> str:
    """A clause of a list, or a heading's line, as a sentence."""
    bare = sentence.rstrip("；;，,、 ")
    if bare.endswith(tuple("。！？.!?…：:”\"'』」）)")):
        return bare
    return bare + ("。" if language == "zh" else ".")
