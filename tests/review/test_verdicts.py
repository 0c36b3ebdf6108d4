"""One decision for each held message, with who took it; examples to learn from."""

from __future__ import annotations

import asyncio
import csv
import io
from typing import Any

import pytest

from kefu.errors import InvalidInput, NotFound
from kefu.moderation.categories import Category
from kefu.moderation.examples import read_examples
from kefu.review.examples import examples_csv
from kefu.review.queue import ReviewQueue
from kefu.review.review import AlreadyDecided, Held, Review
from kefu.review.verdicts import MAX_NOTE, MAX_TEXT, Decision, decide, get_review
from kefu.stores.audit import SqlAudit
from kefu.stores.reviews import SqlReviews
from tests.review.held import held_message, held_reply, held_turn


async def test_a_decision_is_kept_with_who_took_it_and_why(
    pending: Review, reviews: SqlReviews, audit: SqlAudit
):
    decision = Decision("edited", " 请走官方渠道。 ", note="a known customer")
    decided = await decide(reviews, pending.id, decision, "key:ab12")
    assert (decided.status, decided.edited_text) == ("edited", "请走官方渠道。")
    assert await reviews.find(pending.id) == decided
    assert decided.decided_by == "key:ab12"
    assert decided.decided_at_ms is not None
    _, record = await audit.about(f"review:{pending.id}")
    assert (record.actor, record.action) == ("key:ab12", "edited")
    assert record.details == {
        "turn_id": "t1",
        "direction": "customer",
        "category": "fraud",
        "is_bad": False,
        "note": "a known customer",
    }
    assert decided.id in [due.review_id for due in await reviews.undelivered(10)]


async def test_of_two_people_at_once_the_second_learns_who_was_first(
    pending: Review, reviews: SqlReviews, audit: SqlAudit
):
    outcomes = await asyncio.gather(
        decide(reviews, pending.id, Decision("approved"), "cli:ann"),
        decide(reviews, pending.id, Decision("rejected"), "key:bob"),
        return_exceptions=True,
    )
    (refused,) = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert isinstance(refused, AlreadyDecided)
    assert refused.status == 409
    kept = await reviews.find(pending.id)
    assert kept is not None
    assert f"{kept.status} by {kept.decided_by} at 20" in str(refused)
    assert [r.action for r in await audit.about(f"review:{pending.id}")] == ["held", kept.status]
    assert len(await reviews.examples()) == 1


async def test_an_expired_one_is_decided_no_more(pending: Review, reviews: SqlReviews):
    assert await reviews.expire(pending.deadline_ms - 1) == 0
    assert await reviews.expire(pending.deadline_ms) == 1
    with pytest.raises(AlreadyDecided, match="expired by kefu"):
        await decide(reviews, pending.id, Decision("approved"), "cli:ann")
    assert await reviews.examples() == []


async def test_the_beginning_of_an_id_will_do(pending: Review, reviews: SqlReviews):
    assert await get_review(reviews, pending.id[:6]) == pending
    for unknown in ("", "%", pending.id[:5], "g" * 8, "f" * 64, "\x00"):
        with pytest.raises(NotFound):
            await get_review(reviews, unknown)


async def test_a_beginning_that_several_have_is_refused(reviews: SqlReviews, pending: Review):
    for number in range(2):
        review = Review("t1", "ann", held_message(), 0, id=f"abcdef{number}")
        await reviews.hold(held_turn(f"n{number}"), review)
    with pytest.raises(InvalidInput, match="more of the id"):
        await get_review(reviews, "abcdef")
    assert (await get_review(reviews, "abcdef1")).id == "abcdef1"


@pytest.mark.parametrize(
    "decision",
    [
        Decision("edited"),
        Decision("edited", " \n"),
        Decision("edited", "a" * (MAX_TEXT + 1)),
        Decision("edited", "a\x00"),
        Decision("edited", "a\ud800"),
        Decision("approved", note="n" * (MAX_NOTE + 1)),
        Decision("approved", note="\x00"),
    ],
)
async def test_what_cannot_be_said_decides_nothing(
    decision: Decision, pending: Review, reviews: SqlReviews
):
    with pytest.raises(InvalidInput):
        await decide(reviews, pending.id, decision, "cli:ann")
    assert await reviews.find(pending.id) == pending


@pytest.mark.parametrize(
    ("held", "decision", "is_bad"),
    [
        (held_message(), Decision("approved"), False),
        (held_message(), Decision("rejected"), True),
        (held_message(), Decision("edited", "x"), False),
        (held_message(), Decision("edited", "x", is_bad=True), True),
        (held_reply(), Decision("approved"), False),
        (held_reply(), Decision("rejected"), True),
        (held_reply(), Decision("edited", "x"), True),
        (held_reply(), Decision("edited", "x", is_bad=False), False),
    ],
)
async def test_every_decision_is_an_example(
    held: Held, decision: Decision, is_bad: bool, queue: ReviewQueue, reviews: SqlReviews
):
    await queue.hold(held_turn(), held)
    (review,) = await reviews.page("pending", 0, 1)
    await decide(reviews, review.id, decision, "cli:ann")
    (example,) = await reviews.examples()
    assert (example.text, example.is_bad) == (held.text, is_bad)
    assert (example.category, example.direction) == (held.category, held.direction)


async def judge(queue: ReviewQueue, reviews: SqlReviews, turn_id: str, *held: Any) -> None:
    message, decision = held
    await queue.hold(held_turn(turn_id), message)
    (review,) = await reviews.page("pending", 0, 1)
    await decide(reviews, review.id, decision, "cli:ann")


async def test_an_export_is_read_by_the_training_and_has_no_personal_data(
    queue: ReviewQueue, reviews: SqlReviews
):
    for number, (held, decision) in enumerate(
        [
            (held_message('代办"信用卡"，\n电话13800138000'), Decision("rejected")),
            (held_message("被刷单骗了怎么办"), Decision("rejected")),
            (held_message("被刷单骗了怎么办"), Decision("approved")),  # thought better of
            (held_message("身份证", category=Category.PERSONAL_DATA), Decision("approved")),
        ]
    ):
        await judge(queue, reviews, f"t{number}", held, decision)
    exported = examples_csv(await reviews.examples())
    assert "13800138000" not in exported
    rows = list(csv.DictReader(io.StringIO(exported)))
    assert [(row["label"], row["category"]) for row in rows] == [("1", "fraud"), ("0", "fraud")]
    assert rows[1]["text"] == "被刷单骗了怎么办"
    notes: list[str] = []
    read = read_examples(exported.encode(), "export.csv", note=notes.append)
    assert [(one.is_bad, one.category) for one in read] == [
        (True, Category.FRAUD),
        (False, Category.FRAUD),
    ]
    assert notes == []
