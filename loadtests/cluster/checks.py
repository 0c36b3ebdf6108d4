"""Holds what customers were told against what is kept.

Each check names what is wrong, at most `MOST_SHOWN` of a kind; an empty list is a check that held.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence

import psycopg
from loadtests.cluster.record import UID_PREFIX, Attempt, KeptTurn, Message, Outage

MOST_SHOWN = 10


def read_transcript(url: str) -> list[KeptTurn]:
    """All turns of a run's customers, as PostgreSQL has them."""
    query = """
        SELECT uid, idempotency_key, turn_id, status, question, reply, source
        FROM turns WHERE starts_with(uid, %s) ORDER BY seq
    """
    with psycopg.connect(url) as connection:
        return [KeptTurn(*row) for row in connection.execute(query, [UID_PREFIX])]


def check(
    told: Sequence[Message], kept: Sequence[KeptTurn], outages: Sequence[Outage]
) -> dict[str, list[str]]:
    """By what was promised: what does not hold."""
    found = {
        "no acknowledged turn is lost or changed": lost(told, kept),
        "no message is kept twice": doubled(kept),
        "nothing is kept that nobody sent": unasked(told, kept),
        "each customer's turns are in the order of their acknowledgements": out_of_order(
            told, kept
        ),
        "every message is answered in the end": unanswered(told),
        "errors come only while a program is away": unexplained(told, outages),
    }
    return {promise: _shown(problems) for promise, problems in found.items()}


def lost(told: Iterable[Message], kept: Iterable[KeptTurn]) -> list[str]:
    """Acknowledged, and not kept as it was acknowledged."""
    by_key = {(turn.uid, turn.idempotency_key): turn for turn in kept}
    problems = []
    for message in told:
        if not message.is_acknowledged:
            continue
        turn = by_key.get((message.uid, message.key))
        promised = (message.turn_id, "answered", message.text, message.reply, message.source)
        found = turn and (turn.turn_id, turn.status, turn.question, turn.reply, turn.source)
        if found != promised:
            problems.append(f"{message.key}: promised {promised}, kept {found}")
    return problems


def doubled(kept: Iterable[KeptTurn]) -> list[str]:
    """One key, or one turn id, on two rows."""
    kept = list(kept)
    names: list[tuple[str, Callable[[KeptTurn], object]]] = [
        ("key", lambda turn: (turn.uid, turn.idempotency_key)),
        ("turn id", lambda turn: turn.turn_id),
    ]
    return [
        f"{name} {value} is kept {count} times"
        for name, of in names
        for value, count in Counter(map(of, kept)).items()
        if count > 1
    ]


def unasked(told: Iterable[Message], kept: Iterable[KeptTurn]) -> list[str]:
    sent = {(message.uid, message.key): message.text for message in told}
    return [
        f"{turn.uid} {turn.idempotency_key}: {turn.question!r}"
        for turn in kept
        if sent.get((turn.uid, turn.idempotency_key or "")) != turn.question
    ]


def out_of_order(told: Iterable[Message], kept: Iterable[KeptTurn]) -> list[str]:
    acknowledged: defaultdict[str, list[str]] = defaultdict(list)
    for message in sorted(told, key=lambda message: message.ended):
        if message.is_acknowledged:
            acknowledged[message.uid].append(message.key)
    keys = {key for each in acknowledged.values() for key in each}
    stored: defaultdict[str, list[str]] = defaultdict(list)
    for turn in kept:
        if turn.idempotency_key in keys:
            stored[turn.uid].append(turn.idempotency_key)
    return [
        f"{uid}: acknowledged {each}, kept {stored[uid]}"
        for uid, each in acknowledged.items()
        if each != stored[uid]
    ]


def unanswered(told: Iterable[Message]) -> list[str]:
    return [
        f"{message.key}, due at {message.due:.1f} s: {_said(message.attempts[-1])}, "
        f"after {len(message.attempts)} attempts"
        for message in told
        if not message.is_acknowledged
    ]


def unexplained(told: Iterable[Message], outages: Sequence[Outage]) -> list[str]:
    """Failures outside of every outage. Refusals because too much comes at once are no failures:
    nothing was done with the message. Nor are requests whose customer gave up: see `unanswered`."""
    return [
        f"{message.key}: {_said(attempt)}, sent at {attempt.sent:.2f} s, ended at {attempt.ended:.2f} s"
        for message in told
        for attempt in message.failures
        if not attempt.is_refusal
        and not attempt.is_ours
        and not any(outage.covers(attempt) for outage in outages)
    ]


def _said(attempt: Attempt) -> str:
    return f"{attempt.status or 'no answer'} {attempt.error}".strip()


def _shown(problems: list[str]) -> list[str]:
    if len(problems) <= MOST_SHOWN:
        return problems
    return [*problems[:MOST_SHOWN], f"... and {len(problems) - MOST_SHOWN} more"]
