"""What becomes of messages that must not pass, in the pipeline and the desk."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace

import pytest

from kefu.inference.encoder.batcher import Vector
from kefu.knowledge.entry import Entry
from kefu.moderation.categories import Category, Direction, Outcome, Severity
from kefu.moderation.checker import Checker
from kefu.moderation.policy import PASSED, Reason, Verdict
from kefu.moderation.service import Moderation
from kefu.settings import ConversationSettings, RepliesSettings, ReviewSettings, Settings
from kefu.stores.database import Database
from kefu.turn.desk import Desk
from kefu.turn.reply import Message, Reply
from tests.fakes import ScriptedGenerator
from tests.turn.conftest import Bench
from tests.turn.test_desk import NEAR

WORDS = RepliesSettings()


@pytest.fixture(autouse=True)
async def words(bench: Bench) -> None:
    for text, category, severity in (
        ("红钩赌场", Category.GAMBLING, Severity.HIGH),
        ("蓝钩代办", Category.ADVERTISING, Severity.MEDIUM),
        ("绿钩蛋", Category.ABUSE, Severity.LOW),
        ("灰钩念头", Category.SELF_HARM, Severity.HIGH),
    ):
        await bench.moderation.add_word(text, category, severity, "cli:test")


@dataclass(frozen=True)
class Doubting:
    """Takes every message of a customer for doubtful by its meaning: a head that is a fake."""

    real: Moderation

    @property
    def is_enabled(self) -> bool:
        return self.real.is_enabled

    @property
    def checker(self) -> Checker:
        return self.real.checker

    def check_words(self, text: str, direction: Direction) -> Verdict:
        return self.real.check_words(text, direction)

    async def check_meaning(self, text: str, vector: Vector, direction: Direction) -> Verdict:
        reason = Reason(Category.FRAUD, Outcome.HOLD, score=0.9)
        return Verdict(Outcome.HOLD, (reason,)) if direction is Direction.CUSTOMER else PASSED

    def count(self, verdict: Verdict, direction: Direction) -> None:
        self.real.count(verdict, direction)


@pytest.fixture
async def doubting(bench: Bench) -> AsyncIterator[Desk]:
    gate = replace(bench.pipeline.gate, moderation=Doubting(bench.moderation))
    pipeline = replace(bench.pipeline, gate=gate)
    desk = Desk(
        pipeline,
        bench.contexts,
        bench.transcript,
        bench.queue,
        bench.queues,
        bench.limit,
        ConversationSettings(),
        bench.metrics,
    )
    yield desk
    await desk.close(5)


async def test_a_plain_word_is_blocked_at_once(bench: Bench, generator: ScriptedGenerator):
    reply = await bench.desk.take(Message("u", "来红钩赌场玩两把，运费是多少")).reply()
    assert (reply.source, reply.text) == ("blocked", WORDS.blocked_zh)
    assert [str(reason) for reason in reply.reasons] == ["gambling: 红钩赌场"]
    assert "encode" not in reply.timings_ms
    assert generator.prompts == []
    [kept] = await bench.transcript.last_turns("u", 5)
    assert (kept.question, kept.source) == ("来红钩赌场玩两把，运费是多少", "blocked")


async def test_a_blocked_message_is_answered_in_its_language(bench: Bench):
    await bench.moderation.add_word("redhook casino", Category.GAMBLING, Severity.HIGH, "cli:test")
    reply = await bench.desk.take(Message("u", "Come to the Redhook Casino now")).reply()
    assert reply.text == WORDS.blocked_en


async def test_a_doubtful_word_waits_for_a_person(bench: Bench):
    turn = bench.desk.take(Message("u", "需要蓝钩代办吗"))
    sent = "".join([piece async for piece in turn.pieces()])
    reply = await turn.reply()
    assert (reply.source, reply.text, sent) == ("held", WORDS.held_zh, WORDS.held_zh)
    [review] = await bench.reviews.page("pending", 0, 10)
    assert (review.turn_id, review.held.text) == (reply.turn_id, "需要蓝钩代办吗")
    assert review.held.category is Category.ADVERTISING
    assert review.held.direction is Direction.CUSTOMER


async def test_a_retry_of_a_held_message_waits_only_once(bench: Bench):
    message = Message("u", "需要蓝钩代办吗", idempotency_key="k")
    first = await bench.desk.take(message).reply()
    again = await bench.desk.take(replace(message, turn_id="another")).reply()
    assert again.turn_id == first.turn_id
    assert await bench.reviews.count("pending") == 1


async def test_a_rude_word_is_masked_and_the_question_answered(
    bench: Bench, generator: ScriptedGenerator
):
    reply = await bench.desk.take(Message("u", "绿钩蛋，运费到底是多少钱啊")).reply()
    assert reply.source not in ("blocked", "held")
    assert all("绿钩蛋" not in str(prompt) for prompt in generator.prompts)
    [kept] = await bench.transcript.last_turns("u", 5)
    assert kept.question == "绿钩蛋，运费到底是多少钱啊"


async def test_a_person_in_danger_gets_kind_words_and_a_person(bench: Bench):
    reply = await bench.desk.take(Message("u", "我又有灰钩念头了")).reply()
    assert (reply.source, reply.text) == ("handoff", WORDS.care_zh)
    waiting = await bench.transcript.conversations(10, waiting_only=True)
    assert [summary.uid for summary in waiting] == ["u"]


async def test_what_a_person_let_pass_is_answered(bench: Bench):
    reply = await bench.desk.take(Message("u", "蓝钩代办 运费是多少", is_approved=True)).reply()
    assert reply.source not in ("blocked", "held")
    assert await bench.reviews.count("pending") == 0


async def test_a_doubtful_meaning_waits_for_a_person(bench: Bench, doubting: Desk):
    reply = await doubting.take(Message("u", "把钱转给那个人行不行")).reply()
    assert reply.source == "held"
    [review] = await bench.reviews.page("pending", 0, 10)
    assert [reason.score for reason in review.held.reasons] == [0.9]


async def test_the_question_of_an_entry_itself_is_not_held(bench: Bench, doubting: Desk):
    reply = await doubting.take(Message("u", "运费是多少")).reply()
    assert (reply.source, reply.entry_id) == ("faq", "fee-zh")


async def test_what_did_not_pass_is_no_context(bench: Bench):
    for text in ("来红钩赌场玩两把", "需要蓝钩代办吗"):
        await bench.desk.take(Message("u", text)).reply()
    assert (await bench.contexts.get("u")).rounds == ()


async def test_a_full_queue_becomes_a_handoff(bench: Bench, database: Database, settings: Settings):
    for number in range(2):
        await bench.desk.take(Message(f"u{number}", "需要蓝钩代办吗")).reply()
    bench.queue._settings = ReviewSettings(max_waiting=2)
    reply = await bench.desk.take(Message("u9", "需要蓝钩代办吗")).reply()
    assert (reply.source, reply.text) == ("handoff", WORDS.handoff_zh)
    assert await bench.reviews.count("pending") == 2


async def test_verdicts_are_counted(bench: Bench):
    for text in ("来红钩赌场玩两把", "需要蓝钩代办吗", "运费是多少"):
        await bench.desk.take(Message("u", text)).reply()

    def count(outcome: str, category: str) -> float | None:
        labels = {"direction": "customer", "outcome": outcome, "category": category}
        return bench.metrics.registry.get_sample_value("kefu_moderation_verdicts_total", labels)

    assert [count("block", "gambling"), count("hold", "advertising"), count("pass", "")] == [
        1,
        1,
        1,
    ]


async def _written(bench: Bench, generator: ScriptedGenerator, answer: str) -> tuple[Reply, str]:
    """What becomes of a reply that the model copies from an entry, and what was sent of it."""
    await bench.knowledge.import_entries([Entry("fee-zh", "运费是多少", answer, language="zh")])
    generator.pieces = tuple(answer)
    turn = bench.desk.take(Message("u", NEAR))
    sent = "".join([piece async for piece in turn.pieces()])
    return await turn.reply(), sent


async def test_a_reply_that_must_not_be_said_is_not(bench: Bench, generator: ScriptedGenerator):
    reply, sent = await _written(bench, generator, "运费8元，去红钩赌场付款。")
    assert (reply.source, reply.text) == ("handoff", WORDS.handoff_zh)
    assert "红" not in sent
    assert len(bench.answers.answers) == 0


async def test_a_doubtful_reply_waits_for_a_person(bench: Bench, generator: ScriptedGenerator):
    reply, sent = await _written(bench, generator, "运费8元，可找蓝钩代办。")
    assert (reply.source, reply.text) == ("held", WORDS.held_zh)
    assert "蓝" not in sent
    assert len(bench.answers.answers) == 0
    [review] = await bench.reviews.page("pending", 0, 10)
    assert (review.held.direction, review.held.text) == (
        Direction.REPLY,
        "运费8元，可找蓝钩代办。",
    )


async def test_a_rude_word_of_the_model_is_masked(bench: Bench, generator: ScriptedGenerator):
    reply, sent = await _written(bench, generator, "运费8元，绿钩蛋。")
    assert (reply.source, reply.text, sent) == ("model", "运费8元，＊＊＊。", "运费8元，＊＊＊。")
