"""The checks of `loadtests/cluster` on made-up records: each finds what it is there for."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest
from loadtests.cluster.checks import MOST_SHOWN, check
from loadtests.cluster.figures import figures
from loadtests.cluster.record import GAVE_UP, Attempt, KeptTurn, Message, Outage
from loadtests.cluster.watch import Watch

LOST = "no acknowledged turn is lost or changed"
DOUBLED = "no message is kept twice"
UNASKED = "nothing is kept that nobody sent"
ORDER = "each customer's turns are in the order of their acknowledgements"
UNANSWERED = "every message is answered in the end"
UNEXPLAINED = "errors come only while a program is away"

OUTAGE = Outage("desk-1", killed_at=10.0, gone_at=10.1, back_at=14.0, whole_at=15.0)


def told(number: int, uid: str = "talker-1", at: float = 1.0, *before: Attempt) -> Message:
    """A message that was acknowledged at `at`, after the attempts `before` failed."""
    return Message(
        number,
        uid,
        "known",
        f"question {number}",
        due=at - 0.5,
        attempts=(*before, Attempt(at - 0.1, at, 200)),
        turn_id=f"turn-{number}",
        reply=f"answer {number}",
        source="faq",
    )


def kept(message: Message) -> KeptTurn:
    return KeptTurn(
        message.uid,
        message.key,
        message.turn_id,
        "answered",
        message.text,
        message.reply,
        message.source,
    )


def broken(
    messages: Sequence[Message], turns: Sequence[KeptTurn], outages: Sequence[Outage] = ()
) -> set[str]:
    return {promise for promise, problems in check(messages, turns, outages).items() if problems}


@pytest.fixture
def messages() -> list[Message]:
    return [told(1, at=1), told(2, "talker-2", 2), told(3, at=3), told(4, "talker-2", 4)]


@pytest.fixture
def turns(messages: list[Message]) -> list[KeptTurn]:
    return [kept(message) for message in messages]


def test_a_run_without_faults(messages: list[Message], turns: list[KeptTurn]):
    assert broken(messages, turns) == set()


def test_a_lost_turn(messages: list[Message], turns: list[KeptTurn]):
    assert broken(messages, turns[:1] + turns[2:]) == {LOST, ORDER}


@pytest.mark.parametrize(
    ("name", "value"),
    [("reply", "x"), ("turn_id", "x"), ("source", "model"), ("status", "failed")],
)
def test_a_changed_turn(name: str, value: str, messages: list[Message], turns: list[KeptTurn]):
    turns[1] = replace(turns[1], **{name: value})
    assert broken(messages, turns) == {LOST}


def test_a_changed_question(messages: list[Message], turns: list[KeptTurn]):
    turns[1] = replace(turns[1], question="x")
    assert broken(messages, turns) == {LOST, UNASKED}


def test_a_message_that_is_kept_twice(messages: list[Message], turns: list[KeptTurn]):
    turns.append(replace(turns[3], turn_id="turn-5"))
    assert DOUBLED in broken(messages, turns)


def test_a_turn_id_that_is_kept_twice(messages: list[Message], turns: list[KeptTurn]):
    unanswered = replace(told(5, at=5), turn_id="")
    turns.append(replace(kept(unanswered), turn_id="turn-1"))
    assert broken([*messages, unanswered], turns) == {DOUBLED, UNANSWERED}


@pytest.mark.parametrize("key", ["talker-1-99", None])
def test_a_turn_that_nobody_sent(key: str | None, messages: list[Message], turns: list[KeptTurn]):
    turns.append(replace(turns[0], idempotency_key=key, turn_id="turn-99"))
    assert broken(messages, turns) == {UNASKED}


def test_turns_of_one_customer_in_another_order(messages: list[Message], turns: list[KeptTurn]):
    turns[0], turns[2] = turns[2], turns[0]
    assert broken(messages, turns) == {ORDER}


def test_turns_of_different_customers_have_no_order(messages: list[Message], turns: list[KeptTurn]):
    turns[0], turns[1] = turns[1], turns[0]
    assert broken(messages, turns) == set()


def test_a_message_that_was_given_up_may_be_kept_or_not(
    messages: list[Message], turns: list[KeptTurn]
):
    given_up = replace(told(5, at=12), turn_id="", attempts=(Attempt(11, 12, 503, "x"),))
    assert broken([*messages, given_up], turns, [OUTAGE]) == {UNANSWERED}
    late = replace(kept(given_up), turn_id="turn-5")
    assert broken([*messages, given_up], [*turns, late], [OUTAGE]) == {UNANSWERED}


@pytest.mark.parametrize(
    ("sent", "ended", "is_explained"),
    [(9, 9.9, False), (9, 10.1, True), (11, 12, True), (14.9, 16, True), (15.1, 16, False)],
)
def test_an_error_belongs_to_an_outage(sent: float, ended: float, is_explained: bool):
    message = told(1, "talker-1", 20, Attempt(sent, ended, 502, "no_desk"))
    found = broken([message], [kept(message)], [OUTAGE])
    assert found == (set() if is_explained else {UNEXPLAINED})


def test_being_told_to_come_again_is_no_error_but_counted():
    message = told(1, "talker-1", 20, Attempt(2, 3, 503, "overloaded"))
    assert broken([message], [kept(message)]) == set()
    assert figures([message], [], Watch()).refused_apart == 1


def test_a_customer_who_gives_up_was_not_answered():
    message = replace(told(1), turn_id="", attempts=(Attempt(1, 31, 0, GAVE_UP),))
    assert broken([message], []) == {UNANSWERED}


def test_of_many_problems_the_first_are_shown(messages: list[Message]):
    many = [told(number) for number in range(100)]
    found = check(many, [], [])[LOST]
    assert len(found) == MOST_SHOWN + 1
    assert found[-1] == "... and 90 more"


def test_figures_of_an_outage():
    calm = [told(n, f"talker-{n}", 0.5 + n / 10) for n in range(90)]  # up to 9.4 s
    cut_off = told(100, "talker-100", 13, Attempt(9.9, 10.05, 502, "no_desk"))
    later = told(101, "talker-101", 14, Attempt(12.5, 12.6, 502, "no_desk"))
    after = [told(n, f"talker-{n}", 14 + (n - 200) / 10) for n in range(200, 360)]
    found = figures([*calm, cut_off, later, *after], [OUTAGE], Watch())
    (outage,) = found.outages
    assert (outage.back_after, outage.whole_after) == (4, 5)
    assert (outage.failed, outage.cut_off, outage.again) == (2, 1, 2)
    assert outage.first_error == pytest.approx(0.05)
    assert outage.last_error == pytest.approx(2.6)
    assert outage.calm_after == 0
    assert found.calm
    assert found.calm.n == 90


def test_when_customers_wait_as_little_as_before():
    calm = [told(n, f"talker-{n}", 0.5 + n / 10) for n in range(90)]
    slow = [
        replace(told(n, f"talker-{n}", 20), due=10 + (n - 100) / 10) for n in range(100, 140)
    ]  # due until 14 s
    after = [told(n, f"talker-{n}", 14.5 + (n - 200) / 10) for n in range(200, 350)]
    (outage,) = figures([*calm, *slow, *after], [OUTAGE], Watch()).outages
    assert outage.calm_after == 4
    assert outage.longest_wait == pytest.approx(10)
    (outage,) = figures([*calm, *slow], [OUTAGE], Watch()).outages
    assert outage.calm_after is None


def test_counts_for_each_turn():
    watch = Watch(redis=Counter({"xadd": 8, "get": 4}), sql=Counter({"commits": 6}))
    found = figures([told(1), told(2, "talker-2")], [], watch)
    assert found.per_turn == {
        "Redis commands": 6,
        "Redis xadd": 4,
        "Redis get": 2,
        "PostgreSQL commits": 3,
    }
