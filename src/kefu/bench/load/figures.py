"""From what became of every message to percentiles, by where the reply came from."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median

from kefu.bench.load.plan import Sample
from kefu.bench.load.watching import Load

# Replies that a generator wrote for this very message. All others cost next to nothing.
WRITTEN = "model"
PERCENTILES = (50, 90, 99)


@dataclass(frozen=True)
class Latency:
    """Milliseconds from when the message was due to the end of the reply."""

    n: int
    p50: float
    p90: float
    p99: float
    longest: float


@dataclass(frozen=True)
class Moment:
    """A stretch of the test, `at` seconds after the start: messages that were due in it.

    `quick` are the latencies of all replies that were not written, `written` of those that were.
    """

    at: float
    seconds: float
    replies: Mapping[str, int]
    errors: int
    quick: Latency | None
    written: Latency | None


@dataclass(frozen=True)
class ProcessFigures:
    """Cores in use, in the mean and at most; resident memory at the end and at most, in MiB, and
    how it grew in the second half of the test."""

    mean_cpu: float
    most_cpu: float
    memory_mib: float
    most_memory_mib: float
    growth_mib_per_minute: float


@dataclass(frozen=True)
class Figures:
    """One test. `sent`: messages that were due; `rate`: replies a second over the whole test.

    `by_source`: latencies by where a reply came from; `shares`: of all replies. `first_piece`: of
    streams, by source, to their first piece. `sources_of`: what messages of a kind were answered
    from. `errors`: by reason; a message that was never answered is one of them. `loads` are what
    `processes` sums up.
    """

    seconds: float
    sent: int
    rate: float
    quick: Latency | None
    written: Latency | None
    by_source: dict[str, Latency]
    shares: dict[str, float]
    first_piece: dict[str, Latency]
    sources_of: dict[str, dict[str, int]]
    errors: dict[str, int]
    processes: dict[str, ProcessFigures]
    loads: dict[str, tuple[Load, ...]]
    moments: tuple[Moment, ...]

    @property
    def error_count(self) -> int:
        return sum(self.errors.values())

    @property
    def share_written(self) -> float:
        return self.shares.get(WRITTEN, 0.0)


def figures(
    samples: Sequence[Sample],
    unanswered: int,
    seconds: float,
    loads: Mapping[str, Sequence[Load]],
    moments: int = 60,
) -> Figures:
    """`unanswered`: messages that were due and have no sample."""
    good = [sample for sample in samples if not sample.is_error]
    by_source = _grouped(good, lambda sample: sample.source)
    errors = Counter(sample.error for sample in samples if sample.is_error)
    if unanswered:
        errors["no reply"] += unanswered
    sources_of: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for sample in good:
        sources_of[sample.kind][sample.source] += 1
    streams = [sample for sample in good if sample.first is not None]
    return Figures(
        seconds=seconds,
        sent=len(samples) + unanswered,
        rate=len(good) / seconds,
        quick=latency_of(sample.latency for sample in good if sample.source != WRITTEN),
        written=latency_of(sample.latency for sample in good if sample.source == WRITTEN),
        by_source={
            source: latency
            for source, group in by_source.items()
            if (latency := latency_of(sample.latency for sample in group))
        },
        shares={source: len(group) / len(good) for source, group in by_source.items()},
        first_piece={
            source: latency
            for source, group in _grouped(streams, lambda sample: sample.source).items()
            if (latency := latency_of((sample.first or 0.0) - sample.due for sample in group))
        },
        sources_of={kind: dict(counts) for kind, counts in sorted(sources_of.items())},
        errors=dict(errors),
        processes={name: _of_process(found) for name, found in loads.items() if found},
        loads={name: tuple(found) for name, found in loads.items() if found},
        moments=tuple(_moments(samples, seconds, moments)),
    )


def _grouped(samples: Iterable[Sample], key: Callable[[Sample], str]) -> dict[str, list[Sample]]:
    """The largest group first."""
    groups: defaultdict[str, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[key(sample)].append(sample)
    return dict(sorted(groups.items(), key=lambda item: -len(item[1])))


def latency_of(seconds: Iterable[float]) -> Latency | None:
    ordered = sorted(1000 * value for value in seconds)
    if not ordered:
        return None
    p50, p90, p99 = (_percentile(ordered, percent) for percent in PERCENTILES)
    return Latency(len(ordered), p50, p90, p99, ordered[-1])


def _percentile(ordered: Sequence[float], percent: int) -> float:
    """The least value that `percent` of all do not exceed (nearest rank)."""
    return ordered[max(0, -(-len(ordered) * percent // 100) - 1)]


def _of_process(loads: Sequence[Load]) -> ProcessFigures:
    memory = [load.memory_mib for load in loads]
    cores = [load.cpu for load in loads]
    return ProcessFigures(
        sum(cores) / len(cores), max(cores), memory[-1], max(memory), _growth(loads)
    )


def _growth(loads: Sequence[Load]) -> float:
    """Per minute. The median of the slopes between a third and the third after it (Theil 1950,
    thinned), which one jump does not move."""
    late = loads[len(loads) // 2 :]
    apart = len(late) // 3
    if apart < 1:
        return 0.0
    slopes = [
        (after.memory_mib - before.memory_mib) / (after.at - before.at)
        for before, after in zip(late, late[apart:], strict=False)
        if after.at > before.at
    ]
    return 60 * median(slopes) if slopes else 0.0


def _moments(samples: Sequence[Sample], seconds: float, count: int) -> Iterable[Moment]:
    width = max(1.0, seconds / count)
    groups: defaultdict[int, list[Sample]] = defaultdict(list)
    for sample in samples:
        groups[int(sample.due // width)].append(sample)
    for number in range(int(seconds // width)):
        group = groups[number]
        good = [sample for sample in group if not sample.is_error]
        yield Moment(
            at=number * width,
            seconds=width,
            replies=dict(Counter(sample.source for sample in good)),
            errors=len(group) - len(good),
            quick=latency_of(s.latency for s in good if s.source != WRITTEN),
            written=latency_of(s.latency for s in good if s.source == WRITTEN),
        )
