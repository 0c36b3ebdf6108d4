"""`kefu kb golden import|add|list|delete|check`: questions whose right entry is known."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kefu.cli.context import settings_of
from kefu.cli.kb_opened import opened
from kefu.cli.output import print_json, source_of
from kefu.errors import NotFound
from kefu.gaps.endpoints import check_as_json
from kefu.gaps.golden import GoldenQuestion, Outcome, check, require_golden, require_room
from kefu.knowledge.evaluate import read_queries
from kefu.settings import Settings
from kefu.stores.golden import SqlGolden
from kefu.stores.knowledge import SqlKnowledge
from kefu.stores.opening import open_database

app = typer.Typer(no_args_is_help=True, help="Questions whose right entry is known.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(help="CSV or JSONL with query,faq_id; an empty faq_id: none may answer."),
    ],
    as_json: Json = False,
) -> None:
    """Add golden questions; one that is known gets the entry of the file. All, or none."""
    found = [GoldenQuestion(q.query, q.faq_id) for q in read_queries(*source_of(file))]
    total = _add(settings_of(ctx), found)
    if as_json:
        print_json({"saved": len(found), "total": total})
    else:
        typer.echo(f"{len(found)} saved; {total} golden questions in all.")


@app.command("add")
def add(
    ctx: typer.Context,
    question: Annotated[str, typer.Argument(help="As a customer would ask it.")],
    entry_id: Annotated[
        str, typer.Argument(help="The entry that answers; without it, none may.")
    ] = "",
) -> None:
    """Add one golden question."""
    total = _add(settings_of(ctx), [GoldenQuestion(question.strip(), entry_id)])
    typer.echo(f"Saved; {total} golden questions in all.")


@app.command("list")
def list_(ctx: typer.Context, as_json: Json = False) -> None:
    """The golden set."""
    with open_database(settings_of(ctx).database_at) as database:
        found = SqlGolden(database).all()
    if as_json:
        print_json([asdict(one) for one in found])
        return
    if not found:
        Console(stderr=True).print("The golden set is empty: kefu kb golden import FILE")
        return
    table = Table("question", "entry")
    for one in found:
        table.add_row(Text(one.question), entry_name(one.entry_id))
    Console().print(table)


@app.command("delete")
def delete(
    ctx: typer.Context,
    question: Annotated[str, typer.Argument(help="As in `kefu kb golden list`.")],
) -> None:
    """Ask this question no more."""
    with open_database(settings_of(ctx).database_at) as database:
        if not SqlGolden(database).remove(question):
            raise NotFound(f"{question[:128]!r} is no golden question. See kefu kb golden list.")
    typer.echo("Deleted.")


@app.command("check")
def check_(ctx: typer.Context, as_json: Json = False) -> None:
    """Ask all golden questions. Exit code 1: some are not served rightly."""
    questions, outcomes = asyncio.run(_check(settings_of(ctx)))
    failing = [pair for pair in zip(questions, outcomes, strict=True) if not pair[1].is_right]
    if as_json:
        print_json(check_as_json(questions, outcomes))
    else:
        if failing:
            Console().print(_failing_table(failing))
        typer.echo(f"{len(questions) - len(failing)} of {len(questions)} are served rightly.")
    if failing:
        raise typer.Exit(1)


async def _check(settings: Settings) -> tuple[list[GoldenQuestion], list[Outcome]]:
    async with opened(settings) as desk:
        questions = desk.golden.all()
        return questions, await check(questions, desk.knowledge, desk.encoder, settings.language)


def _add(settings: Settings, questions: Sequence[GoldenQuestion]) -> int:
    """How many golden questions there are then. No model is needed for this."""
    with open_database(settings.database_at) as database:
        store = SqlGolden(database)
        require_golden(questions, SqlKnowledge(database).hashes())
        require_room(store.all(), questions)
        store.save(questions)
        return len(store.all())


def _failing_table(failing: Sequence[tuple[GoldenQuestion, Outcome]]) -> Table:
    table = Table("question", "right", "is")
    for one, outcome in failing:
        table.add_row(Text(one.question), entry_name(one.entry_id), outcome_name(outcome))
    return table


def outcome_name(outcome: Outcome) -> Text:
    return Text(f"{outcome.decision}: {outcome.entry_id}" if outcome.entry_id else outcome.decision)


def entry_name(entry_id: str) -> Text:
    return Text(entry_id) if entry_id else Text("none may answer", style="dim")
