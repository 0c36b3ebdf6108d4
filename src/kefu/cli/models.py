"""`kefu models list|pull`: which models there are, and bringing them to this computer."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars
from rich.table import Table
from rich.text import Text

from kefu.cli.context import settings_of
from kefu.errors import ModelCorrupt, ModelMissing
from kefu.inference.models import (
    InstalledModel,
    Model,
    Progress,
    Silent,
    ensure,
    load_catalogue,
    required_models,
    verify_installed,
)
from kefu.inference.models.installed import inspect_installed
from kefu.settings import Settings

app = typer.Typer(no_args_is_help=True, help="The models kefu answers with.")

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
    with _progress_of(as_json) as progress:
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
    with _progress_of(as_json) as progress:
        pulled = [
            ensure(settings, name, progress=progress, keep_original=keep_original)
            for name in wanted
        ]
    if as_json:
        typer.echo(json.dumps([_installed_row(model) for model in pulled], ensure_ascii=False))
        return
    for model in pulled:
        typer.echo(f"{model.model.name}: {model.path} ({_megabytes(model.size_bytes)})")


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
        cells = (row["name"], row["task"], _megabytes(row["size_bytes"]), row["licence"], state)
        table.add_row(*map(Text, cells))
    return table


def _megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.0f} MB" if size_bytes else "?"


def _progress_of(as_json: bool) -> AbstractContextManager[Progress]:
    """JSON is for programs, yet a licence is for the person behind them."""
    return nullcontext(_OnlyLicence()) if as_json else shown_progress()


@contextmanager
def shown_progress(console: Console | None = None) -> Iterator[Progress]:
    """Progress for a person on stderr: bars on a terminal, a line now and then elsewhere."""
    console = console or Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield Lines(console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Bars(
        *columns, TransferSpeedColumn(), TimeRemainingColumn(), console=console, transient=True
    ) as bars:
        yield Drawn(bars)


class Lines:
    """Plain lines for logs: what begins and ends, and every five seconds how far it is."""

    interval_seconds = 5.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next_line = time.monotonic() + self.interval_seconds

    def licence(self, model: Model) -> None:
        _print_licence(self._console, model)

    def step(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)

    def advance(self, label: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now < self._next_line:
            return
        self._next_line = now + self.interval_seconds
        of = f" of {_megabytes(total)}" if total else ""
        self.step(f"{label}: {_megabytes(done)}{of}")


class Drawn:
    """Bars, one for each label, gone when done."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def licence(self, model: Model) -> None:
        _print_licence(self._bars.console, model)

    def step(self, text: str) -> None:
        self._clear()
        self._bars.console.print(Text(text))

    def advance(self, label: str, done: int, total: int) -> None:
        if label not in self._tasks:
            self._clear()
            self._tasks[label] = self._bars.add_task(label)
        self._bars.update(self._tasks[label], completed=done, total=total or None)

    def _clear(self) -> None:
        for task in self._tasks.values():
            self._bars.remove_task(task)
        self._tasks.clear()


class _OnlyLicence(Silent):
    def licence(self, model: Model) -> None:
        _print_licence(Console(stderr=True), model)


def _print_licence(console: Console, model: Model) -> None:
    """Shown, not asked: a start without a person at the keyboard must not hang."""
    for line in (
        f"{model.name} comes under its own licence: {model.licence}, {model.licence_url}",
        model.licence_notice,
    ):
        console.print(Text(line), soft_wrap=True)
