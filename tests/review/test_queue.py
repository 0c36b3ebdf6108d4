"""What is held is on disk with its turn; deadlines take effect; the queue knows how full it is."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy.exc import IntegrityError

from kefu.conversations.transcript import Turn, TurnLost
from kefu.moderation.categories import Category, Outcome
from kefu.moderation.policy import Reason
from kefu.review.queue import ReviewQueue
from kefu.review.review import Review
from kefu.settings import ReviewSettings
from kefu.stamps import now_ms
from kefu.stores.audit import SqlAudit
from kefu.stores.reviews import SqlReviews
from kefu.stores.transcript import SqlTranscript
from kefu.telemetry import Metrics
from tests.review.held import held_message, held_reply, held_turn

AT_ONCE = ReviewSettings(minutes=1e-9)


async def pending_ids(reviews: SqlReviews) -> list[str]:
    return [review.turn_id for review in await reviews.page("pending", 0, 100)]


async def test_a_held_turn_and_its_review_are_kept_together(
    queue: ReviewQueue,
    reviews: SqlReviews,
    transcript: SqlTranscript,
    audit: SqlAudit,
):
    before = now_ms()
    turn = held_turn(idempotency_key="k")
    await queue.hold(turn, held_reply())
    assert await transcript.find_turn("t1") == turn
    (review,) = await reviews.page("pending", 0, 10)
    assert (review.held, review.turn_id, review.uid) == (held_reply(), "t1", "ann")
    assert before + 30 * 60_000 <= review.deadline_ms <= now_ms() + 30 * 60_000
    assert await reviews.find(review.id) == review
    (record,) = await audit.about(f"review:{review.id}")
    assert (record.actor, record.action) == ("kefu", "held")
    assert record.details["category"] == "fraud"
    assert record.details["reasons"] == ["fraud: 刷单 (homophone)", "fraud: probability 0.71"]


async def test_a_review_that_cannot_be_kept_keeps_no_turn(
    pending: Review, reviews: SqlReviews, transcript: SqlTranscript, audit: SqlAudit
):
    records = await audit.after(0, 10)
    with pytest.raises(IntegrityError):
        await reviews.hold(held_turn("t2"), replace(pending, turn_id="t2"))
    assert await transcript.find_turn("t2") is None
    assert await audit.after(0, 10) == records


async def test_a_turn_that_is_held_again_is_looked_at_once(
    queue: ReviewQueue, reviews: SqlReviews, transcript: SqlTranscript
):
    """As after a commit whose answer never came; a desk that lost the turn holds nothing."""
    for _ in range(2):
        await queue.hold(held_turn(), held_reply(), fence=2)
    assert await pending_ids(reviews) == ["t1"]
    with pytest.raises(TurnLost):
        await queue.hold(held_turn("t2"), held_reply(), fence=1)
    assert await pending_ids(reviews) == ["t1"]


async def test_a_key_that_was_answered_holds_nothing_again(
    queue: ReviewQueue, reviews: SqlReviews, transcript: SqlTranscript
):
    answered = held_turn(source="faq", reply="8元", idempotency_key="k")
    await transcript.save(answered)
    await queue.hold(held_turn("t2", idempotency_key="k"), held_message())
    assert await pending_ids(reviews) == []
    assert await transcript.last_turns("ann", 10) == [answered]


async def test_a_turn_that_was_never_answered_may_be_held_on_the_retry(
    queue: ReviewQueue, reviews: SqlReviews, transcript: SqlTranscript
):
    await transcript.save(held_turn("t1", status="failed", reply="", idempotency_key="k"))
    await queue.hold(held_turn("t2", idempotency_key="k"), held_message())
    assert await pending_ids(reviews) == ["t2"]
    assert [turn.turn_id for turn in await transcript.last_turns("ann", 10)] == ["t2"]


async def test_words_that_were_not_answered_are_noted_in_the_audit(
    queue: ReviewQueue, transcript: SqlTranscript, audit: SqlAudit
):
    turn = held_turn(source="blocked")
    await queue.block(turn, [Reason(Category.GAMBLING, Outcome.BLOCK, word="六合彩")])
    assert await transcript.find_turn("t1") == turn
    (record,) = await audit.about("turn:t1")
    assert (record.actor, record.action) == ("kefu", "stopped")
    assert record.details == {"source": "blocked", "reasons": ["gambling: 六合彩"]}


async def test_what_is_overdue_expires_and_the_rest_waits(
    reviews: SqlReviews, audit: SqlAudit, metrics: Metrics, queue: ReviewQueue
):
    await ReviewQueue(reviews, AT_ONCE, metrics).hold(held_turn("late"), held_message())
    await queue.hold(held_turn("t2"), held_message())
    await queue.refresh()
    assert await pending_ids(reviews) == ["t2"]
    (expired,) = await reviews.page("expired", 0, 10)
    assert (expired.turn_id, expired.decided_by) == ("late", "kefu")
    assert [r.action for r in await audit.about(f"review:{expired.id}")] == ["held", "expired"]
    assert metrics.registry.get_sample_value("kefu_reviews_pending") == 1


async def test_the_queue_is_full_at_its_limit_and_not_after_a_verdict_elsewhere(
    reviews: SqlReviews, metrics: Metrics
):
    queue = ReviewQueue(reviews, ReviewSettings(max_waiting=2), metrics)
    for number in range(2):
        assert queue.has_room
        await queue.hold(held_turn(f"t{number}"), held_message())
    assert not queue.has_room
    restarted = ReviewQueue(reviews, ReviewSettings(max_waiting=2), metrics)
    await restarted.refresh()
    assert not restarted.has_room
    first, _ = await reviews.page("pending", 0, 10)
    decided = replace(first, status="approved", decided_at_ms=now_ms(), decided_by="cli:ann")
    assert await reviews.decide(decided, None, {})
    await queue.refresh()
    assert queue.has_room


async def test_the_list_begins_with_the_nearest_deadline_and_has_pages(
    queue: ReviewQueue, reviews: SqlReviews, metrics: Metrics
):
    for number in range(3):
        await queue.hold(held_turn(f"t{number}"), held_message())
    soon = ReviewQueue(reviews, ReviewSettings(minutes=1), metrics)
    await soon.hold(held_turn("soon"), held_message())
    assert (await pending_ids(reviews))[0] == "soon"
    pages = [await reviews.page(None, offset, 2) for offset in (0, 2, 4)]
    assert [len(page) for page in pages] == [2, 2, 0]
    assert len({review.id for page in pages for review in page}) == 4
    assert await reviews.count("pending") == await reviews.count(None) == 4
    assert await reviews.count("rejected") == 0


async def test_a_conversation_with_a_held_message_is_not_swept(
    pending: Review, reviews: SqlReviews, transcript: SqlTranscript
):
    await transcript.save(Turn("bob", "talk-bob", "在吗", created_at_ms=1, turn_id="b"))
    later = now_ms() + 1000
    assert await transcript.sweep(later) == 1
    assert await transcript.find_turn(pending.turn_id) is not None
    decided = replace(pending, status="rejected", decided_at_ms=now_ms(), decided_by="cli:ann")
    await reviews.decide(decided, None, {})
    assert await transcript.sweep(later) == 0  # the customer has not been told
    turn = held_turn(reply="no", source="blocked")
    assert await reviews.deliver(decided, turn)
    assert await transcript.sweep(later) == 1
    assert await reviews.find(pending.id) is None
    assert await reviews.deliveries("ann", 0, 0, 10) == []
