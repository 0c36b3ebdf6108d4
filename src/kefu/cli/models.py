"""`kefu models list|pull` and the others: which models there are, and bringing them here."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from kefu.cli.context import settings_of
from kefu.cli.models_export import export_triton
from kefu.cli.models_progress import megabytes, progress_of, shown_progress
from kefu.errors import ModelCorrupt, ModelMissing
from kefu.inference.models import (
    InstalledModel,
    Model,
    Progress,
    ensure,
    load_catalogue,
    required_models,
    verify_installed,
)
from kefu.inference.models.installed import inspect_installed
from kefu.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The models kefu answers with.")
app.command("export-triton")(export_triton)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    verify: Annotated[
        bool, typer.Option("--verify", help="Read every byte and compare the SHA-256 sums.")
    ] = False,
    as_json: Json = False,
) -> None:
    """All models of the catalogue, and which of them are here."""
    settings = settings_of(ctx)
    with progress_of(as_json) as progress:
        rows = _rows(settings, verify, progress)
    if as_json:
        typer.echo(json.dumps(rows, ensure_ascii=False, indent=2))
    else:
        Console().print(_table(rows, settings_of(ctx).models_dir))
    if verify and any(row["state"] == "damaged" for row in rows):
        raise typer.Exit(1)


@app.command()
def pull(
    ctx: typer.Context,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Names in the catalogue; else the configured encoder and generator."),
    ] = None,
    keep_original: Annotated[
        bool, typer.Option("--keep-original", help="Keep the model another is made from.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Fetch models, verify them, and make the small generator from the large one."""
    settings = settings_of(ctx)
    wanted = names or required_models(settings)
    with progress_of(as_json) as progress:
        pulled = [
            ensure(settings, name, progress=progress, keep_original=keep_original)
            for name in wanted
        ]
    if as_json:
        typer.echo(json.dumps([_installed_row(model) for model in pulled], ensure_ascii=False))
        return
    for model in pulled:
        typer.echo(f"{model.model.name}: {model.path} ({megabytes(model.size_bytes)})")


def pull_configured(settings: Settings) -> None:
    """Bring what the settings ask for and is not here yet: the first step of a start.

    Nothing is fetched for a GGUF file of the user's own or for a remote server.
    """
    with shown_progress() as progress:
        for name in required_models(settings):
            ensure(settings, name, progress=progress)


def _rows(settings: Settings, verify: bool, progress: Progress) -> list[dict[str, Any]]:
    catalogue = load_catalogue(settings.data_dir)
    used = required_models(settings)
    return [
        {**_row(settings, model, verify, progress), "used": model.name in used}
        for model in catalogue.models.values()
    ]


def _row(settings: Settings, model: Model, verify: bool, progress: Progress) -> dict[str, Any]:
    row = {
        "name": model.name,
        "task": model.task,
        "title": model.title,
        "licence": model.licence,
        "licence_url": model.licence_url,
        "size_bytes": model.size_bytes,
        "state": "missing",
        "path": None,
    }
    try:
        installed = inspect_installed(model, settings.models_dir)
        if verify:
            verify_installed(installed, progress)
    except ModelMissing:
        return row
    except ModelCorrupt as error:
        return {**row, "state": "damaged", "problem": str(error)}
    return {**row, **_installed_row(installed), "state": "installed"}


def _installed_row(installed: InstalledModel) -> dict[str, Any]:
    return {
        "name": installed.model.name,
        "task": installed.model.task,
        "licence": installed.model.licence,
        "path": str(installed.path),
        "size_bytes": installed.size_bytes,
        "files": {file.path: file.sha256 for file in installed.files},
    }


def _table(rows: list[dict[str, Any]], folder: Path) -> Table:
    caption = f"in {folder}; --json shows paths and sums"
    table = Table(
        box=None, pad_edge=False, padding=(0, 1, 0, 0), header_style="bold", caption=caption
    )
    table.caption_justify = "left"
    for heading in ("Name", "Task", "Size", "Licence", "State"):
        is_whole = heading in ("Name", "Size")  # a name is typed to pull it
        table.add_column(
            heading,
            justify="right" if heading == "Size" else "left",
            no_wrap=is_whole,
        )
    for row in rows:
        state = row["state"] + (", in use" if row["used"] else "")
        state += f": {row['problem']}" if "problem" in row else ""
        cells = (row["name"], row["task"], megabytes(row["size_bytes"]), row["licence"], state)
        table.add_row(*map(Text, cells))
    return table
