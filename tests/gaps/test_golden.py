from __future__ import annotations

import pytest

from kefu.errors import InvalidInput
from kefu.gaps import golden as module
from kefu.gaps.golden import (
    GoldenQuestion,
    Outcome,
    Standing,
    changes,
    check,
    require_golden,
    require_room,
)
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.knowledge.service import Knowledge

WRONG, LOST, FIRST, SURE = Standing


async def test_how_well_each_is_served(knowledge: Knowledge, encoder: BatchedEncoder) -> None:
    asked = {
        "运费是多少": ("fee", Outcome("sure", "fee", SURE)),
        "请问一下你们运费到底是多少": ("fee", Outcome("passages", "fee", FIRST)),
        "怎么申请退货": ("fee", Outcome("sure", "return", WRONG)),
        "请问一下怎么申请退货款": ("fee", Outcome("passages", "return", LOST)),
        "要付邮费吗": ("", Outcome("sure", "fee", WRONG)),
        "wxyz": ("", Outcome("nothing", "fee", SURE)),
    }
    golden = [GoldenQuestion(question, entry) for question, (entry, _) in asked.items()]
    found = await check(golden, knowledge, encoder)
    assert [(o.decision, o.standing) for o in found] == [
        (o.decision, o.standing) for _, o in asked.values()
    ]
    assert [o.entry_id for o in found[:-1]] == [o.entry_id for _, o in asked.values()][:-1]
    assert [o.is_right for o in found] == [True, True, False, False, False, True]


@pytest.mark.parametrize(
    ("was", "would_be", "verdict"),
    [
        (SURE, FIRST, "broken"),
        (FIRST, LOST, "broken"),
        (LOST, WRONG, "broken"),
        (SURE, WRONG, "broken"),
        (LOST, FIRST, "mended"),
        (WRONG, SURE, "mended"),
        (FIRST, FIRST, ""),
    ],
)
def test_worse_is_broken_and_better_is_mended(
    was: Standing, would_be: Standing, verdict: str
) -> None:
    golden = [GoldenQuestion("q", "fee")]
    before, after = Outcome("sure", "fee", was), Outcome("passages", "other", would_be)
    broken, mended = changes(golden, [before], [after])
    assert (bool(broken), bool(mended)) == (verdict == "broken", verdict == "mended")
    for change in broken + mended:
        assert (change.question, change.was, change.would_be) == ("q", before, after)


@pytest.mark.parametrize(
    ("questions", "words"),
    [
        ([GoldenQuestion(" ", "")], "is empty"),
        ([GoldenQuestion("问" * 501, "")], "501 characters"),
        ([GoldenQuestion("a\x00", "")], "not text"),
        ([GoldenQuestion("q", "typo")], "no entry 'typo'"),
        ([GoldenQuestion("q", "fee"), GoldenQuestion("q", "")], "two entries"),
    ],
)
def test_bad_questions_are_named(questions: list[GoldenQuestion], words: str) -> None:
    with pytest.raises(InvalidInput, match=words):
        require_golden([GoldenQuestion("good", ""), *questions], {"fee"})
    require_golden([GoldenQuestion("good", "fee"), GoldenQuestion("good", "fee")], {"fee"})


def test_a_long_list_of_problems_is_cut() -> None:
    with pytest.raises(InvalidInput, match="and 5 more"):
        require_golden([GoldenQuestion(f"q{n}", "typo") for n in range(25)], {})


def test_the_set_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_GOLDEN", 3)
    kept = [GoldenQuestion(f"q{n}", "") for n in range(3)]
    require_room(kept, kept)
    with pytest.raises(InvalidInput, match="4 questions; 3 are allowed"):
        require_room(kept, [GoldenQuestion("q9", "")])
