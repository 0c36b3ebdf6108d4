"""`kefu answers`: what people and programs read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kefu.answers.answer import CachedAnswer
from kefu.cli import answers_pairs
from kefu.knowledge.entry import Entry, IndexedEntry
from kefu.paraphrase.judge import Judge
from kefu.paraphrase.loading import DEFAULT
from kefu.settings import Settings
from kefu.stores.answers import SqlAnswers
from kefu.stores.knowledge import SqlKnowledge
from kefu.stores.opening import open_database
from tests.command_line import Run, commands
from tests.fakes import HashingEncoder

FEE = Entry("fee", "运费是多少", "运费8元。", language="zh")
GENERATED = CachedAnswer(
    key="k1",
    question="寄到上海的运费要多少",
    language="zh",
    reply="运费8元。",
    entry_hashes={"fee": FEE.content_hash},
    model="small",
    exact_hits=2,
    semantic_hits=1,
    id="a1",
)


@pytest.fixture
def run(settings: Settings) -> Iterator[Run]:
    with commands(settings.data_dir, "answers") as run:
        yield run


@pytest.fixture(autouse=True)
def kept(settings: Settings) -> None:
    with open_database(settings.database_at) as database:
        save_entry(SqlKnowledge(database), FEE)
        SqlAnswers(database).apply([GENERATED], [], [])


def save_entry(knowledge: SqlKnowledge, entry: Entry) -> None:
    knowledge.save([IndexedEntry(entry, np.ones((1, 2), np.float32))], "e")


def change_fee(settings: Settings) -> None:
    with open_database(settings.database_at) as database:
        save_entry(SqlKnowledge(database), replace(FEE, answer="运费10元。"))


def test_the_list_is_for_people_and_programs(run: Run):
    said = run("list").ok()
    assert all(word in said for word in ("a1", "generated", "2+1", "寄到上海", "1 kept."))
    found = run("list", "--json").json()
    assert found["total"] == 1
    assert found["answers"][0]["hits"] == {"exact": 2, "semantic": 1}
    assert run("list", "--search", "nowhere", "--json").json() == {"total": 0, "answers": []}
    assert run("list", "--pinned", "--json").json()["total"] == 0
    assert "No answers are kept" in run("list", "--pinned").err


def test_one_answer_is_shown_with_why_it_is_not_given(run: Run, settings: Settings):
    assert "not given" not in run("show", "a1").ok()
    change_fee(settings)
    assert "not given: its entry fee was changed" in run("show", "a1").ok()
    assert run("show", "a1", "--json").json()["doubt"] == "its entry fee was changed"


def test_an_answer_is_pinned_by_hand_and_replaced_by_the_next(run: Run):
    one = run("pin", "可以自提吗", "--reply", "可以。", "--json").json()
    assert (one["pinned"], one["language"], one["entry_ids"]) == (True, "zh", [])
    other = run("pin", "可以自提吗？", "--reply", "不可以。", "--entry", "fee", "--json").json()
    found = run("list", "--pinned", "--json").json()
    assert [(a["id"], a["reply"], a["entry_ids"]) for a in found["answers"]] == [
        (other["id"], "不可以。", ["fee"])
    ]
    run("pin", "x", "--reply", "y", "--entry", "nowhere").failed(1, "'nowhere'", "kb list")
    run("pin", "？？", "--reply", "y").failed(2, "no words")


def test_an_edit_confirms_an_answer_whose_entry_was_changed(run: Run, settings: Settings):
    change_fee(settings)
    assert "运费10元" in run("edit", "a1", "--reply", "运费10元。").ok()
    shown = run("show", "a1", "--json").json()
    assert (shown["doubt"], shown["edited"], shown["pinned"]) == (None, True, False)
    assert run("edit", "a1", "--pin", "--json").json()["pinned"] is True
    assert run("edit", "a1", "--unpin", "--json").json()["pinned"] is False
    run("edit", "a1").failed(2, "--reply")
    run("edit", "nowhere", "--pin").failed(1, "'nowhere'", "kefu answers list")


def test_answers_are_dropped_and_cleared(run: Run):
    run("drop", "a1", "nowhere").failed(1, "'nowhere'")
    assert run("list", "--json").json()["total"] == 1  # all or nothing
    assert "1 dropped" in run("drop", "a1").ok()
    run("pin", "可以自提吗", "--reply", "可以。")
    run("pin", "周末上班吗", "--reply", "上班。", "--entry", "fee")
    assert run("clear", "--keep-pinned", "--json").json() == {"dropped": 0}
    assert run("clear", "--entry", "fee", "--json").json() == {"dropped": 1}
    assert run("clear", "--json").json() == {"dropped": 1}


# Pairs


class LengthScorer:
    """Sure that pairs of nearly the same length ask the same."""

    id = "pairs-1"

    def logits(self, pairs: Sequence[tuple[str, str]]) -> np.ndarray:
        return np.array([20 - 8 * abs(len(a) - len(b)) for a, b in pairs], np.float32)


@pytest.fixture
def with_models(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers_pairs, "open_encoder", lambda *_: HashingEncoder())
    monkeypatch.setattr(answers_pairs, "open_judge", lambda _: Judge(LengthScorer(), DEFAULT))


PAIRS = (
    "sentence1,sentence2,label\n"
    "寄到上海的运费要多少,寄到上海的运费要多少呢,1\n"
    "寄到上海的运费要多少,寄到上海的运费要多少？,1\n"
    "寄到上海的运费要多少,怎么退货,0\n"
)


def many_pairs(number: int) -> str:
    """Those that ask the same differ by one character, the others by two or three."""
    rows = ["sentence1,sentence2,label"]
    for n in range(number):
        question = f"第 {n} 号商品寄到上海的运费到底要多少钱才对"
        rows += [f"{question},{question}呢,1", f"{question},{question}{'呢啊呀'[: 2 + n % 2]},0"]
    return "\n".join(rows) + "\n"


def test_evaluate_prints_the_figures_and_the_curve(run: Run, with_models: None, tmp_path: Path):
    said = run("evaluate", "-", stdin=PAIRS).ok()
    assert "precision        1.0000" in said
    picture = tmp_path / "curve.svg"
    found = run("evaluate", "-", "--json", "--curve", "--picture", picture, stdin=PAIRS)
    result = found.json()
    assert (result["precision"], result["recall"], result["false_hit_rate"]) == (1.0, 1.0, 0.0)
    assert (result["n"], result["hits"], result["threshold"]) == (3, 2, DEFAULT.threshold)
    assert len(result["curve"]) == 1
    assert "Wrote" in found.err
    assert picture.stat().st_size > 1000
    assert "threshold" in run("evaluate", "-", "--curve", stdin=PAIRS).ok()


def test_evaluate_says_what_is_wrong_with_the_file(run: Run, with_models: None):
    run("evaluate", "-", stdin=PAIRS + "a,b,2\n").failed(2, "line 5, label", "neither 1")
    run("evaluate", "-", "--picture", "curve.gif", stdin=PAIRS).failed(2, ".png or .svg")


def test_evaluate_without_the_pair_model_counts_the_same_words_only(
    run: Run, with_models: None, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(answers_pairs, "open_judge", lambda _: Judge(None, DEFAULT))
    found = run("evaluate", "-", "--json", stdin=PAIRS)
    assert (found.json()["hits"], found.json()["recall"]) == (1, 0.5)
    assert "pair model is not installed" in found.err
    run("calibrate", "-", stdin=PAIRS).failed(1, "nothing to calibrate")


def test_calibrate_uses_what_is_better_and_can_go_back(run: Run, with_models: None):
    # Sure from the logit 12 on: pairs that differ by two characters are not told apart.
    found = run("calibrate", "-", "--json", stdin=many_pairs(300)).json()
    assert found["is_better"]
    assert found["after"]["recall"] >= found["before"]["recall"]
    listed = run("calibrations", "--json").json()
    assert listed["in_use"] == found["version"]
    assert [v["in_use"] for v in listed["versions"]] == [True]
    result = run("evaluate", "-", "--json", stdin=many_pairs(50)).json()
    assert result["threshold"] == found["calibration"]["threshold"]
    assert found["version"] in run("calibrations", "--use", "shipped").ok()
    after = run("evaluate", "-", "--json", stdin=many_pairs(50)).json()
    assert after["threshold"] == DEFAULT.threshold
    run("calibrations", "--use", "nowhere").failed(1, "'nowhere'")


def test_calibrate_refuses_what_is_worse(run: Run, with_models: None):
    turned = many_pairs(300).replace(",1\n", ",x\n").replace(",0\n", ",1\n").replace(",x\n", ",0\n")
    ran = run("calibrate", "-", "--false-hits", "0.02", stdin=turned)
    assert (ran.code, "Not taken into use" in ran.out) in ((1, True), (0, False))
    run("calibrate", "-", stdin=PAIRS).failed(2, "100 of each")
