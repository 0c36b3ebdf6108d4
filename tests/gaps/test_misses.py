from __future__ import annotations

from typing import Any

import pytest

from kefu.conversations.ratings import Rating
from kefu.conversations.transcript import Choice, Turn
from kefu.gaps.misses import Miss, misses_of, why_missed

UP, DOWN = Rating("up"), Rating("down", "答非所问")
ASKED_BACK = (Choice("fee", "运费是多少"),)


def turn(**what: Any) -> Turn:
    return Turn("ann", "talk", "运费？", **what)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (turn(source="handoff", confidence=0.0), "unanswered"),
        (turn(source="faq", confidence=0.5), "quoted"),
        (turn(source="faq", confidence=0.31), "quoted"),
        (turn(status="failed", error_code="generator_unavailable"), "failed"),
        (turn(source="faq", confidence=0.9, rating=DOWN), "rated_down"),
        (turn(source="handoff", confidence=0.0, rating=DOWN), "rated_down"),
        (turn(source="canned", confidence=0.4, choices=ASKED_BACK, rating=DOWN), "rated_down"),
    ],
)
def test_what_left_the_customer_without_the_answer(asked: Turn, why: str) -> None:
    assert why_missed(asked) == why


@pytest.mark.parametrize(
    "asked",
    [
        turn(source="faq", confidence=0.9),
        turn(source="model", confidence=0.3),
        turn(source="canned", confidence=0.0),
        turn(source="faq", confidence=0.4, rating=UP),
        turn(source="canned", confidence=0.4, choices=ASKED_BACK),
        turn(source="handoff", confidence=0.97),  # "let me talk to a person"
        turn(status="stopped", error_code="stopped"),
    ],
)
def test_what_did_not(asked: Turn) -> None:
    assert why_missed(asked) is None


def test_a_miss_has_the_whole_question_and_the_reason() -> None:
    turns = [
        turn(source="model", rating=DOWN, turn_id="a", created_at_ms=5),
        turn(source="model", turn_id="b"),
        turn(source="handoff", standalone_question="退货运费？", turn_id="c", created_at_ms=3),
    ]
    assert misses_of(turns) == [
        Miss("a", "运费？", "ann", 5, "rated_down", "答非所问"),
        Miss("c", "退货运费？", "ann", 3, "unanswered"),
    ]
