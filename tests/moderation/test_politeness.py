"""Long work in a thread: settings of the interpreter come back, and large things go in pieces."""

from __future__ import annotations

import gc
import sys

import pytest

from kefu.moderation.hit import Word
from kefu.moderation.lexicon import Own, Starter, overlay
from kefu.moderation.politeness import large_parts, let_go, politely


def fail_politely() -> None:
    with politely():
        raise ValueError(f"{sys.getswitchinterval() < 0.001} {gc.isenabled()}")


def test_the_interpreter_is_as_before_whatever_happens():
    before = sys.getswitchinterval(), gc.isenabled()
    with pytest.raises(ValueError, match="True False"):
        fail_politely()
    assert (sys.getswitchinterval(), gc.isenabled()) == before


def test_the_large_parts_of_a_lexicon_outlive_it_until_they_are_let_go():
    words = {f"第{number}号": Word(f"第{number}号", "abuse", "high") for number in range(2_000)}
    lexicon = overlay(Starter(), Own(1, words, {}, frozenset({"短语"})))
    parts = large_parts((lexicon, 1))
    assert sorted(map(id, parts)) == sorted(map(id, (lexicon.words, lexicon.own.words)))
    let_go(parts)
    assert parts == []
