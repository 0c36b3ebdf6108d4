"""The figures of `kefu answers evaluate`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from kefu.answers.evaluate import (
    Evaluation,
    LabelledPair,
    ScoredPair,
    curve,
    curve_of_cosine,
    evaluate,
    read_pairs,
    score_pairs,
)
from kefu.answers.picture import draw
from kefu.errors import InvalidFile, InvalidInput
from kefu.inference.encoder.batcher import BatchedEncoder
from tests.answers.conftest import ALIKE, QUESTION, ScriptedJudge, Verdict


def scored(*rows: tuple[float, int]) -> list[ScoredPair]:
    return [ScoredPair(LabelledPair("a", "b", bool(same)), 0.8, p) for p, same in rows]


async def score(
    pairs: Sequence[LabelledPair], encoder: BatchedEncoder, judge: ScriptedJudge
) -> list[ScoredPair]:
    return await score_pairs(pairs, encoder, judge, "zh")


def test_a_file_of_pairs_is_read():
    text = "sentence1,sentence2,label\n运费多少,邮费多少,1\n怎么退货, 怎么换货 ,0\n"
    assert read_pairs(text.encode(), "pairs.csv") == [
        LabelledPair("运费多少", "邮费多少", True),
        LabelledPair("怎么退货", "怎么换货", False),
    ]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("sentence1,label\na,1\n", "sentence2"),
        ("sentence1,sentence2,label\na,,1\n", "line 2, sentence2: is empty"),
        ("sentence1,sentence2,label\na,b,1\na,b,yes\n", "line 3, label: 'yes' is neither"),
        ("sentence1,sentence2,label\n", "no pairs"),
    ],
)
def test_a_file_that_does_not_fit_is_refused_by_row(text: str, says: str):
    with pytest.raises(InvalidFile) as failure:
        read_pairs(text.encode(), "pairs.csv")
    assert says in f"{failure.value} {'; '.join(map(str, failure.value.problems))}"


async def test_the_rule_is_the_caches(encoder: BatchedEncoder, judge: ScriptedJudge):
    judge.others["怎么申请退货"] = Verdict(0.99, "negation")
    pairs = [
        LabelledPair(QUESTION, ALIKE, True),
        LabelledPair(QUESTION, f"{QUESTION}？", True),
        LabelledPair(QUESTION, "xylophone zebra", False),
        LabelledPair("怎么申请退货", "怎么申请退货呢", True),
        LabelledPair("我叫张三，运费多少", "我叫张三，运费多少呢", True),
        LabelledPair("我叫张三，运费多少", "我叫张三，运费多少", True),
        LabelledPair("运费多少，我叫", "运费多少，我叫张三", True),
    ]
    found = await score(pairs, encoder, judge)
    assert [(s.probability, s.is_exact) for s in found] == [
        (0.9, False),  # the judge says so
        (0.0, True),  # the same words
        (0.0, False),  # too far apart to be judged
        (0.0, False),  # a rule says no
        (0.0, False),  # never kept
        (0.0, False),  # never kept
        (0.0, False),  # never looked up
    ]
    assert len(judge.asked) == 2
    result = evaluate(found, judge.threshold)
    assert (result.hits, result.precision, result.recall) == (2, 1.0, 2 / 6)


def test_the_figures_are_shares_of_what_they_say():
    result = evaluate(scored((0.9, 1), (0.9, 0), (0.5, 1), (0.1, 0), (0.0, 0)), 0.9)
    assert result == Evaluation(0.5, 0.5, 1 / 3, n=5, hits=2, threshold=0.9)


def test_a_share_of_nothing_is_none():
    result = evaluate(scored((0.1, 0)), 0.9)
    assert (result.precision, result.recall, result.false_hit_rate) == (None, None, 0.0)


def test_what_no_threshold_lets_through_is_never_a_hit():
    assert evaluate(scored((0.0, 1)), 0.0).hits == 0


def test_the_curve_goes_from_the_surest_to_all():
    points = curve(scored((0.9, 1), (0.7, 1), (0.6, 0), (0.0, 1)))
    assert [(p.threshold, p.hits) for p in points] == [(0.9, 1), (0.7, 2), (0.6, 3)]
    assert [p.hits for p in curve_of_cosine(scored((0.9, 1), (0.1, 0)))] == [2]
    assert curve(scored((0.0, 1))) == []


def test_a_long_curve_has_a_hundred_points_and_both_ends():
    points = curve(scored(*((n / 1000, n % 2) for n in range(1, 1000))))
    assert len(points) == 101
    assert (points[0].hits, points[-1].hits) == (1, 999)


def test_the_picture_is_drawn(tmp_path: Path):
    rows = scored((0.9, 1), (0.7, 1), (0.6, 0), (0.0, 1))
    path = tmp_path / "curve.svg"
    draw(curve(rows), curve_of_cosine(rows), evaluate(rows, 0.8), path)
    picture = path.read_text("utf-8")
    assert picture.startswith("<?xml")
    with pytest.raises(InvalidInput, match="cannot be written"):
        draw([], [], evaluate(rows, 0.8), tmp_path / "nowhere" / "curve.svg")
