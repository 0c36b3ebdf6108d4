"""`kefu bench engines`: one GGUF through PyTorch, llama-cpp-python and kefu's llama.cpp."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from kefu.bench.engines.comparison import (
    ROUNDS,
    STREAMS,
    TOKENS,
    Report,
    Row,
    compare_engines,
)
from kefu.bench.engines.picture import draw
from kefu.bench.engines.ways import Setting
from kefu.bench.picture import check_picture_name
from kefu.bert.optional import require_matplotlib
from kefu.cli.bench_progress import BUSY_PERCENT, numbers, progress
from kefu.cli.context import settings_of
from kefu.cli.output import print_json
from kefu.errors import InvalidInput
from kefu.inference.models.resolve import LocalGguf, resolve_generator


def engines(
    ctx: typer.Context,
    model: Annotated[
        str | None,
        typer.Option(help="Catalogue name or GGUF; default: the desk's.", show_default=False),
    ] = None,
    streams: Annotated[str, typer.Option(help="Answers at once.")] = ",".join(map(str, STREAMS)),
    rounds: Annotated[int, typer.Option(min=1, help="Timed answers of every cell.")] = ROUNDS,
    tokens: Annotated[int, typer.Option(min=2, help="Tokens of an answer at most.")] = TOKENS,
    threads: Annotated[
        int | None,
        typer.Option(min=1, help="CPU threads; default: the desk's.", show_default=False),
    ] = None,
    cpu: Annotated[bool, typer.Option("--cpu", help="Leave the GPU alone.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Picture to write, .png or .svg.", show_default=False)
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Time the first token and the writing of three engines in one run. Takes minutes."""
    settings = settings_of(ctx)
    generator = settings.generator
    if model is not None:
        generator = generator.instead(model)
        settings = settings.model_copy(update={"generator": generator})
    found = resolve_generator(settings)
    if not isinstance(found, LocalGguf):
        raise InvalidInput(f"{generator.title} is a server; name a GGUF file with --model.")
    if out is not None:
        check_picture_name(out)
        require_matplotlib()
    at_once = numbers(streams, "--streams", 1)
    setting = Setting(
        found.path,
        threads or generator.detected_threads,
        max(at_once),
        generator.chat_context_tokens,
        gpu=not cpu,
    )
    with progress() as on_progress:
        report = compare_engines(
            setting, streams=at_once, rounds=rounds, tokens=tokens, on_progress=on_progress
        )
    if as_json:
        print_json(report.as_json())
    else:
        _print(report)
    if out is not None:
        draw(report, out)
        Console(stderr=True).print(Text(f"Wrote {out}"))


def _print(report: Report) -> None:
    console = Console()
    console.print(
        Text(
            f"{report.model}; {report.machine['cpu']}, {report.threads} thread(s); prompts of "
            f"{report.prompt_characters:.0f} characters, up to {report.tokens} tokens an answer; "
            f"medians of {report.rounds} round(s)"
        )
    )
    if report.machine["busy_percent"] > BUSY_PERCENT:
        busy = f"Other programs took {report.machine['busy_percent']:.0f}% of the processors at"
        console.print(Text(f"{busy} the start: measure again on a quiet machine.", style="yellow"))
    if measured := [row for row in report.rows if row.cells]:
        console.print(_table(measured))
    for row in report.rows:
        if row.missing:
            console.print(Text(f"Not measured: {row.name}. {row.missing}", style="yellow"))


def _table(rows: list[Row]) -> Table:
    """First token and tokens a second for each number of answers at once."""
    right = ("ready after", "memory", "at once", "first token", "tokens/s")
    table = Table(
        Column("", no_wrap=True), *(Column(name, justify="right", no_wrap=True) for name in right)
    )
    for row in rows:
        for number, cell in enumerate(row.cells):
            once = (row.name, f"{row.ready_seconds:.1f} s", f"{row.memory_mib:,.0f} MiB")
            table.add_row(
                *(map(Text, once) if number == 0 else ("", "", "")),
                str(cell.streams),
                f"{cell.first_token_ms:,.0f} ms",
                f"{cell.tokens_per_second:,.1f}",
            )
        table.add_section()
    return table
