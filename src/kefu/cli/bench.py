"""`kefu bench encoder`, and the other commands of `kefu bench`: how fast things run here."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from kefu.bench.encoder import BATCHES, ROUNDS, TOKENS, Report, Row, compare_encoders
from kefu.bench.picture import check_picture_name, draw
from kefu.bert.optional import NotInstalled
from kefu.cli.bench_engines import engines
from kefu.cli.bench_moderation import moderation
from kefu.cli.bench_progress import BUSY_PERCENT, numbers, progress
from kefu.cli.bench_serve import serve
from kefu.cli.context import settings_of
from kefu.cli.output import print_json
from kefu.inference.encoder.opening import open_encoder
from kefu.inference.models.resolve import resolve_bert

app = typer.Typer(no_args_is_help=True, help="How fast things run on this machine.")
app.command("engines")(engines)
app.command("moderation")(moderation)
app.command("serve")(serve)


@app.callback()
def bench() -> None:
    """How fast things run on this machine."""


@app.command()
def encoder(
    ctx: typer.Context,
    model: Annotated[
        str | None,
        typer.Option(help="A Hugging Face BERT folder or catalogue name.", show_default=False),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, help="Timed calls of every cell.")] = ROUNDS,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="CPU threads; default: those of the desk.", show_default=False),
    ] = None,
    batches: Annotated[str, typer.Option(help="Texts in one call.")] = ",".join(map(str, BATCHES)),
    tokens: Annotated[str, typer.Option(help="Tokens of a text.")] = ",".join(map(str, TOKENS)),
    out: Annotated[
        Path | None, typer.Option(help="Picture to write, .png or .svg.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Run one BERT in PyTorch, ONNX and int8, and kefu's own encoder. Takes minutes."""
    settings = settings_of(ctx)
    chosen_threads = threads or settings.encoder.threads
    if out is not None:
        check_picture_name(out)
    with progress() as on_progress:
        report = compare_encoders(
            resolve_bert(settings, model) if model else None,
            lambda: open_encoder(settings, chosen_threads),
            threads=chosen_threads,
            batches=numbers(batches, "--batches", 1),
            # BERT puts a token before and one behind every text.
            tokens=numbers(tokens, "--tokens", 3),
            rounds=rounds,
            on_progress=on_progress,
        )
    if as_json:
        print_json(report.as_json())
    else:
        _print(report)
    if out is not None:
        _draw(report, out)


def _draw(report: Report, path: Path) -> None:
    """A missing matplotlib is said, and is no failure: the figures are there."""
    notes = Console(stderr=True)
    if not any(row.cells for row in report.rows):
        notes.print(Text("No picture: nothing could be measured.", style="yellow"))
        return
    try:
        draw(report, path)
    except NotInstalled as error:
        notes.print(Text(f"No picture: {error}", style="yellow"))
    else:
        notes.print(Text(f"Wrote {path}"))


def _print(report: Report) -> None:
    console = Console()
    machine = report.machine
    console.print(
        Text(
            f"{report.model or 'no BERT given'}; {machine['cpu']}, {report.threads} thread(s) of "
            f"{machine['usable_cpus']} usable CPUs; {report.rounds} rounds"
        )
    )
    if machine["busy_percent"] > BUSY_PERCENT:
        busy = f"Other programs took {machine['busy_percent']:.0f}% of the processors at the start:"
        console.print(Text(f"{busy} measure again on a quiet machine.", style="yellow"))
    if measured := [row for row in report.rows if row.cells]:
        console.print(_times_table(measured))
        console.print(_agreement_table(measured))
    for why, names in _missing(report.rows).items():
        console.print(Text(f"Not measured: {', '.join(names)}. {why}", style="yellow"))


def _missing(rows: Sequence[Row]) -> dict[str, list[str]]:
    """The names of rows without figures by their reason, which several share."""
    reasons: dict[str, list[str]] = {}
    for row in rows:
        if row.missing:
            reasons.setdefault(row.missing, []).append(row.name)
    return reasons


def _times_table(rows: Sequence[Row]) -> Table:
    """Grouped by the size of the call, so that what is compared stands together."""
    right = ("median ms", "p95 ms", "texts/s", "x eager")
    name = Column("", no_wrap=True)
    table = Table("tokens", "texts", name, *(Column(label, justify="right") for label in right))
    for number, first in enumerate(rows[0].cells):
        for row in rows:
            cell, is_first = row.cells[number], row is rows[0]
            table.add_row(
                str(first.tokens) if is_first else "",
                str(first.batch) if is_first else "",
                Text(row.name, style="" if row.same_weights else "dim"),
                f"{cell.median_ms:.2f}",
                f"{cell.p95_ms:.2f}",
                f"{cell.sentences_per_second:,.0f}",
                "-" if cell.speedup is None else f"{cell.speedup:.2f}",
            )
        table.add_section()
    return table


def _agreement_table(rows: Sequence[Row]) -> Table:
    """Whether the vectors are those of PyTorch eager."""
    right = ("ready after", "max difference", "min cosine")
    table = Table(Column("", no_wrap=True), *(Column(n, justify="right") for n in right), "")
    for row in rows:
        table.add_row(
            Text(row.name),
            f"{row.prepare_seconds:.1f} s",
            "-" if row.max_difference is None else f"{row.max_difference:.1e}",
            "-" if row.min_cosine is None else f"{row.min_cosine:.4f}",
            "" if row.same_weights else "another model",
        )
    return table
