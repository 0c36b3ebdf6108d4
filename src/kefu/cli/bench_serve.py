"""`kefu bench serve`: how many customers a desk carries, and what they wait for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kefu.bench.load.desk import started_desk
from kefu.bench.load.figures import Figures, Latency
from kefu.bench.load.manual import manual, manual_questions
from kefu.bench.load.page import page
from kefu.bench.load.questions import read_questions, words_of
from kefu.bench.load.report import Report
from kefu.bench.load.running import Test, find_capacity, require_desk, require_locust, run_test
from kefu.bench.load.traffic import Mix, Words
from kefu.bench.machine import describe_machine
from kefu.bert.optional import require_matplotlib
from kefu.cli.bench_progress import BUSY_PERCENT, progress
from kefu.cli.context import settings_of
from kefu.cli.output import print_json
from kefu.errors import InvalidInput
from kefu.knowledge.sample_shop import sample_entries
from kefu.settings import Settings
from kefu.stores.knowledge import SqlKnowledge
from kefu.stores.opening import open_database

_MIX = Mix()


def serve(
    ctx: typer.Context,
    url: Annotated[
        str | None,
        typer.Argument(help="A running desk; without it one with the sample shop is started."),
    ] = None,
    users: Annotated[int, typer.Option(min=1, help="Customers.")] = 100,
    spawn_rate: Annotated[float, typer.Option(min=0.1, help="Customers who come a second.")] = 50,
    rate: Annotated[float, typer.Option(min=0.1, help="Messages a second, of all.")] = 50,
    seconds: Annotated[float, typer.Option(min=1, help="Length of the test.")] = 60,
    known: Annotated[
        float, typer.Option(help="Share of questions as the knowledge has them.")
    ] = _MIX.known,
    rephrased: Annotated[
        float, typer.Option(help="Share of them in words not used before.")
    ] = _MIX.rephrased,
    new: Annotated[
        float, typer.Option(help="Share of questions that no entry answers.")
    ] = _MIX.new,
    follow_up: Annotated[float, typer.Option(help="Share of follow-ups.")] = _MIX.follow_up,
    blocked: Annotated[
        float, typer.Option(help="Share of messages with a blocked word.")
    ] = _MIX.blocked,
    streamed: Annotated[
        float, typer.Option(help="Share of messages asked for as streams.")
    ] = _MIX.streamed,
    zipf: Annotated[float, typer.Option(help="Zipf exponent of the known questions.")] = _MIX.zipf,
    questions: Annotated[
        Path | None, typer.Option(help="Known questions, one a line, instead of the knowledge.")
    ] = None,
    new_questions: Annotated[
        Path | None, typer.Option(help="New questions, one a line, instead of made ones.")
    ] = None,
    capacity: Annotated[
        bool, typer.Option("--capacity", help="Look for the highest rate that --p99 allows.")
    ] = False,
    p99: Annotated[float, typer.Option(help="Milliseconds that 99% may take.")] = 400,
    key: Annotated[str, typer.Option(help="A chat key, where the desk asks for one.")] = "",
    seed: Annotated[int, typer.Option(help="Another one draws other messages.")] = 1,
    out: Annotated[
        Path | None, typer.Option(help="Report with pictures to write, .html.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Let customers write to a desk at a constant rate, and time its replies (kefu[bench])."""
    require_locust()
    if out is not None:
        _check_page(out)
    mix = Mix(known, rephrased, new, follow_up, blocked, streamed, zipf)
    settings = settings_of(ctx)
    words = _words(settings, url, questions, new_questions)
    machine = describe_machine()
    with _desk(settings, url, key) as address, progress() as on_progress:
        test = Test(address, key, users, spawn_rate, rate, seconds, seed)
        if capacity:
            limits = find_capacity(
                test,
                words,
                mix,
                p99,
                lambda at, done, total: on_progress(f"{at:.0f} messages/s", int(done), int(total)),
            )
            best = [found for tried, is_held, found in limits.steps if is_held]
            report = Report(machine, test, mix, (best or [limits.steps[-1][2]])[-1], limits)
        else:
            found = run_test(
                test, words, mix, lambda done, total: on_progress("", int(done), int(total))
            )
            report = Report(machine, test, mix, found, None)
    if as_json:
        print_json(report.as_json())
    else:
        _print(report)
    if out is not None:
        out.write_text(page(report), "utf-8")
        Console(stderr=True).print(Text(f"Wrote {out}"))


