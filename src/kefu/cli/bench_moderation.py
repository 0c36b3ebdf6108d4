"""`kefu bench moderation`: how long the word filter takes for a sentence, beside others."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from kefu.bench.moderation import CHARACTERS, ROUNDS, WORDS, Report, Row, compare_filters
from kefu.cli.bench_progress import BUSY_PERCENT, progress
from kefu.cli.output import print_json
from kefu.moderation.lexicon import MAX_WORDS


def moderation(
    words: Annotated[
        int, typer.Option(min=1_000, max=MAX_WORDS, help="Words to look for.")
    ] = WORDS,
    rounds: Annotated[int, typer.Option(min=1, help="Times every sentence is looked at.")] = ROUNDS,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Time the word filter, and pyahocorasick and better-profanity where they are installed."""
    with progress() as on_progress:
        report = compare_filters(words, rounds, on_progress)
    if as_json:
        print_json(report.as_json())
    else:
        _print(report)


def _print(report: Report) -> None:
    console = Console()
    busy = report.machine["busy_percent"]
    console.print(Text(f"{report.machine['cpu']}; µs for a sentence of {CHARACTERS} characters"))
    if busy > BUSY_PERCENT:
        said = f"Other programs took {busy:.0f}% of the processors at the start:"
        console.print(Text(f"{said} measure again on a quiet machine.", style="yellow"))
    console.print(_table([row for row in report.rows if row.cells]))
    for row in report.rows:
        if row.missing:
            console.print(Text(f"Not measured: {row.name}. {row.missing}", style="yellow"))
        elif row.note:
            console.print(Text(f"{row.name}: {row.note}."))


def _table(rows: list[Row]) -> Table:
    times = [f"{cell.language} {what}" for cell in rows[0].cells for what in ("p50", "p99")]
    right = ("words", "built", *times)
    table = Table(
        Column("", no_wrap=True), *(Column(name, justify="right", no_wrap=True) for name in right)
    )
    for row in rows:
        figures = (_microseconds(time) for cell in row.cells for time in (cell.p50_us, cell.p99_us))
        table.add_row(Text(row.name), f"{row.words:,}", f"{row.build_seconds:.2f} s", *figures)
    return table


def _microseconds(time: float) -> str:
    return f"{time:,.1f}" if time < 100 else f"{time:,.0f}"
