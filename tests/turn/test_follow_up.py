"""What goes on from a talk, and how the searches for it are weighed."""

from __future__ import annotations

import pytest

from kefu.errors import InvalidFile
from kefu.knowledge.entry import Entry
from kefu.knowledge.index import Match
from kefu.turn.dialogues import evaluate_dialogues, is_dialogues, read_dialogues
from kefu.turn.follow_up import Topic, goes_on, points_back, weigh
from tests.turn.conftest import Bench


def entry(id_: str, *tags: str) -> Entry:
    return Entry(id_, f"{id_}?", f"{id_}.", tags=tags, language="en")


def match(known: Entry, relevance: float, *, foreign: bool = False) -> Match:
    return Match(
        known, known.question, relevance, relevance, relevance, relevance, 0.1, foreign=foreign
    )


FEE, RETURN, GIFT = entry("fee", "delivery"), entry("return", "returns"), entry("gift", "gifts")


@pytest.mark.parametrize(
    "text", ["那运费呢？", "它要多少钱才能买到手呀", "要是已经寄出来了而且还没收到怎么办"]
)
def test_chinese_that_points_back(text: str):
    assert points_back(text, "zh")


@pytest.mark.parametrize(
    "text",
    ["and for shoes?", "How long does that take to arrive", "what about a longer stay abroad"],
)
def test_english_that_points_back(text: str):
    assert points_back(text, "en")


@pytest.mark.parametrize("text", ["怎么申请退货退款并且开发票", "你们的店开在哪条路上"])
def test_what_says_enough_alone(text: str):
    assert not goes_on(text, "zh")


def test_a_short_message_may_go_on_without_pointing_back():
    assert goes_on("多久能到", "zh")
    assert not points_back("多久能到", "zh")
    assert goes_on("how much", "en")


def test_the_words_alone_count_most():
    found = weigh(
        Topic("q", None),
        [match(FEE, 0.6), match(RETURN, 0.3)],
        [match(RETURN, 0.7), match(FEE, 0.3)],
        [match(FEE, 0.4), match(RETURN, 0.3)],
    )
    assert [m.entry.id for m in found] == ["fee", "return"]


def test_the_topic_lifts_its_own_and_not_what_was_just_given():
    same = entry("return-fee", "returns")
    alone = [match(FEE, 0.50), match(same, 0.48), match(RETURN, 0.50)]
    found = weigh(Topic("q", RETURN), alone, alone, alone)
    assert [m.entry.id for m in found] == ["return-fee", "fee", "return"]


def test_an_entry_that_one_search_lacks_counts_there_as_its_least():
    found = weigh(
        Topic("q", None),
        [match(FEE, 0.5), match(RETURN, 0.4)],
        [match(FEE, 0.5), match(GIFT, 0.45)],
        [],
    )
    assert {m.entry.id for m in found} == {"fee", "return", "gift"}
    assert found[0].entry.id == "fee"


def test_no_entry_is_less_near_in_a_talk_than_alone():
    found = weigh(Topic("q", None), [match(FEE, 0.8)], [match(FEE, 0.1)], [match(FEE, 0.1)])
    assert found[0].relevance == 0.8


def test_foreign_entries_stay_behind():
    found = weigh(Topic("q", None), [match(FEE, 0.2), match(RETURN, 0.9, foreign=True)], [], [])
    assert [m.entry.id for m in found] == ["fee", "return"]


DIALOGUES = (
    '{"turns": [{"customer": "怎么申请退货", "faq_id": "return-zh"}, '
    '{"customer": "那运费是多少", "faq_id": "fee-zh"}, '
    '{"customer": "运费是多少", "faq_id": "fee-zh", "new_topic": true}]}\n'
)


async def test_dialogues_are_evaluated(bench: Bench):
    dialogues = read_dialogues(DIALOGUES.encode(), "talk.jsonl")
    result = await evaluate_dialogues(dialogues, bench.knowledge, bench.encoder)
    assert (result.first_hit, result.follow_up_hit, result.new_topic_hit) == (1.0, 1.0, 1.0)
    assert (result.n_dialogues, result.n_follow_ups, result.n_new_topics) == (1, 1, 1)
    assert (result.recognised, result.standalone_kept) == (1.0, 0.0)  # short: it may go on


def test_dialogues_are_told_from_queries():
    assert is_dialogues(DIALOGUES)
    assert not is_dialogues("query,faq_id\nq,f\n")
    assert not is_dialogues('{"query": "q", "faq_id": "f"}')
    assert not is_dialogues('["turns"]')
    assert not is_dialogues("")


@pytest.mark.parametrize(
    "line", ['{"turns": [{"customer": ""}]}', '{"turns": 5}', '{"turns": [{"faq_id": "f"}]}', "{"]
)
def test_a_bad_dialogue_is_named_by_its_line(line: str):
    with pytest.raises(InvalidFile) as caught:
        read_dialogues(f"{DIALOGUES}{line}\n".encode(), "talk.jsonl")
    assert [problem.line for problem in caught.value.problems] == [2]