def _check_page(out: Path) -> None:
    """Better before minutes of measuring than after."""
    if out.suffix.lower() not in (".html", ".htm"):
        raise InvalidInput(f"{out}: name a page that ends in .html.")
    if not out.absolute().parent.is_dir():
        raise InvalidInput(f"{out}: there is no folder {out.absolute().parent}.")
    require_matplotlib()


def _words(
    settings: Settings, url: str | None, questions: Path | None, new_questions: Path | None
) -> Words:
    if url is None:
        words = replace(words_of(sample_entries()), new=manual_questions())
    elif questions is None:
        with open_database(settings.database_at) as database:
            words = words_of(SqlKnowledge(database).entries()[1])
    else:
        words = words_of(())
    if questions is not None:
        words = replace(words, known=read_questions(questions))
    if new_questions is not None:
        words = replace(words, new=read_questions(new_questions))
    return words


@contextmanager
def _desk(settings: Settings, url: str | None, key: str) -> Iterator[str]:
    if url is None:
        with started_desk(settings, manual()) as address:
            yield address
    else:
        require_desk(url, key)
        yield url.rstrip("/")


def _print(report: Report) -> None:
    console, found = Console(), report.figures
    console.print(Text(report.statement, style="bold"))
    busy = report.machine["busy_percent"]
    console.print(Text(f"{report.machine['cpu']}, {report.machine['usable_cpus']} CPUs"))
    if busy > BUSY_PERCENT:
        said = f"Other programs took {busy:.0f}% of the processors at the start:"
        console.print(Text(f"{said} measure again on a quiet machine.", style="yellow"))
    if report.capacity:
        console.print(_steps_table(report.capacity.steps))
    console.print(_latency_table(found))
    console.print(_process_table(found))
    for reason, count in found.errors.items():
        console.print(Text(f"{count:,} x {reason}", style="red"))


def _latency_table(found: Figures) -> Table:
    right = ("share", "replies", "p50 ms", "p90 ms", "p99 ms", "longest ms", "first piece p50")
    table = Table("source")
    for name in right:
        table.add_column(name, justify="right")
    for source, latency in found.by_source.items():
        first = found.first_piece.get(source)
        share = f"{100 * found.shares[source]:.1f}%"
        table.add_row(source, share, *_cells(latency), _ms(first.p50) if first else "")
    if found.quick:
        table.add_section()
        table.add_row("all but model", "", *_cells(found.quick), "")
    return table


def _cells(latency: Latency) -> tuple[str, ...]:
    times = (latency.p50, latency.p90, latency.p99, latency.longest)
    return (f"{latency.n:,}", *(_ms(time) for time in times))


def _process_table(found: Figures) -> Table:
    table = Table("process")
    for name in ("cores, mean", "at most", "MiB", "at most", "MiB a minute"):
        table.add_column(name, justify="right")
    for name, took in found.processes.items():
        table.add_row(
            name,
            f"{took.mean_cpu:.2f}",
            f"{took.most_cpu:.2f}",
            f"{took.memory_mib:.0f}",
            f"{took.most_memory_mib:.0f}",
            f"{took.growth_mib_per_minute:+.2f}",
        )
    return table


def _steps_table(steps: tuple[tuple[float, bool, Figures], ...]) -> Table:
    table = Table()
    for name in ("messages/s", "p99 ms", "generated", "errors", "held"):
        table.add_column(name, justify="right")
    for rate, is_held, found in steps:
        table.add_row(
            f"{rate:.0f}",
            _ms(found.quick.p99) if found.quick else "-",
            f"{100 * found.share_written:.1f}%",
            f"{found.error_count:,}",
            "yes" if is_held else "no",
        )
    return table


def _ms(milliseconds: float) -> str:
    return f"{milliseconds:,.0f}" if milliseconds >= 10 else f"{milliseconds:.1f}"
