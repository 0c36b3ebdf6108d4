"""`kefu generate evaluate`: how well a model answers from passages."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any, get_args

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from kefu.cli.context import settings_of
from kefu.cli.output import print_json, stages
from kefu.errors import InvalidInput
from kefu.generation.evaluate import Answer, Figures, Report, evaluate
from kefu.generation.judging import Outcome
from kefu.generation.tasks import Task, read_tasks, shop_tasks
from kefu.inference.embedded import open_generator
from kefu.inference.models.resolve import PromptStyle
from kefu.reading.loading import open_reader
from kefu.settings import Settings
from kefu.telemetry import Metrics
from kefu.turn.prompt import PromptWriter

# What a column says, and the figure in it.
_COLUMNS = {
    "answered": "answered",
    "missed": "refused_wrongly",
    "shown": "shown",
    "refused": "refused",
    "quoted": "quoted",
    "wrong": "wrong",
    "invented": "invented",
}
_MEANING = (
    "answered: of the tasks with an answer, answered rightly; missed: refused all the same; shown: "
    "the guard let nothing through, and what is quoted instead has the answer. refused: of the tasks "
    "without an answer; quoted: there something is quoted as found. wrong, invented: of the replies that say something; invented "
    "is a number, price, date or address that stands nowhere."
)

app = typer.Typer(no_args_is_help=True, help="The model that writes answers.")


@app.callback()
def main() -> None:
    """The model that writes answers."""


@app.command("evaluate")
def evaluate_(
    ctx: typer.Context,
    file: Annotated[
        Path | None,
        typer.Argument(
            help="Tasks (JSON lines); without it those of 48 shops.", show_default=False
        ),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            help="Catalogue name or GGUF, instead of generator.model.", show_default=False
        ),
    ] = None,
    adapter: Annotated[
        str | None, typer.Option(help="GGUF LoRA adapter for it.", show_default=False)
    ] = None,
    prompt: Annotated[
        str | None,
        typer.Option(help="completion, chat or trained, instead of its own.", show_default=False),
    ] = None,
    half: Annotated[
        str, typer.Option(help="dev (tuned on), test, or all; of the tasks' groups.")
    ] = "test",
    parallel: Annotated[
        int, typer.Option(min=1, max=8, help="Answers at once; the speed is of that many.")
    ] = 1,
    errors: Annotated[int, typer.Option(min=0, help="Show so many that are not right.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Have passages answered from, and say how many replies are right, refused and invented."""
    settings = _settings(settings_of(ctx), model, adapter, prompt)
    tasks = _chosen(read_tasks(file) if file else shop_tasks(), half)
    with stages() as on_progress:
        report = asyncio.run(
            _evaluate(settings, tasks, parallel, lambda a, b: on_progress(a, b, "answering"))
        )
    if as_json:
        print_json(_as_json(report))
        return
    _print(report)
    for answer in _not_right(report)[:errors]:
        _print_error(answer)


async def _evaluate(
    settings: Settings, tasks: list[Task], parallel: int, on_progress: Any
) -> Report:
    async with AsyncExitStack() as stack:
        generator, style = await open_generator(settings, Metrics(), stack)
        prompts = PromptWriter(style)
        name = Path(settings.generator.title).name
        reader = open_reader(settings)
        return await evaluate(
            tasks,
            generator,
            prompts,
            name,
            read=reader.read if reader else None,
            replies=settings.replies,
            parallel=parallel,
            on_progress=on_progress,
        )


def _settings(
    settings: Settings, model: str | None, adapter: str | None, prompt: str | None
) -> Settings:
    if prompt not in (None, *get_args(PromptStyle)):
        raise InvalidInput(f"--prompt is {prompt!r}; say {', '.join(get_args(PromptStyle))}.")
    if adapter and not Path(adapter).is_file():
        raise InvalidInput(f"--adapter: there is no file {adapter}.")
    given = {"adapter": adapter, "prompt": prompt}
    changes = {name: value for name, value in given.items() if value is not None}
    generator = settings.generator if model is None else settings.generator.instead(model)
    generator = generator.model_copy(update=changes)
    return settings.model_copy(update={"generator": generator})


def _chosen(tasks: list[Task], half: str) -> list[Task]:
    if half not in ("dev", "test", "all"):
        raise InvalidInput(f"--half is {half!r}; say dev, test or all.")
    found = [task for task in tasks if half in ("all", task.half)]
    if not found:
        raise InvalidInput(f"No task is in the half {half!r}: ask for --half all.")
    return found


def _not_right(report: Report) -> list[Answer]:
    return [a for a in report.answers if a.of_guarded.outcome is not Outcome.RIGHT]


def _as_json(report: Report) -> dict[str, Any]:
    answers = [
        {
            "id": answer.task.id,
            "written": answer.written,
            "guarded": answer.guarded,
            "quoted": answer.quoted,
            "fault": answer.fault,
            "outcome_written": answer.of_written.outcome,
            "outcome": answer.of_guarded.outcome,
            "invented": answer.of_guarded.invented,
        }
        for answer in report.answers
    ]
    return {**asdict(replace(report, answers=())), "answers": answers}


def _print(report: Report) -> None:
    console = Console()
    console.print(Text(f"{report.model}, prompt style {report.style}"))
    table = Table(
        Column("", no_wrap=True),
        Column("tasks", justify="right", no_wrap=True),
        *(Column(name, justify="right", no_wrap=True) for name in _COLUMNS),
        box=SIMPLE_HEAD,
        pad_edge=False,
        collapse_padding=True,
    )
    table.add_row("as written", *_row(report.written))
    table.add_row("guarded", *_row(report.guarded))
    for kind, figures in report.by_kind.items():
        table.add_row(f"  {kind}", *_row(figures))
    console.print(table)
    console.print(Text(_MEANING, style="dim"))
    if (length := report.written.characters) is not None:
        console.print(Text(f"A reply has {length:.0f} characters."))
    if (speed := report.tokens_per_second) is not None:
        console.print(Text(f"Each is written with {speed:.0f} tokens/s."))


def _row(figures: Figures) -> list[str]:
    shares = [getattr(figures, name) for name in _COLUMNS.values()]
    return [f"{figures.tasks:,}", *("-" if s is None else f"{100 * s:.0f}%" for s in shares)]


def _print_error(answer: Answer) -> None:
    task = answer.task
    typer.echo(f"\n{task.id} ({task.kind}), {answer.of_guarded.outcome}: {task.question}")
    for passage in task.passages:
        typer.echo(f"  [{passage.title}] {passage.text}")
    typer.echo(f"  wanted:  {task.answer or '(a refusal)'}")
    typer.echo(f"  written: {answer.written}")
    if answer.fault:
        typer.echo(f"  stopped: {answer.fault}; read: {answer.guarded or '(nothing)'}")
