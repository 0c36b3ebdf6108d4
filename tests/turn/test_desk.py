"""A message is answered once, in order, and kept; retries join; leaving stops the work."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from kefu.answers.flights import InLine
from kefu.answers.key import Scope
from kefu.errors import (
    GeneratorUnavailable,
    IdempotencyKeyReused,
    Overloaded,
    TooManyWaiting,
    TurnTimedOut,
)
from kefu.inference.generator.protocol import PromptRefused
from kefu.knowledge.match import Passages
from kefu.knowledge.shelf import Match
from kefu.settings import ConversationSettings
from kefu.telemetry import StageClock
from kefu.turn.desk import Stopping
from kefu.turn.prompt import PromptWriter
from kefu.turn.rates import OwnRates, TooManyMessages
from kefu.turn.reply import Message, Round
from kefu.turn.writer import Question
from tests.fakes import ScriptedGenerator
from tests.turn.conftest import KNOWN, NEAR, Bench, OpenBench, until

SCOPE = Scope("zh", "a model", "a prompt", 256)
GOES_ON = "那运费是多少"


async def test_a_known_question_gets_the_vetted_answer_and_is_kept(
    bench: Bench, generator: ScriptedGenerator
):
    reply = await bench.desk.take(Message("u", KNOWN)).reply()
    assert (reply.text, reply.source) == ("运费8元，满99元免运费。", "faq")
    assert [c.id for c in reply.citations] == ["fee-zh"]
    assert reply.intent.label == "delivery"
    assert reply.confidence == 1
    assert {"encode", "search", "total"} <= reply.timings_ms.keys()
    assert generator.prompts == []
    (kept,) = await bench.transcript.last_turns("u", 10)
    assert (kept.question, kept.reply, kept.status) == (KNOWN, reply.text, "answered")
    assert kept.turn_id == reply.turn_id


async def test_a_near_question_is_written_from_the_passages(
    bench: Bench, generator: ScriptedGenerator
):
    turn = bench.desk.take(Message("u", NEAR))
    assert "".join([piece async for piece in turn.pieces()]) == "运费8元。"
    reply = await turn.reply()
    assert (reply.text, reply.source) == ("运费8元。", "model")
    assert "fee-zh" in [c.id for c in reply.citations]
    assert reply.usage is not None
    assert reply.usage.completion_tokens == 3
    assert "满99元免运费" in (generator.prompts[0].text or "")
    assert generator.sessions == ["u"]
    assert "first_token" in reply.timings_ms


async def test_nothing_near_is_an_honest_refusal(bench: Bench, generator: ScriptedGenerator):
    reply = await bench.desk.take(Message("u", "xylophone zebra quantum")).reply()
    assert (reply.source, reply.confidence, reply.citations) == ("handoff", 0.0, ())
    assert reply.intent.label == "oos"
    assert "colleague" in reply.text  # in the customer's language
    assert generator.prompts == []


async def test_a_generator_that_does_not_know_hands_over_and_sends_no_half_refusal(
    bench: Bench, generator: ScriptedGenerator
):
    generator.pieces = ("抱歉，", "资料里没有", "提到这个。")
    turn = bench.desk.take(Message("u", NEAR))
    sent = [piece async for piece in turn.pieces()]
    reply = await turn.reply()
    assert reply.source == "handoff"
    assert sent == [reply.text]
    assert "同事" in reply.text


async def test_what_looks_like_a_refusal_at_first_is_sent_once_it_is_not(
    bench: Bench, generator: ScriptedGenerator
):
    generator.pieces = (" 抱歉，", "让您久等，", "运费8元。\n")
    turn = bench.desk.take(Message("u", NEAR))
    sent = [piece async for piece in turn.pieces()]
    assert "".join(sent) == (await turn.reply()).text == "抱歉，让您久等，运费8元。"


async def test_a_retry_while_it_runs_joins_and_gets_everything_from_the_start(
    bench: Bench, generator: ScriptedGenerator
):
    generator.gate = asyncio.Event()
    first = bench.desk.take(Message("u", NEAR, idempotency_key="k"))
    pieces = first.pieces()
    begun = await anext(pieces)  # what may still become a listed word waits for the next piece
    assert "运费".startswith(begun)
    second = bench.desk.take(Message("u", NEAR, idempotency_key="k"))
    assert second is first
    joined = asyncio.ensure_future(_all(second.pieces()))
    generator.gate.set()
    assert "".join(await joined) == "运费8元。"
    assert begun + "".join([p async for p in pieces]) == "运费8元。"
    assert len(generator.prompts) == 1
    assert len(await bench.transcript.last_turns("u", 10)) == 1


async def test_a_retry_after_the_answer_gets_the_same_one_without_writing_again(
    bench: Bench, generator: ScriptedGenerator
):
    first = await bench.desk.take(Message("u", NEAR, idempotency_key="k")).reply()
    again = bench.desk.take(Message("u", NEAR, idempotency_key="k"))
    assert "".join([piece async for piece in again.pieces()]) == first.text
    second = await again.reply()
    assert second.as_json() == first.as_json()
    assert len(generator.prompts) == 1
    assert len(await bench.transcript.last_turns("u", 10)) == 1


async def test_a_retry_after_a_restart_gets_the_kept_answer(
    open_bench: OpenBench, generator: ScriptedGenerator
):
    before = open_bench(ConversationSettings())
    first = await before.desk.take(Message("u", NEAR, idempotency_key="k")).reply()
    after = open_bench(ConversationSettings())
    second = await after.desk.take(Message("u", NEAR, idempotency_key="k")).reply()
    assert second.as_json() == first.as_json()
    assert len(generator.prompts) == 1


async def test_a_key_used_for_another_message_is_refused(bench: Bench):
    running = bench.desk.take(Message("u", KNOWN, idempotency_key="k"))
    with pytest.raises(IdempotencyKeyReused):
        bench.desk.take(Message("u", "something else", idempotency_key="k"))
    await running.reply()
    with pytest.raises(IdempotencyKeyReused):
        await bench.desk.take(Message("u", "something else", idempotency_key="k")).reply()
    assert len(await bench.transcript.last_turns("u", 10)) == 1


async def test_a_retry_while_the_left_turn_still_ends_is_answered(
    bench: Bench, generator: ScriptedGenerator
):
    generator.gate = asyncio.Event()
    left = bench.desk.take(Message("u", NEAR, idempotency_key="k"))
    reading = asyncio.ensure_future(left.reply())
    await until(lambda: generator.running == 1)
    reading.cancel()
    await asyncio.wait([reading])
    generator.gate = None
    retry = bench.desk.take(Message("u", NEAR, idempotency_key="k"))
    assert retry is not left
    joined = bench.desk.take(Message("u", NEAR, idempotency_key="k"))
    assert joined is retry
    reply = await retry.reply()
    assert (reply.source, reply.text) == ("model", "运费8元。")
    (kept,) = await bench.transcript.last_turns("u", 10)
    assert (kept.status, kept.turn_id) == ("answered", reply.turn_id)
    assert bench.desk._by_key == {}


async def test_the_last_follower_leaving_stops_the_writing_and_keeps_the_words(
    bench: Bench, generator: ScriptedGenerator
):
    generator.gate = asyncio.Event()
    turn = bench.desk.take(Message("u", NEAR, idempotency_key="k"))
    followers = [turn.pieces(), turn.pieces()]
    for pieces in followers:
        assert "运费".startswith(await anext(pieces))
    await followers[0].aclose()
    assert generator.running == 1
    await followers[1].aclose()
    await until(lambda: generator.closed_early == 1)
    await until(lambda: not bench.desk._tasks)
    (kept,) = await bench.transcript.last_turns("u", 10)
    assert (kept.question, kept.status, kept.reply) == (NEAR, "stopped", "")

    generator.gate = None
    reply = await bench.desk.take(Message("u", NEAR, idempotency_key="k")).reply()
    (kept,) = await bench.transcript.last_turns("u", 10)
    assert (kept.status, kept.reply) == ("answered", reply.text)


async def test_a_failed_answer_is_told_and_the_words_are_kept(
    bench: Bench, generator: ScriptedGenerator
):
    generator.error = GeneratorUnavailable("llama.cpp died")
    turn = bench.desk.take(Message("u", NEAR))
    # What may still become a listed word waits for the next piece, which never comes.
    assert "".join([p async for p in turn.pieces()]) in ("运费8", "运费8元", "运费8元。")
    with pytest.raises(GeneratorUnavailable):
        await turn.reply()
    (kept,) = await bench.transcript.last_turns("u", 10)
    assert (kept.status, kept.error_code, kept.reply) == ("failed", "generator_unavailable", "")
    # The failed words are no part of the conversation that the generator sees.
    generator.error = None
    await bench.desk.take(Message("u", NEAR)).reply()
    assert "运费8元。" not in (generator.prompts[-1].text or "")


async def test_where_there_is_no_room_to_write_the_best_that_is_known_is_said(
    bench: Bench, generator: ScriptedGenerator
):
    generator.pieces, generator.error = (), Overloaded("full")
    reply = await bench.desk.take(Message("u", NEAR)).reply()
    assert (reply.source, [c.id for c in reply.citations]) == ("faq", ["fee-zh"])
    assert "运费8元，满99元免运费。" in reply.text
    (kept,) = await bench.transcript.last_turns("u", 10)
    assert (kept.status, kept.reply) == ("answered", reply.text)
    # Nothing of it is given again once there is room.
    generator.pieces, generator.error = ("运费", "8元", "。"), None
    assert (await bench.desk.take(Message("v", NEAR)).reply()).source == "model"


async def test_where_nothing_can_be_pointed_out_a_person_will_come_back(
    bench: Bench, generator: ScriptedGenerator
):
    """The one passage that a chat model could use is in another language."""
    generator.pieces, generator.error = (), Overloaded("full")
    writer = replace(bench.pipeline.writer, prompts=PromptWriter("chat"))
    entry = bench.knowledge.entries["fee-en"]
    found = Passages((Match(entry, entry.question, 0.5, 0.5, 0.5, 0.5, 0.1, foreign=True),), "")
    vector = await bench.encoder.encode(NEAR)
    question = Question(Message("u", NEAR), NEAR, "zh", vector, SCOPE, 1)
    draft = await writer.write(question, found, lambda _: None, StageClock(bench.metrics))
    assert draft.source == "handoff"
    assert draft.text == draft.unsent
    assert "咨询的人很多" in draft.text
    # That many ask is not said where it is not why.
    generator.error = GeneratorUnavailable("no upstream answers")
    draft = await writer.write(question, found, lambda _: None, StageClock(bench.metrics))
    assert draft.source == "handoff"
    assert "咨询的人很多" not in draft.text


async def test_where_nobody_can_write_the_best_that_is_known_is_said(
    bench: Bench, generator: ScriptedGenerator
):
    generator.pieces, generator.error = (), GeneratorUnavailable("no upstream answers")
    reply = await bench.desk.take(Message("u", NEAR)).reply()
    assert (reply.source, [c.id for c in reply.citations]) == ("faq", ["fee-zh"])
    (kept,) = await bench.transcript.last_turns("u", 10)
    assert (kept.status, kept.reply) == ("answered", reply.text)
    unwritten = bench.metrics.registry.get_sample_value
    assert unwritten("kefu_unwritten_replies_total", {"source": "faq"}) == 1


async def test_a_prompt_that_is_refused_is_an_error(bench: Bench, generator: ScriptedGenerator):
    generator.pieces, generator.error = (), PromptRefused("too long for this model")
    with pytest.raises(PromptRefused):
        await bench.desk.take(Message("u", NEAR)).reply()


async def test_a_customer_hears_where_the_answer_waits_in_line(
    bench: Bench, generator: ScriptedGenerator
):
    generator.positions = (2, 1)
    turn = bench.desk.take(Message("u", NEAR))
    heard = [piece async for piece in turn.pieces()]
    assert heard[0] in (InLine(2), InLine(1))
    assert all(isinstance(piece, str) for piece in heard[heard.index(InLine(1)) + 1 :])
    assert "".join(piece for piece in heard if isinstance(piece, str)) == "运费8元。"
    assert (await turn.reply()).usage is not None


async def test_a_refused_message_was_not_taken(bench: Bench, generator: ScriptedGenerator):
    generator.error = Overloaded("full")
    with pytest.raises(Overloaded):
        await bench.desk.take(Message("u", NEAR)).reply()
    assert await bench.transcript.last_turns("u", 10) == []


async def test_one_turn_at_a_time_for_a_customer_in_order_others_in_parallel(
    bench: Bench, generator: ScriptedGenerator
):
    generator.gate = asyncio.Event()
    slow = bench.desk.take(Message("u", NEAR))
    await until(lambda: generator.running == 1)
    waiting = [bench.desk.take(Message("u", KNOWN + "？" * n)) for n in range(3)]
    replies = [asyncio.ensure_future(turn.reply()) for turn in waiting]
    other = await bench.desk.take(Message("somebody else", KNOWN)).reply()
    assert other.source == "faq"
    assert not any(reply.done() for reply in replies)
    generator.gate.set()
    await asyncio.gather(slow.reply(), *replies)
    kept = await bench.transcript.last_turns("u", 10)
    assert [t.question for t in kept] == [NEAR, KNOWN, KNOWN + "？", KNOWN + "？？"]
    assert len({t.conversation_id for t in kept}) == 1
    assert bench.desk._queues._queues == {}


async def test_more_than_may_come_in_a_minute_are_refused_and_a_retry_is_not(
    bench: Bench, generator: ScriptedGenerator
):
    desk = bench.desk
    desk._rates = OwnRates(1)
    first = await desk.take(Message("u", KNOWN, idempotency_key="k")).reply()
    with pytest.raises(TooManyMessages):
        await desk.take(Message("u", KNOWN)).reply()
    again = await desk.take(Message("u", KNOWN, idempotency_key="k")).reply()
    assert again.turn_id == first.turn_id
    await desk.take(Message("somebody else", KNOWN)).reply()
    assert len(await bench.transcript.last_turns("u", 10)) == 1  # what was refused was not taken


async def test_too_many_waiting_messages_of_one_customer_are_refused(
    open_bench: OpenBench, generator: ScriptedGenerator
):
    bench = open_bench(ConversationSettings(max_waiting_per_uid=2))
    generator.gate = asyncio.Event()
    turns = [bench.desk.take(Message("u", NEAR)) for _ in range(4)]
    replies = [asyncio.ensure_future(turn.reply()) for turn in turns]
    with pytest.raises(TooManyWaiting):
        await replies[3]
    generator.gate.set()
    assert len(await asyncio.gather(*replies[:3])) == 3


async def test_a_turn_that_takes_too_long_is_given_up(
    open_bench: OpenBench, generator: ScriptedGenerator
):
    bench = open_bench(ConversationSettings(turn_seconds=0.05))
    generator.gate = asyncio.Event()
    with pytest.raises(TurnTimedOut):
        await bench.desk.take(Message("u", NEAR)).reply()
    assert generator.closed_early == 1
    (kept,) = await bench.transcript.last_turns("u", 10)
    assert (kept.status, kept.error_code) == ("failed", "turn_timed_out")


async def test_earlier_rounds_are_read_and_a_restart_does_not_forget_them(
    open_bench: OpenBench, generator: ScriptedGenerator
):
    first = open_bench(ConversationSettings(context_rounds=2))
    for question in ("怎么申请退货", KNOWN, "要付邮费吗"):
        await first.desk.take(Message("u", question)).reply()
    for bench in (first, open_bench(ConversationSettings(context_rounds=2))):
        generator.prompts.clear()
        talk = await bench.contexts.get("u")
        assert [r.question for r in talk.rounds] == [KNOWN, "要付邮费吗"]


async def test_the_prompt_of_a_follow_up_has_the_rounds_before(
    bench: Bench, generator: ScriptedGenerator
):
    await bench.desk.take(Message("u", "怎么申请退货")).reply()
    await bench.desk.take(Message("u", GOES_ON)).reply()
    text = generator.prompts[-1].text or ""
    assert "顾客：怎么申请退货\n客服：在订单页点“申请退货”。\n" in text
    assert f"顾客：{GOES_ON}\n" in text
    alone = "请问邮费运费是多少"
    await bench.desk.take(Message("u", alone)).reply()
    text = generator.prompts[-1].text or ""
    assert text.endswith("资料：运费8元，满99元免运费。\n客服：")
    assert "顾客：怎么申请退货\n" not in text  # it says enough alone


async def test_a_message_cannot_look_like_another_line_of_the_prompt(
    bench: Bench, generator: ScriptedGenerator
):
    await bench.desk.take(Message("u", "你们\n运费是多少")).reply()
    assert "顾客：你们 运费是多少\n" in (generator.prompts[-1].text or "")


async def test_a_follow_up_is_completed_from_the_question_before(
    bench: Bench, generator: ScriptedGenerator
):
    await bench.desk.take(Message("u", KNOWN)).reply()
    reply = await bench.desk.take(Message("u", "那要多少呢")).reply()
    # Never the vetted answer: those words were not said now.
    assert (reply.source, [choice.id for choice in reply.choices]) == ("canned", ["fee-zh"])
    (_, kept) = await bench.transcript.last_turns("u", 10)
    assert kept.standalone_question == "运费是多少 那要多少呢"
    assert kept.choices == reply.choices


async def test_after_the_idle_time_a_new_conversation_begins(open_bench: OpenBench):
    bench = open_bench(ConversationSettings(idle_seconds=0.001))
    first = await bench.desk.take(Message("u", KNOWN)).reply()
    begun = asyncio.get_running_loop().time()
    await until(lambda: asyncio.get_running_loop().time() > begun + 0.01)
    second = await bench.desk.take(Message("u", KNOWN)).reply()
    assert first.conversation_id != second.conversation_id
    talk = await bench.contexts.get("u")
    assert len(talk.rounds) <= 1


async def test_a_caller_with_its_own_history_is_not_remembered(
    bench: Bench, generator: ScriptedGenerator
):
    history = (Round("我买了鞋", "好的"),)
    await bench.desk.take(Message("u", GOES_ON, history=history)).reply()
    assert "顾客：我买了鞋" in (generator.prompts[-1].text or "")
    await bench.desk.take(Message("u", GOES_ON, history=())).reply()
    assert "我买了鞋" not in (generator.prompts[-1].text or "")


async def test_stopping_lets_open_turns_end_and_takes_no_new_ones(
    bench: Bench, generator: ScriptedGenerator
):
    generator.gate = asyncio.Event()
    turn = bench.desk.take(Message("u", NEAR))
    reply = asyncio.ensure_future(turn.reply())
    await until(lambda: generator.running == 1)
    closing = asyncio.ensure_future(bench.desk.close(10))
    await asyncio.sleep(0)
    with pytest.raises(Stopping):
        bench.desk.take(Message("u", KNOWN))
    generator.gate.set()
    assert (await reply).source == "model"
    await closing


async def test_stopping_tells_turns_that_take_too_long(bench: Bench, generator: ScriptedGenerator):
    generator.gate = asyncio.Event()
    turn = bench.desk.take(Message("u", NEAR))
    reply = asyncio.ensure_future(turn.reply())
    await until(lambda: generator.running == 1)
    await bench.desk.close(0.01)
    with pytest.raises(Stopping):
        await reply
    (kept,) = await bench.transcript.last_turns("u", 10)
    assert kept.status == "stopped"


async def _all(pieces):
    return [piece async for piece in pieces]
