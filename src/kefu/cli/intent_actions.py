"""`kefu intent action set|list|remove`: what is done when an intent is plain."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kefu.cli.context import settings_of
from kefu.cli.output import print_json
from kefu.errors import InvalidInput, NotFound
from kefu.intent.actions import Action, check
from kefu.stores.intents import SqlActions
from kefu.stores.opening import open_database

app = typer.Typer(no_args_is_help=True, help="What is done when an intent is plain.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Label = Annotated[str, typer.Argument(help="The intent.")]


@app.command("set")
def set_(
    ctx: typer.Context,
    label: Label,
    reply_zh: Annotated[
        str, typer.Option("--zh", help="What the customer is told (Chinese).")
    ] = "",
    reply_en: Annotated[
        str, typer.Option("--en", help="What the customer is told (English).")
    ] = "",
    link: Annotated[str, typer.Option(help="An address to put behind it.")] = "",
    handoff: Annotated[
        bool, typer.Option("--handoff", help="Also hand the talk over to a person.")
    ] = False,
) -> None:
    """Answer this intent with fixed words, a link, or a person. A running desk notices."""
    if handoff and link:
        raise InvalidInput("Either --link or --handoff.")
    action = Action("handoff" if handoff else "link" if link else "reply", reply_zh, reply_en, link)
    check(label, action)
    with open_database(settings_of(ctx).database_at) as database:
        SqlActions(database).save({label: action})
    typer.echo(f"{label}: {action.kind}.")


@app.command("list")
def list_(ctx: typer.Context, as_json: Json = False) -> None:
    """The intents that have an action."""
    with open_database(settings_of(ctx).database_at) as database:
        _, found = SqlActions(database).load()
    if as_json:
        print_json({label: asdict(action) for label, action in found.items()})
        return
    if not found:
        Console(stderr=True).print("No intent has an action: kefu intent action set LABEL --en ...")
        return
    table = Table("intent", "action", "Chinese", "English", "link")
    for label, action in found.items():
        cells = (label, action.kind, action.reply_zh, action.reply_en, action.url)
        table.add_row(*map(Text, cells))
    Console().print(table)


@app.command()
def remove(ctx: typer.Context, label: Label) -> None:
    """Do nothing special for this intent."""
    with open_database(settings_of(ctx).database_at) as database:
        if not SqlActions(database).remove(label):
            raise NotFound(f"{label!r} has no action. See `kefu intent action list`.")
    typer.echo(f"{label}: no action.")
