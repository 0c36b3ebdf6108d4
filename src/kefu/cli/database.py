"""`kefu migrate|export|import`: the database as a whole."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from kefu.cli.context import settings_of
from kefu.cli.output import print_json, progress_bar
from kefu.stores.copying import Counts, export_rows, import_rows
from kefu.stores.database import revision_of
from kefu.stores.opening import open_database

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def migrate(ctx: typer.Context, as_json: Json = False) -> None:
    """Bring the tables of the database up to date; every other command does so, too."""
    with open_database(settings_of(ctx).database_at) as database, database.read() as connection:
        revision = revision_of(connection)
    if as_json:
        print_json({"revision": revision})
    else:
        Console().print(f"The tables are up to date (revision {revision}).")


def export(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A new file, such as kefu.jsonl.gz.")],
    as_json: Json = False,
) -> None:
    """Write all that is in the database into one file, for `kefu import`."""
    with open_database(settings_of(ctx).database_at) as database, progress_bar("rows") as progress:
        counts = export_rows(database, file, progress)
    _tell("written", file, counts, as_json)


def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="What `kefu export` wrote.")],
    as_json: Json = False,
) -> None:
    """Take over all that `kefu export` wrote into a database that is empty, all or nothing."""
    with open_database(settings_of(ctx).database_at) as database, progress_bar("rows") as progress:
        counts = import_rows(database, file, progress)
    _tell("read", file, counts, as_json)


def _tell(done: str, file: Path, counts: Counts, as_json: bool) -> None:
    if as_json:
        print_json({"file": str(file), "rows": counts})
        return
    what = ", ".join(
        f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count
    )
    Console().print(f"{sum(counts.values()):,} rows {done}: {what or 'nothing'}.", highlight=False)
