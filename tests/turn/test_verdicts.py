"""What people decided reaches the customer once, whatever fails in between."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import pytest

from kefu.errors import GeneratorUnavailable
from kefu.review.queue import ReviewQueue
from kefu.review.review import Held, Review
from kefu.review.verdicts import Decision, decide
from kefu.settings import ReviewSettings, Settings
from kefu.stores.audit import SqlAudit
from kefu.stores.database import Database
from kefu.stores.reviews import SqlReviews
from kefu.telemetry import Metrics
from kefu.turn import verdicts as module
from kefu.turn.context import Conversation
from kefu.turn.doorbell import Doorbell
from kefu.turn.reply import Message, Reply
from kefu.turn.verdicts import Answerer, Verdicts
from kefu.turn.writer import Emit
from tests.fakes import ScriptedGenerator
from tests.review.held import DRAFT, HOLDING, held_message, held_reply, held_turn
from tests.turn.conftest import Bench
from tests.turn.test_desk import GOES_ON, KNOWN, NEAR, until

AT_ONCE = ReviewSettings(minutes=1e-9)


@dataclass
class Office:
    """A desk, its queue, and people who decide."""

    bench: Bench
    settings: Settings
    database: Database
    metrics: Metrics = field(default_factory=Metrics)
    doorbell: Doorbell = field(default_factory=Doorbell)
    opened: list[Verdicts] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.reviews = SqlReviews(self.database)
        self.audit = SqlAudit(self.database)
        self.queue = ReviewQueue(self.reviews, self.settings.review, self.metrics)
        self.verdicts = self.open()

    def open(self, pipeline: Answerer | None = None, settings: Settings | None = None) -> Verdicts:
        """Another start of the desk."""
        verdicts = Verdicts(
            pipeline or self.bench.pipeline,
            self.bench.contexts,
            self.bench.queues,
            self.bench.transcript,
            self.reviews,
            self.queue,
            self.doorbell,
            settings or self.settings,
            self.metrics,
        )
        self.opened.append(verdicts)
        return verdicts

    async def hold(self, held: Held, turn_id: str = "t1", **turn: Any) -> Review:
        await self.queue.hold(held_turn(turn_id, **turn), held)
        found = await self.reviews.page("pending", 0, 100)
        return next(review for review in found if review.turn_id == turn_id)

    async def decide(
        self,
        review: Review,
        status: Literal["approved", "edited", "rejected"] = "approved",
        text: str = "",
    ) -> None:
        await decide(self.reviews, review.id, Decision(status, text), "cli:ann")

    async def deliver(self, verdicts: Verdicts | None = None) -> None:
        """Carry out what is due, to its end."""
        verdicts = verdicts or self.verdicts
        await verdicts.deliver_due()
        await until(lambda: not verdicts._running)

    async def told(self, uid: str = "ann") -> list[tuple[str, str]]:
        found = await self.reviews.deliveries(uid, 0, 0, 100)
        return [(one.turn.source, one.turn.reply) for one in found]

    async def actions(self, review: Review) -> list[str]:
        return [record.action for record in await self.audit.about(f"review:{review.id}")]


@pytest.fixture
async def office(bench: Bench, settings: Settings, database: Database) -> AsyncIterator[Office]:
    office = Office(bench, settings, database)
    yield office
    for verdicts in office.opened:
        await verdicts.close()


@dataclass
class Suspicious:
    """The pipeline, with moderation that finds something in the first replies."""

    pipeline: Answerer
    times: int = 1
    asked: list[Message] = field(default_factory=list)

    async def answer(self, message: Message, talk: Conversation, emit: Emit) -> Reply:
        self.asked.append(message)
        reply = await self.pipeline.answer(message, talk, emit)
        if len(self.asked) > self.times:
            return reply
        return replace(reply, text=HOLDING, source="held", held=held_reply())


async def test_an_approved_message_is_answered_as_if_it_had_passed(office: Office):
    review = await office.hold(held_message(KNOWN))
    await office.deliver()
    assert await office.told() == []
    await office.decide(review)
    await office.deliver()
    assert await office.told() == [("faq", "运费8元，满99元免运费。")]
    turn = await office.bench.transcript.find_turn("t1")
    assert turn is not None
    assert (turn.intent_label, turn.confidence) == ("delivery", 1.0)
    assert [citation.id for citation in turn.citations] == ["fee-zh"]
    assert "encode" in turn.timings_ms
    assert await office.actions(review) == ["held", "approved", "delivered"]


async def test_an_approved_message_keeps_its_key_time_and_customer(office: Office):
    turn = held_turn(idempotency_key="k", created_at_ms=1_000)
    await office.queue.hold(turn, held_message(KNOWN))
    (review,) = await office.reviews.page("pending", 0, 1)
    await office.decide(review)
    await office.deliver()
    kept = await office.bench.transcript.find_by_key("ann", "k")
    assert kept is not None
    assert (kept.turn_id, kept.created_at_ms, kept.question) == ("t1", 1_000, turn.question)
    again = office.bench.desk.take(Message("ann", turn.question, idempotency_key="k"))
    assert (await again.reply()).text == "运费8元，满99元免运费。"


async def test_it_is_answered_in_the_light_of_what_was_said_before_it(
    office: Office, generator: ScriptedGenerator
):
    ask = office.bench.desk
    first = await ask.take(Message("ann", "怎么申请退货")).reply()
    review = await office.hold(held_message(GOES_ON), conversation_id=first.conversation_id)
    await ask.take(Message("ann", "要付邮费吗")).reply()
    await office.decide(review)
    generator.prompts.clear()
    await office.deliver()
    (prompt,) = generator.prompts
    assert "顾客：怎么申请退货\n" in (prompt.text or "")
    assert "要付邮费吗" not in (prompt.text or "")


async def test_what_it_leads_to_may_be_held_in_turn(office: Office):
    verdicts = office.open(Suspicious(office.bench.pipeline))
    first = await office.hold(held_message(KNOWN))
    await office.decide(first)
    await office.deliver(verdicts)
    assert await office.told() == []
    (second,) = await office.reviews.page("pending", 0, 10)
    assert (second.turn_id, second.held) == (first.turn_id, held_reply())
    assert await office.actions(first) == ["held", "approved"]
    await office.deliver(verdicts)  # the first one is dealt with
    assert await office.reviews.count("pending") == 1
    await office.decide(second)
    await office.deliver(verdicts)
    assert await office.told() == [("model", DRAFT["text"])]


async def test_a_message_that_a_person_let_pass_says_so(office: Office):
    pipeline = Suspicious(office.bench.pipeline, times=0)
    await office.decide(await office.hold(held_message("加微信，运费是多少")))
    await office.deliver(office.open(pipeline))
    (message,) = pipeline.asked
    assert (message.is_approved, message.turn_id) == (True, "t1")
    assert message.text == "加微信，运费是多少"  # whole, though the transcript may mask it


async def test_a_transcript_without_personal_data_has_none_from_a_review(office: Office):
    masking = office.settings.moderation.model_copy(update={"mask_transcripts": True})
    settings = office.settings.model_copy(update={"moderation": masking})
    said = f"我的电话13800138000，{GOES_ON}"
    first = await office.bench.desk.take(Message("ann", "怎么申请退货")).reply()
    review = await office.hold(
        held_message(said), question="***", conversation_id=first.conversation_id
    )
    await office.decide(review)
    (unmasked,) = [one.held.text for one in await office.reviews.page("approved", 0, 1)]
    assert unmasked == said
    await office.deliver(office.open(settings=settings))
    with office.database.read() as connection:
        kept = [
            str(connection.exec_driver_sql(f"SELECT * FROM {table}").all())
            for table in ("reviews", "turns", "moderation_examples", "audit")
        ]
    assert "138" in kept[0]
    assert "13800138000" not in "".join(kept)


async def test_an_approved_reply_goes_out_as_it_was_written(
    office: Office, generator: ScriptedGenerator
):
    await office.decide(await office.hold(held_reply()))
    await office.deliver()
    turn = await office.bench.transcript.find_turn("t1")
    assert turn is not None
    assert (turn.reply, turn.source, turn.confidence) == (DRAFT["text"], "model", 0.8)
    assert (turn.intent_label, turn.standalone_question) == ("delivery", "鞋的运费是多少")
    assert [citation.id for citation in turn.citations] == ["fee-zh"]
    assert [choice.title for choice in turn.choices] == ["运费是多少"]
    assert generator.prompts == []


@pytest.mark.parametrize("held", [held_message(), held_reply()], ids=["message", "reply"])
async def test_a_persons_words_go_out_as_the_shops_own(office: Office, held: Held):
    await office.decide(await office.hold(held), "edited", "请放心，运费8元。")
    await office.deliver()
    assert await office.told() == [("canned", "请放心，运费8元。")]
    (summary,) = await office.bench.transcript.conversations(10)
    assert (summary.handoffs, summary.unanswered) == (0, 0)


@pytest.mark.parametrize(
    ("question", "word"), [("运费是多少", "没有办法处理"), ("free money for you", "cannot help")]
)
async def test_a_rejected_one_is_told_so_in_its_language(office: Office, question: str, word: str):
    review = await office.hold(held_message(question), question=question)
    await office.decide(review, "rejected")
    await office.deliver()
    ((source, text),) = await office.told()
    assert source == "blocked"
    assert word in text


@pytest.mark.parametrize(
    ("on_timeout", "source", "word"),
    [("handoff", "handoff", "同事来回复您"), ("canned", "canned", "没能及时看到")],
)
async def test_a_deadline_that_passes_is_told_too(
    office: Office,
    settings: Settings,
    on_timeout: Literal["handoff", "canned"],
    source: str,
    word: str,
):
    review_settings = ReviewSettings(minutes=1e-9, on_timeout=on_timeout)
    office.queue = ReviewQueue(office.reviews, review_settings, office.metrics)
    await office.queue.hold(held_turn(), held_message())
    changed = settings.model_copy(update={"review": review_settings})
    await office.deliver(office.open(settings=changed))
    ((told, text),) = await office.told()
    assert told == source
    assert word in text
    assert await office.bench.transcript.conversations(10, waiting_only=True) != [] or (
        source == "canned"
    )


async def test_nothing_is_delivered_twice_by_two_looks_or_a_restart(office: Office):
    review = await office.hold(held_reply())
    await office.decide(review)
    other = office.open()
    await asyncio.gather(office.verdicts.deliver_due(), other.deliver_due())
    await until(lambda: not office.verdicts._running and not other._running)
    await office.deliver(office.open())
    assert await office.told() == [("model", DRAFT["text"])]
    assert (await office.actions(review)).count("delivered") == 1


async def test_one_that_dies_before_the_transaction_is_done_at_the_next_start(
    office: Office, generator: ScriptedGenerator
):
    generator.gate = asyncio.Event()
    await office.decide(await office.hold(held_message(NEAR), question=NEAR))
    await office.verdicts.deliver_due()
    await until(lambda: generator.running == 1)
    await office.verdicts.close()
    assert await office.told() == []
    generator.gate.set()
    await office.deliver(office.open())
    assert await office.told() == [("model", "运费8元。")]


async def test_a_generator_that_is_down_is_tried_again_and_then_a_person_is_called(
    office: Office, generator: ScriptedGenerator, monkeypatch: pytest.MonkeyPatch
):
    generator.pieces, generator.error = (), GeneratorUnavailable("down")
    await office.decide(await office.hold(held_message(NEAR), question=NEAR))
    await office.deliver()
    await office.deliver()
    assert (len(generator.prompts), await office.told()) == (1, [])  # not again at once
    monkeypatch.setattr(module, "RETRY_SECONDS", 0.0)
    office.verdicts._failing.clear()
    for _ in range(2):
        await office.deliver()
    assert (len(generator.prompts), await office.told()) == (3, [])
    short = office.settings.conversation.model_copy(update={"turn_seconds": 1e-6})
    office.verdicts._settings = office.settings.model_copy(update={"conversation": short})
    await office.deliver()
    ((source, _),) = await office.told()
    assert source == "handoff"
    assert office.verdicts._failing == {}


async def test_a_generator_that_comes_back_answers(office: Office, generator: ScriptedGenerator):
    generator.error = GeneratorUnavailable("down")
    await office.decide(await office.hold(held_message(NEAR), question=NEAR))
    await office.deliver()
    generator.error = None
    office.verdicts._failing = {
        id_: (since, 0) for id_, (since, _) in office.verdicts._failing.items()
    }
    await office.deliver()
    assert await office.told() == [("model", "运费8元。")]


async def test_what_crashes_holds_up_nobody_else(office: Office):
    class Broken:
        async def answer(self, *_: object) -> Reply:
            raise ZeroDivisionError("in the pipeline")

    verdicts = office.open(Broken())
    await office.decide(await office.hold(held_message(KNOWN), uid="bob"))
    await office.decide(await office.hold(held_reply(), "t2"))
    await office.deliver(verdicts)
    assert await office.told("ann") == [("model", DRAFT["text"])]
    assert await office.told("bob") == []
    assert len(verdicts._failing) == 1


async def test_a_verdict_waits_for_the_turn_that_runs_and_the_next_one_knows_of_it(
    office: Office, generator: ScriptedGenerator
):
    desk, generator.gate = office.bench.desk, asyncio.Event()
    before = await desk.take(Message("ann", KNOWN)).reply()
    review = await office.hold(held_reply(), conversation_id=before.conversation_id)
    running = desk.take(Message("ann", NEAR))
    await until(lambda: generator.running == 1)
    await office.decide(review)
    await office.verdicts.deliver_due()
    assert await office.told() == []
    generator.gate.set()
    await running.reply()
    await until(lambda: not office.verdicts._running)
    assert len(await office.told()) == 1
    talk = await office.bench.contexts.get("ann")
    assert talk.id == before.conversation_id
    assert DRAFT["text"] in [known.reply for known in talk.rounds]


async def test_what_is_held_is_no_context_for_the_next_message(office: Office):
    first = await office.bench.desk.take(Message("ann", KNOWN)).reply()
    review = await office.hold(held_message(), conversation_id=first.conversation_id)
    await office.bench.contexts.read_again("ann")
    talk = await office.bench.contexts.get("ann")
    assert (talk.id, [known.question for known in talk.rounds]) == (first.conversation_id, [KNOWN])
    await office.decide(review, "rejected")
    await office.deliver()
    assert len((await office.bench.contexts.get("ann")).rounds) == 1


async def test_a_customer_who_writes_too_much_gets_the_verdict_all_the_same(
    office: Office, generator: ScriptedGenerator, monkeypatch: pytest.MonkeyPatch
):
    desk, generator.gate = office.bench.desk, asyncio.Event()
    monkeypatch.setattr(office.bench.queues, "_max_waiting", 0)
    await office.decide(await office.hold(held_reply()))
    running = asyncio.ensure_future(desk.take(Message("ann", NEAR)).reply())
    await until(lambda: generator.running == 1)
    await office.deliver()
    assert await office.told() == []
    generator.gate.set()
    await running
    await office.deliver()
    assert len(await office.told()) == 1


async def test_after_a_long_stop_no_more_than_a_few_are_carried_out_at_once(
    office: Office, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "MOST_AT_ONCE", 2)
    for number in range(5):
        await office.decide(await office.hold(held_reply(), f"t{number}", uid=f"u{number}"))
    begun: list[int] = []
    while await office.reviews.undelivered(10):
        await office.verdicts.deliver_due()
        begun.append(len(office.verdicts._running))
        await until(lambda: not office.verdicts._running)
    assert begun == [2, 2, 1]


async def test_what_is_decided_is_counted(office: Office, sample: Callable[..., float]):
    await office.decide(await office.hold(held_reply()), "rejected")
    await office.decide(await office.hold(held_message(KNOWN), "t2"))
    await office.deliver()
    decided = {"status": "rejected", "direction": "reply"}
    assert sample("kefu_review_verdicts_total", **decided) == 1
    assert sample("kefu_review_verdicts_total", status="approved", direction="customer") == 1
    assert sample("kefu_review_seconds_count") == 2
    assert sample("kefu_reviews_pending") == 0


@pytest.fixture
def sample(office: Office) -> Callable[..., float]:
    def value(name: str, **labels: str) -> float:
        return office.metrics.registry.get_sample_value(name, labels) or 0

    return value


async def test_a_conversation_that_was_forgotten_is_no_error(office: Office):
    review = await office.hold(held_reply())
    await office.decide(review)
    await office.reviews.deliver(review, held_turn(reply="x", source="canned"))
    await office.bench.transcript.sweep(2**53)
    await office.deliver()
    assert await office.reviews.find(review.id) is None
    assert office.verdicts._failing == {}


async def test_a_closed_desk_begins_nothing(office: Office):
    await office.decide(await office.hold(held_reply()))
    await office.verdicts.close()
    await office.deliver()
    assert await office.told() == []
    assert office.doorbell.is_closed
