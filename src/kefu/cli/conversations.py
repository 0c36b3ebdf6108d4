"""`kefu conversations list|show`: what was said, read from the data folder."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kefu.cli.context import settings_of
from kefu.cli.output import local_time, print_json
from kefu.conversations.ratings import Rating
from kefu.conversations.transcript import ConversationSummary, Turn
from kefu.errors import NotFound
from kefu.settings import Settings
from kefu.stores.opening import open_database
from kefu.stores.transcript import SqlTranscript

app = typer.Typer(no_args_is_help=True, help="What customers wrote and were told.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    waiting: Annotated[
        bool, typer.Option("--waiting", help="Only those in which a person is needed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Conversations, the most recently active first."""
    found = asyncio.run(_summaries(settings_of(ctx), limit, waiting))
    if as_json:
        print_json([asdict(summary) for summary in found])
    elif not found:
        Console(stderr=True).print("No conversations are kept yet.")
    else:
        Console().print(_summary_table(found))


@app.command()
def show(
    ctx: typer.Context,
    uid: Annotated[str, typer.Argument(help="The customer, as in `kefu conversations list`.")],
    limit: Annotated[int, typer.Option(min=1, help="How many turns at most.")] = 100,
    as_json: Json = False,
) -> None:
    """The turns of one customer, oldest first."""
    turns = asyncio.run(_turns(settings_of(ctx), uid, limit))
    if not turns:
        raise NotFound(f"No conversation of the customer {uid!r} is kept.")
    if as_json:
        print_json({"uid": uid, "turns": [asdict(turn) for turn in turns]})
        return
    console = Console()
    talk = ""
    for turn in turns:
        if turn.conversation_id != talk:
            talk = turn.conversation_id
            console.rule(f"{local_time(turn.created_at_ms)}  {talk}", style="dim")
        print_turn(console, turn)


async def _summaries(settings: Settings, limit: int, waiting: bool) -> list[ConversationSummary]:
    with open_database(settings.database_at) as database:
        return await SqlTranscript(database).conversations(limit, waiting_only=waiting)


async def _turns(settings: Settings, uid: str, limit: int) -> list[Turn]:
    with open_database(settings.database_at) as database:
        return await SqlTranscript(database).last_turns(uid, limit)


def _summary_table(found: Sequence[ConversationSummary]) -> Table:
    table = Table("customer", "turns", "person needed", "last active", "last question")
    for summary in found:
        waiting = summary.unanswered + summary.handoffs
        table.add_row(
            Text(summary.uid),
            str(summary.turns),
            Text(str(waiting), style="yellow") if waiting else Text("-", style="dim"),
            local_time(summary.last_at_ms),
            Text(_shortened(summary.last_question)),
        )
    return table


def print_turn(console: Console, turn: Turn) -> None:
    console.print(Text("> ", style="bold cyan") + Text(turn.question))
    if turn.status == "answered":
        console.print(Text(turn.reply))
        cited = ", ".join(citation.id for citation in turn.citations)
        total = turn.timings_ms.get("total", 0.0)
        facts = [turn.source, f"{total:.0f} ms", *([cited] if cited else [])]
        console.print(Text("  " + " · ".join(facts), style="dim"))
        _print_rating(console, turn.rating)
    else:
        console.print(Text(f"  not answered: {turn.status} ({turn.error_code})", style="yellow"))


def _print_rating(console: Console, rating: Rating | None) -> None:
    if rating is not None:
        because = f": {rating.reason}" if rating.reason else ""
        style = "green" if rating.value == "up" else "red"
        console.print(Text(f"  rated {rating.value}{because}", style=style))


def _shortened(text: str, length: int = 40) -> str:
    line = " ".join(text.split())
    return line if len(line) <= length else line[: length - 1] + "…"
