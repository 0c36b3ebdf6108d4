"""From what was written down to a table: each outage, and all that customers waited for."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from loadtests.cluster.record import Message, Outage
from loadtests.cluster.watch import Watch

from kefu.bench.load.figures import Latency, latency_of

# As quick as before: over so many seconds p99 is at most so many times what it is while all is whole.
CALM_SECONDS = 5.0
AS_QUICK = 2.0


@dataclass(frozen=True)
class OutageFigures:
    """Seconds after the kill. `failed`: requests; `cut_off`: those of them that were under way at the
    kill; `again`: messages that took more than one request. `calm_after`: from when on replies that
    are not written were as quick as before; None where that was not before the next kill."""

    program: str
    killed_at: float
    back_after: float
    whole_after: float
    first_error: float | None
    last_error: float | None
    failed: int
    cut_off: int
    refused: int
    again: int
    longest_wait: float
    calm_after: float | None


@dataclass(frozen=True)
class Figures:
    """`seconds`: until the last message was answered. `refused_apart`: requests told to come again because too much came at once, while nothing was
    away. `per_turn`: Redis commands and PostgreSQL's counters for each answered message."""

    seconds: float
    sent: int
    acknowledged: int
    rate: float
    quick: Latency | None
    calm: Latency | None
    by_source: dict[str, Latency]
    shares: dict[str, float]
    errors: dict[str, int]
    refused_apart: int
    cores: dict[str, float]
    memory_mib: dict[str, float]
    per_turn: dict[str, float]
    outages: tuple[OutageFigures, ...]


def figures(told: Sequence[Message], outages: Sequence[Outage], watch: Watch) -> Figures:
    answered = [message for message in told if message.is_acknowledged]
    groups: defaultdict[str, list[float]] = defaultdict(list)
    for message in answered:
        groups[message.source].append(message.wait)
    groups = defaultdict(list, sorted(groups.items(), key=lambda item: -len(item[1])))
    calm = _calm(answered, outages)
    failures = [attempt for message in told for attempt in message.failures]
    last = max(message.ended for message in told)
    untils = [*(outage.killed_at for outage in outages[1:]), last]
    return Figures(
        seconds=last,
        sent=len(told),
        acknowledged=len(answered),
        rate=len(answered) / last,
        quick=latency_of(m.wait for m in answered if not m.is_written),
        calm=calm,
        by_source={name: found for name, waits in groups.items() if (found := latency_of(waits))},
        shares={name: len(waits) / len(answered) for name, waits in groups.items()},
        errors=dict(
            Counter(f"{a.status or 'no answer'} {a.error}" for a in failures).most_common()
        ),
        refused_apart=sum(
            attempt.is_refusal and not any(outage.covers(attempt) for outage in outages)
            for attempt in failures
        ),
        cores={name: spent / last for name, spent in watch.cpu_seconds.items()},
        memory_mib=dict(watch.memory_mib),
        per_turn=_per_turn(watch, len(answered)),
        outages=tuple(
            _of_outage(outage, told, until, calm)
            for outage, until in zip(outages, untils, strict=False)
        ),
    )


def _calm(answered: Sequence[Message], outages: Sequence[Outage]) -> Latency | None:
    """Of what was due before the first kill, and was not written."""
    first = outages[0].killed_at if outages else float("inf")
    return latency_of(m.wait for m in answered if not m.is_written and m.ended < first)


def _per_turn(watch: Watch, turns: int) -> dict[str, float]:
    if not turns:
        return {}
    counts: Mapping[str, float] = {
        "Redis commands": sum(watch.redis.values()),
        **{f"Redis {name}": calls for name, calls in watch.redis.most_common(8)},
        **{f"PostgreSQL {name}": count for name, count in watch.sql.items()},
    }
    return {name: count / turns for name, count in counts.items()}


def _of_outage(
    outage: Outage, told: Sequence[Message], until: float, calm: Latency | None
) -> OutageFigures:
    """`until`: the next kill. What was still under way then counts here as well."""
    touched = [m for m in told if m.ended >= outage.killed_at and m.attempts[0].sent < until]
    failed = [
        attempt
        for message in touched
        for attempt in message.failures
        if outage.killed_at <= attempt.ended < until
    ]
    errors = [attempt for attempt in failed if not attempt.is_refusal]
    ended = [attempt.ended - outage.killed_at for attempt in errors]
    return OutageFigures(
        program=outage.program,
        killed_at=outage.killed_at,
        back_after=outage.back_at - outage.killed_at,
        whole_after=outage.whole_at - outage.killed_at,
        first_error=min(ended, default=None),
        last_error=max(ended, default=None),
        failed=len(errors),
        cut_off=sum(map(outage.cut_off, errors)),
        refused=len(failed) - len(errors),
        again=sum(bool(message.failures) for message in touched),
        longest_wait=max((m.wait for m in touched), default=0.0),
        calm_after=_calm_after(outage.killed_at, until, told, calm),
    )


def _calm_after(
    killed_at: float, until: float, told: Sequence[Message], calm: Latency | None
) -> float | None:
    """The first second from which on, for `CALM_SECONDS`, what was due was answered as quickly as
    before."""
    if calm is None:
        return None
    due: defaultdict[int, list[Message]] = defaultdict(list)
    for message in told:
        if not message.is_written and killed_at <= message.due < until:
            due[int(message.due - killed_at)].append(message)
    for second in range(int(until - killed_at - CALM_SECONDS) + 1):
        window = [m for at in range(second, second + int(CALM_SECONDS)) for m in due[at]]
        found = latency_of(message.wait for message in window)
        if found and found.p99 <= AS_QUICK * calm.p99:
            return float(second)
    return None


def as_rows(found: Figures) -> list[dict[str, Any]]:
    """The outages, one by one and in order, with numbers as people read them."""
    return [
        {
            "program": each.program,
            "killed s": f"{each.killed_at:.0f}",
            "back s": f"{each.back_after:.1f}",
            "whole s": f"{each.whole_after:.1f}",
            "errors": str(each.failed),
            "cut off": str(each.cut_off),
            "first": _seconds(each.first_error),
            "last": _seconds(each.last_error),
            "refused": str(each.refused),
            "sent again": str(each.again),
            "longest wait": f"{each.longest_wait:.1f}",
            "p99 calm": _seconds(each.calm_after, "> next"),
        }
        for each in found.outages
    ]


def _seconds(value: float | None, none: str = "-") -> str:
    return none if value is None else f"{value:.1f}"
