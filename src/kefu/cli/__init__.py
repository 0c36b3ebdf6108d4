"""The command line: `kefu NOUN VERB`, one file per command that parses, calls and prints."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from kefu import __version__
from kefu.cli import (
    answers,
    bench,
    chat,
    conversations,
    database,
    doctor,
    generate,
    intent,
    kb,
    keys,
    models,
    moderation,
    review,
    serve,
)
from kefu.errors import InvalidFile, InvalidInput, KefuError
from kefu.settings import load_settings
from kefu.telemetry import configure_logging

MAX_PROBLEMS_SHOWN = 50

app = typer.Typer(
    name="kefu",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="kefu (客服): a customer-service desk that runs on your own computer.",
)
app.command("serve")(serve.serve)
app.command("chat")(chat.chat)
app.command("doctor")(doctor.doctor)
app.add_typer(kb.app, name="kb")
app.add_typer(intent.app, name="intent")
app.add_typer(answers.app, name="answers")
app.add_typer(generate.app, name="generate")
app.add_typer(moderation.app, name="moderation")
app.add_typer(review.app, name="review")
app.add_typer(models.app, name="models")
app.add_typer(conversations.app, name="conversations")
app.add_typer(keys.app, name="keys")
app.add_typer(bench.app, name="bench")
app.command("migrate")(database.migrate)
app.command("export")(database.export)
app.command("import")(database.import_)


def _print_version(asked: bool) -> None:
    if asked:
        typer.echo(f"kefu {__version__}")
        raise typer.Exit


@app.callback()
def options(
    ctx: typer.Context,
    data_dir: Annotated[
        Path | None, typer.Option(help="Folder of everything kefu writes.", show_default=False)
    ] = None,
    database_url: Annotated[
        str | None,
        typer.Option(
            "--database",
            help="PostgreSQL instead of SQLite in --data-dir: postgresql://user@host/name.",
            show_default=False,
        ),
    ] = None,
    redis: Annotated[
        str | None,
        typer.Option(
            help="Redis, for several desks on one --database: redis://host:6379/0.",
            show_default=False,
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="Settings file; default ./kefu.toml.", show_default=False)
    ] = None,
    log_level: Annotated[
        str | None, typer.Option(help="debug, info, warning or error.", show_default=False)
    ] = None,
    version: Annotated[
        bool,
        typer.Option(
            "--version", help="Print the version.", is_eager=True, callback=_print_version
        ),
    ] = False,
) -> None:
    """Options that every command takes, given before the command."""
    flags = {
        "data_dir": data_dir and data_dir.absolute(),
        "database": database_url,
        "redis": redis,
        "log": {"level": log_level},
    }
    ctx.obj = load_settings(flags, config)
    # A command's own output is what its user reads; `serve` sets the operator's level.
    configure_logging(ctx.obj.log.model_copy(update={"level": log_level or "warning"}))
    ctx.meta["flags"] = flags
    ctx.meta["config"] = config


def main() -> None:
    """Run the command line. 1: it failed. 2: the input was wrong. 130: Ctrl-C."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names that are no text are shown, not fatal
            stream.reconfigure(errors="backslashreplace")
    try:
        app()
    except KefuError as error:
        _print_error(error)
        sys.exit(2 if isinstance(error, InvalidInput) else 1)
    except KeyboardInterrupt:
        sys.exit(130)


def _print_error(error: KefuError) -> None:
    console = Console(stderr=True)
    console.print(Text("kefu: ", style="bold red") + Text(str(error)))
    if isinstance(error, InvalidFile):
        for row in error.problems[:MAX_PROBLEMS_SHOWN]:
            console.print(Text(f"  {row}"))
        if (more := len(error.problems) - MAX_PROBLEMS_SHOWN) > 0:
            console.print(Text(f"  and {more} more"))
