"""What every transcript must do, whatever keeps it. Subclass with a `transcript` fixture."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from kefu.conversations.ratings import Rating
from kefu.conversations.transcript import Citation, Transcript, Turn, TurnLost

TURN = Turn(
    uid="客户-1",
    conversation_id="talk-1",
    question="运费多少？\n😀",
    reply="满99元免运费。",
    source="faq",
    intent_label="delivery",
    intent_score=0.9,
    confidence=0.93,
    citations=(Citation("fee-zh", "运费是多少", 0.93),),
    timings_ms={"total": 4.2},
    created_at_ms=1_000_000,
)


class TranscriptContract:
    async def test_a_saved_turn_comes_back_as_it_was(self, transcript: Transcript):
        turn = replace(TURN, idempotency_key="k")
        await transcript.save(turn)
        assert await transcript.last_turns(turn.uid, 10) == [turn]
        assert await transcript.find_by_key(turn.uid, "k") == turn

    async def test_a_key_belongs_to_one_customer(self, transcript: Transcript):
        await transcript.save(replace(TURN, idempotency_key="k"))
        assert await transcript.find_by_key("somebody else", "k") is None
        other = replace(TURN, uid="u2", idempotency_key="k", turn_id="t2")
        await transcript.save(other)
        assert await transcript.find_by_key("u2", "k") == other

    async def test_a_retry_replaces_an_unanswered_turn(self, transcript: Transcript):
        failed = replace(TURN, idempotency_key="k", status="failed", reply="", turn_id="t1")
        await transcript.save(failed)
        answered = replace(TURN, idempotency_key="k", turn_id="t2")
        await transcript.save(answered)
        assert await transcript.last_turns(TURN.uid, 10) == [answered]

    async def test_a_desk_whose_turn_was_taken_keeps_nothing(self, transcript: Transcript):
        await transcript.save(replace(TURN, turn_id="t2"), fence=2)
        with pytest.raises(TurnLost, match="another one went on"):
            await transcript.save(replace(TURN, turn_id="t1"), fence=1)
        await transcript.save(replace(TURN, turn_id="t1", uid="somebody else"), fence=1)
        await transcript.save(replace(TURN, turn_id="t3"), fence=3)
        assert [turn.turn_id for turn in await transcript.last_turns(TURN.uid, 10)] == ["t2", "t3"]

    async def test_a_turn_that_is_saved_again_is_there_once(self, transcript: Transcript):
        """As after a commit whose answer never came."""
        for _ in range(2):
            await transcript.save(TURN, fence=1)
        assert await transcript.last_turns(TURN.uid, 10) == [TURN]

    async def test_turns_that_are_saved_at_once_keep_their_order(self, transcript: Transcript):
        turns = [replace(TURN, turn_id=f"t{n}", idempotency_key=f"k{n % 3}") for n in range(6)]
        turns = [replace(turn, status="failed") for turn in turns[:3]] + turns[3:]
        other = replace(TURN, uid="u2", turn_id="other")
        saving = [transcript.save(turn, fence) for fence, turn in enumerate(turns, start=1)]
        *done, late = await asyncio.gather(
            *saving,
            transcript.save(other, 9),
            transcript.save(replace(TURN, turn_id="late"), 2),
            return_exceptions=True,
        )
        assert done == [None] * 7
        assert isinstance(late, TurnLost)
        assert await transcript.last_turns(TURN.uid, 10) == turns[3:]
        assert await transcript.last_turns("u2", 10) == [other]

    async def test_an_answered_turn_is_never_overwritten(self, transcript: Transcript):
        first = replace(TURN, idempotency_key="k", turn_id="t1")
        await transcript.save(first)
        await transcript.save(replace(first, reply="something else", turn_id="t2"))
        await transcript.save(replace(first, status="stopped", reply="", turn_id="t3"))
        assert await transcript.last_turns(TURN.uid, 10) == [first]

    async def test_turns_without_a_key_never_replace_each_other(self, transcript: Transcript):
        turns = [replace(TURN, turn_id=f"t{i}") for i in range(3)]
        for turn in turns:
            await transcript.save(turn)
        assert await transcript.last_turns(TURN.uid, 2) == turns[1:]

    async def test_many_at_once_are_all_kept(self, transcript: Transcript):
        turns = [replace(TURN, uid=f"u{i % 7}", turn_id=f"t{i}") for i in range(200)]
        await asyncio.gather(*(transcript.save(turn) for turn in turns))
        kept = [t for i in range(7) for t in await transcript.last_turns(f"u{i}", 1000)]
        assert sorted(t.turn_id for t in kept) == sorted(t.turn_id for t in turns)

    async def test_summaries_count_what_waits_for_a_person(self, transcript: Transcript):
        for number, (status, source) in enumerate(
            [("answered", "faq"), ("answered", "handoff"), ("failed", "")]
        ):
            turn = replace(TURN, turn_id=f"t{number}", status=status, source=source)
            await transcript.save(replace(turn, created_at_ms=100 + number, question=f"q{number}"))
        quiet = replace(TURN, uid="quiet", conversation_id="talk-2", turn_id="x", created_at_ms=50)
        await transcript.save(quiet)

        newest, oldest = await transcript.conversations(10)
        assert (newest.uid, newest.turns, newest.unanswered, newest.handoffs) == (TURN.uid, 3, 1, 1)
        assert (newest.first_at_ms, newest.last_at_ms, newest.last_question) == (100, 102, "q2")
        assert oldest.uid == "quiet"
        assert await transcript.conversations(10, waiting_only=True) == [newest]
        assert await transcript.conversations(10, before_ms=102) == [oldest]
        assert await transcript.conversations(1) == [newest]

    async def test_a_sweep_takes_whole_conversations_that_are_over(self, transcript: Transcript):
        old = replace(TURN, created_at_ms=10, turn_id="old")
        going_on = [
            replace(TURN, conversation_id="talk-2", created_at_ms=ms, turn_id=f"t{ms}")
            for ms in (20, 200)
        ]
        for turn in (old, *going_on):
            await transcript.save(turn)
        assert await transcript.sweep(100) == 1
        assert await transcript.last_turns(TURN.uid, 10) == going_on

    async def test_the_turns_around_one_are_those_of_its_conversation(self, transcript: Transcript):
        for number in range(6):
            await transcript.save(replace(TURN, turn_id=f"t{number}"))
            other = replace(TURN, turn_id=f"x{number}", conversation_id="talk-2")
            await transcript.save(other)
        around = await transcript.around("t3", before=2, after=1)
        assert [turn.turn_id for turn in around] == ["t1", "t2", "t3", "t4"]
        assert [turn.turn_id for turn in await transcript.around("x0", 9, 0)] == ["x0"]
        assert await transcript.around("no-such", 9, 9) == []

    async def test_a_rating_comes_back_with_its_turn(self, transcript: Transcript):
        rated = replace(TURN, turn_id="rated", idempotency_key="k")
        for turn in (rated, replace(TURN, turn_id="other")):
            await transcript.save(turn)
        bad = Rating("down", "答非所问", 2_000_000)
        assert await transcript.rate(TURN.uid, "rated", bad)
        with_rating = replace(rated, rating=bad)
        assert await transcript.find_turn("rated") == with_rating
        assert await transcript.find_by_key(TURN.uid, "k") == with_rating
        assert [t.rating for t in await transcript.last_turns(TURN.uid, 9)] == [bad, None]
        assert [t.rating for t in await transcript.latest(9)] == [None, bad]

    async def test_a_second_rating_replaces_the_first_and_none_withdraws_it(
        self, transcript: Transcript
    ):
        await transcript.save(replace(TURN, turn_id="t"))
        for rating in (Rating("down", "no", 1), Rating("up", "", 2), None, None):
            assert await transcript.rate(TURN.uid, "t", rating)
            found = await transcript.find_turn("t")
            assert found is not None
            assert found.rating == rating

    async def test_only_an_answered_turn_of_the_customer_is_rated(self, transcript: Transcript):
        await transcript.save(replace(TURN, turn_id="t"))
        await transcript.save(replace(TURN, turn_id="failed", status="failed"))
        for uid, turn_id in (("eve", "t"), (TURN.uid, "no-such"), (TURN.uid, "failed")):
            assert not await transcript.rate(uid, turn_id, Rating("up"))
            assert not await transcript.rate(uid, turn_id, None)
        assert [turn.rating for turn in await transcript.latest(9)] == [None, None]
        assert await transcript.find_turn("no-such") is None

    async def test_a_sweep_takes_ratings_along(self, transcript: Transcript):
        await transcript.save(replace(TURN, turn_id="t", created_at_ms=10))
        await transcript.rate(TURN.uid, "t", Rating("up"))
        assert await transcript.sweep(100) == 1
        await transcript.save(replace(TURN, turn_id="t", created_at_ms=200))
        found = await transcript.find_turn("t")
        assert found is not None
        assert found.rating is None
