"""Questions and answers that a text marks as such."""

from __future__ import annotations

import pytest

from kefu.knowledge.documents.blocks import Block
from kefu.knowledge.documents.pairs import LONGEST_ANSWER, find_pairs


def pairs(*texts: str) -> list[tuple[str, str]]:
    found, _ = find_pairs([Block("paragraph", text) for text in texts])
    return [(pair.question, pair.answer) for pair in found]


@pytest.mark.parametrize(
    "texts",
    [
        ("问：能退吗？答：能。",),
        ("问：能退吗？", "答：能。"),
        ("Q1：能退吗？\nA1：能。",),
        ("【问】能退吗？", "【答】能。"),
        ("问题 3: 能退吗？", "答案: 能。"),
    ],
)
def test_marks_of_many_kinds(texts: tuple[str, ...]) -> None:
    assert pairs(*texts) == [("能退吗？", "能。")]


def test_an_answer_goes_on_until_the_next_question() -> None:
    found, rest = find_pairs(
        [
            Block("paragraph", "Common questions"),
            Block("paragraph", "Q: Which is better, Option A: or B?"),
            Block("paragraph", "A: Both."),
            Block("item", "really"),
            Block("paragraph", "Q: And this?"),
            Block("paragraph", "A. Yes.", page=2),
        ]
    )
    assert [(pair.question, pair.answer) for pair in found] == [
        ("Which is better, Option A: or B?", "Both.\nreally"),
        ("And this?", "Yes."),
    ]
    assert [block.text for block in rest] == ["Common questions"]


def test_what_nobody_answers_stays_text() -> None:
    found, rest = find_pairs([Block("paragraph", "问：有人吗？"), Block("paragraph", "没有答案")])
    assert (found, len(rest)) == ([], 2)


def test_a_page_of_text_is_no_answer() -> None:
    assert pairs("问：能退吗？", "答：" + "很长。" * LONGEST_ANSWER) == []
