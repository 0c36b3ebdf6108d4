"""A run's figures as tables for people."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from loadtests.cluster.figures import Figures, as_rows
from rich.console import Console
from rich.table import Table

from kefu.bench.load.figures import Latency


def show(
    console: Console,
    found: Figures,
    problems: Mapping[str, Sequence[str]],
    machine: Mapping[str, object],
) -> None:
    console.print(", ".join(f"{name} {value}" for name, value in machine.items()), style="dim")
    console.print(
        f"{found.sent:,} messages in {found.seconds:.0f} s, {found.acknowledged:,} answered "
        f"({found.rate:.1f}/s)"
    )
    if found.outages:
        rows = as_rows(found)
        _print(console, "kill -9 (s after the kill)", list(rows[0]), (r.values() for r in rows))
    _print(
        console,
        "What customers waited for, from when a message was due",
        ["source", "share", "replies", "p50 ms", "p90 ms", "p99 ms", "longest ms"],
        _latencies(found),
    )
    _print(
        console,
        "What the programs took",
        ["program", "cores, mean", "MiB at most"],
        (
            (name, f"{cores:.2f}", f"{found.memory_mib.get(name, 0):.0f}")
            for name, cores in found.cores.items()
        ),
    )
    _print(
        console,
        "For each answered message",
        ["what", "how many"],
        ((name, f"{count:.2f}") for name, count in found.per_turn.items()),
    )
    if found.errors:
        counts = ((what, f"{count:,}") for what, count in found.errors.items())
        _print(console, "Requests that failed", ["what", "how many"], counts)
    for promise, what in problems.items():
        console.print(f"[red]no [/] {promise}" if what else f"[green]yes[/] {promise}")
        for line in what:
            console.print(f"      {line}", markup=False)
    if found.refused_apart:
        console.print(f"{found.refused_apart} requests were told to come again while all was whole")


def _latencies(found: Figures) -> Iterable[Sequence[str]]:
    for source, latency in found.by_source.items():
        yield source, f"{found.shares[source]:.1%}", *_times(latency)
    if found.quick:
        yield "all not written", "", *_times(found.quick)
    if found.calm and found.outages:
        yield "the same before the first kill", "", *_times(found.calm)


def _times(latency: Latency) -> tuple[str, ...]:
    times = (latency.p50, latency.p90, latency.p99, latency.longest)
    return (f"{latency.n:,}", *(f"{time:,.1f}" for time in times))


def _print(
    console: Console, title: str, head: Sequence[str], rows: Iterable[Iterable[str]]
) -> None:
    table = Table(title=title, title_justify="left")
    for number, name in enumerate(head):
        table.add_column(name, justify="right" if number else "left")
    for row in rows:
        table.add_row(*row)
    console.print(table)
