from __future__ import annotations

from pathlib import Path

import pytest
from structlog.testing import capture_logs

from kefu.paraphrase.alignment import AlignmentScorer
from kefu.paraphrase.judge import Judge
from kefu.paraphrase.loading import DEFAULT, open_judge
from kefu.paraphrase.trees import shipped_trees
from kefu.settings import Settings, load_settings
from tests.paraphrase.fake_states import FakeStates

NAME = "multilingual-e5-small-kefu"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings({"data_dir": tmp_path})


@pytest.fixture
def scorer() -> AlignmentScorer:
    return AlignmentScorer(FakeStates())


async def test_the_same_words_are_surer_than_others(scorer: AlignmentScorer) -> None:
    judge = Judge(scorer, DEFAULT)
    same, other = await judge.judge("怎么申请退货", ["怎么申请退货", "会员积分有什么用"])
    assert same.probability > judge.threshold > other.probability
    assert same.disagreement is None


async def test_a_rule_names_what_differs(scorer: AlignmentScorer) -> None:
    (found,) = await Judge(scorer, DEFAULT).judge("怎么开启通知", ["怎么关闭通知"])
    assert found.disagreement is not None


def test_scores_do_not_depend_on_order_or_company(scorer: AlignmentScorer) -> None:
    pairs = [("怎么退货", "可以退货吗"), ("取消订单", "订单怎么取消"), ("a", "")]
    together = scorer.logits(pairs).tolist()
    assert together == [float(scorer.logits([(b, a)])[0]) for a, b in pairs]
    assert scorer.logits([]).shape == (0,)


def test_the_id_names_the_trees_too(scorer: AlignmentScorer, tmp_path: Path) -> None:
    content = tmp_path / "pairs.json"
    content.write_bytes(shipped_trees().read_bytes() + b"\n")
    assert AlignmentScorer(FakeStates(), content).id != scorer.id
    assert AlignmentScorer(FakeStates()).id == scorer.id


async def test_without_the_model_nothing_is_the_same_and_the_log_says_how_to_get_it(
    settings: Settings,
) -> None:
    with capture_logs() as lines:
        judge = open_judge(settings)
    assert not judge.is_able
    (line,) = lines
    assert f"kefu models pull {NAME}" in line["reason"]
    (found,) = await judge.judge("怎么退货", ["怎么退货"])
    assert found.probability == 0


def test_a_damaged_model_is_logged_and_done_without(settings: Settings) -> None:
    (settings.models_dir / NAME).mkdir(parents=True)
    with capture_logs() as lines:
        assert not open_judge(settings).is_able
    assert [line["log_level"] for line in lines] == ["warning"]


REAL = [
    ("怎么申请退货", "如何办理退货？", "怎么取消退货申请"),
    ("退货运费谁出", "退货的邮费由谁承担", "退货要多久到账"),
    ("How do I delete my account?", "how can i delete my account", "How do I change my email?"),
]


@pytest.mark.models
@pytest.mark.parametrize(("question", "same", "other"), REAL)
async def test_the_real_judge_puts_rephrasings_first(
    question: str, same: str, other: str, models_dir: Path
) -> None:
    judge = open_judge(load_settings({"data_dir": models_dir.parent}))
    near, far = await judge.judge(question, [same, other])
    assert near.probability > far.probability
    assert far.probability < judge.threshold or far.disagreement
