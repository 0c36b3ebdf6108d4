"""`kefu keys create|list|revoke`: who may manage the desk or chat over the network."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from kefu.cli.context import settings_of
from kefu.cli.output import local_time, print_json
from kefu.errors import InvalidInput
from kefu.http.auth import ApiKeys, Role
from kefu.stores.keys import SqlKeys
from kefu.stores.opening import open_database

app = typer.Typer(no_args_is_help=True, help="API keys: only their hashes are stored.")

ROLES: dict[str, Role] = {"admin": "admin", "chat": "chat"}


@app.command()
def create(
    ctx: typer.Context,
    role: Annotated[str, typer.Option(help="admin: everything. chat: only to chat.")] = "chat",
    note: Annotated[str, typer.Option(help="What it is for.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Make a key and print it: it is not shown again."""
    if role not in ROLES:
        raise InvalidInput(f"There is no role {role!r}; choose admin or chat.")
    with open_database(settings_of(ctx).database_at) as database:
        key = ApiKeys(SqlKeys(database)).create(ROLES[role], note[:200])
    if as_json:
        print_json({"role": role, "key": key})
    else:
        typer.echo(key)


@app.command("list")
def list_(
    ctx: typer.Context,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """The keys there are, without their secrets."""
    with open_database(settings_of(ctx).database_at) as database:
        found = ApiKeys(SqlKeys(database)).all()
    if as_json:
        print_json([{k: v for k, v in asdict(key).items() if k != "sha256"} for key in found])
        return
    table = Table("id", "role", "made", "note")
    for key in found:
        table.add_row(key.id, key.role, local_time(key.created_at_ms), key.note)
    Console().print(table)


@app.command()
def revoke(
    ctx: typer.Context, key_id: Annotated[str, typer.Argument(help="As in `kefu keys list`.")]
) -> None:
    """Make a key useless. A running desk notices within a second."""
    with open_database(settings_of(ctx).database_at) as database:
        ApiKeys(SqlKeys(database)).revoke(key_id)
    typer.echo(f"Revoked {key_id}.")
