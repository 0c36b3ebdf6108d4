"""Words disguised by code that shares no table with the filter: how many are still found."""

from __future__ import annotations

from functools import cache

import pytest
from loadtests.evasion import KINDS, sentences

from kefu.moderation.categories import Severity
from kefu.moderation.filter import WordFilter
from kefu.moderation.lexicon import starter_lexicon

COUNT = 200
LOSSLESS = 0.99
LEAST = {
    "split": 0.85,
    "homophones": 0.70,
    "initials": 0.60,
    "pinyin": 0.80,
    "leetspeak": 0.85,
    "homoglyphs": 0.90,
    "look_alikes": 0.55,
}


@cache
def starter_filter() -> WordFilter:
    lexicon = starter_lexicon()
    return WordFilter(lexicon.words.values(), lexicon.allowed)


@pytest.mark.parametrize("kind", KINDS)
def test_disguised_words_are_found(kind: str):
    words = starter_filter()
    listed = [word.text for word in words.words.values() if word.severity is not Severity.LOW]
    disguised = sentences(listed, kind, COUNT, seed=5)
    missed = [
        found
        for found in disguised
        if not any(h.start < found.end and h.end > found.start for h in words.find(found.text))
    ]
    least = LOSSLESS if KINDS[kind].lossless else LEAST[kind]
    assert len(missed) <= (1 - least) * len(disguised), missed
