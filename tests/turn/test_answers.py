"""Answers that are given again, questions that are asked back, and talk that goes on."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from kefu.knowledge.entry import Entry
from kefu.turn.reply import Message, Reply
from tests.fakes import ScriptedGenerator
from tests.turn.conftest import ENTRIES, Bench

NEAR = "请问邮费运费是多少"
TWICE = "可以自提吗"


async def ask(bench: Bench, text: str, uid: str = "u") -> Reply:
    return await bench.desk.take(Message(uid, text)).reply()


async def test_fifty_who_ask_the_same_share_one_generation(
    bench: Bench, generator: ScriptedGenerator
):
    generator.gate = asyncio.Event()
    turns = [bench.desk.take(Message(f"u{number}", NEAR)) for number in range(50)]
    while bench.answers.lookups["shared"] < 49:
        await asyncio.sleep(0)
    generator.gate.set()
    replies = await asyncio.gather(*(turn.reply() for turn in turns))
    assert len(generator.prompts) == 1
    assert {(reply.text, reply.source) for reply in replies} == {("运费8元。", "model")}
    assert len({reply.turn_id for reply in replies}) == 50
    for number in range(50):
        (kept,) = await bench.transcript.last_turns(f"u{number}", 10)
        assert (kept.question, kept.reply) == (NEAR, "运费8元。")


async def test_the_same_words_are_answered_from_the_cache(
    bench: Bench, generator: ScriptedGenerator
):
    first = await ask(bench, NEAR)
    second = await ask(bench, f"{NEAR}？", uid="other")
    assert (first.source, second.source) == ("model", "cache")
    assert (second.text, second.citations) == (first.text, first.citations)
    assert len(generator.prompts) == 1
    assert "encode" not in second.timings_ms


async def test_an_edited_entry_is_never_answered_from_what_it_said(
    bench: Bench, generator: ScriptedGenerator
):
    await ask(bench, NEAR)
    await bench.knowledge.import_entries([replace(ENTRIES[0], answer="运费9元，满99元免运费。")])
    generator.pieces = ("运费", "9元", "。")
    reply = await ask(bench, NEAR, uid="other")
    assert (reply.source, reply.text) == ("model", "运费9元。")


async def test_what_goes_on_from_a_talk_is_not_kept(bench: Bench, generator: ScriptedGenerator):
    goes_on = "那运费是多少"
    for uid in ("one", "two"):
        await ask(bench, "怎么申请退货", uid)
        reply = await ask(bench, goes_on, uid)
        assert reply.source == "model"
        assert reply.standalone_question == f"怎么申请退货 {goes_on}"
    assert len(generator.prompts) == 2
    assert bench.answers.answers == []


async def test_two_entries_that_fit_alike_are_asked_back(
    bench: Bench, generator: ScriptedGenerator
):
    await bench.knowledge.import_entries(
        [
            Entry("shop", TWICE, "可以到店自提。", language="zh"),
            Entry("locker", TWICE, "可以到柜自提。", language="zh"),
        ]
    )
    reply = await ask(bench, TWICE)
    assert {choice.id for choice in reply.choices} == {"shop", "locker"}
    assert (reply.source, reply.citations, generator.prompts) == ("canned", (), [])
    assert reply.confidence <= 0.5
    (kept,) = await bench.transcript.last_turns("u", 10)
    assert kept.choices == reply.choices


async def test_a_short_question_that_is_known_is_no_follow_up(bench: Bench):
    await ask(bench, "怎么申请退货")
    reply = await ask(bench, "运费是多少")
    assert (reply.source, reply.standalone_question) == ("faq", "")


async def test_a_passage_is_quoted_where_the_model_may_not_write(
    bench: Bench, generator: ScriptedGenerator
):
    """There is no question of its own that could be asked back."""
    generator.pieces = ("抱歉没有这个答案",)
    passage = Entry(
        "hall",
        "营业时间 > 周末",
        "周末十点开门。",
        ("周末十点开门。",),
        language="zh",
        kind="passage",
    )
    await bench.knowledge.import_entries([passage])
    reply = await ask(bench, "营业时间周末是怎样的呀")
    assert (reply.source, reply.choices) == ("faq", ())
    assert "周末十点开门。" in reply.text
    assert reply.confidence <= 0.5
