"""An answer made of the company's own sentences: those that the reader found to answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kefu.language import Language
from kefu.reading.reader import Told

# Two questions in one message, and a condition in a sentence of its own; more is a passage.
MOST_SENTENCES = 3


@dataclass(frozen=True)
class Extraction:
    """`passages`: numbers of those that the sentences stand in. `probability`: of the best one."""

    text: str
    passages: tuple[int, ...]
    probability: float


def extract(told: Sequence[Told], least: float, language: Language) -> Extraction | None:
    """The likeliest sentences, in the order they stand in; None where none is as likely as `least`."""
    likely = [one for one in told if one.probability >= least]
    if not likely:
        return None
    best = sorted(likely, key=lambda one: -one.probability)[:MOST_SENTENCES]
    first = {one.passage: place for place, one in reversed(list(enumerate(best)))}
    chosen = sorted(best, key=lambda one: (first[one.passage], one.place))
    sentences = [_ended(one.sentence, language) for one in chosen]
    text = ("" if language == "zh" else " ").join(sentences)
    return Extraction(text, tuple(sorted(first)), best[0].probability)


def _ended(sentence: str, language: Language) -> str:
    """A clause of a list, or a heading's line, as a sentence."""
    bare = sentence.rstrip("；;，,、 ")
    if bare.endswith(tuple("。！？.!?…：:”\"'』」）)")):
        return bare
    return bare + ("。" if language == "zh" else ".")
