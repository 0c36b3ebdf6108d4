"""`kefu kb list|show|sources|delete|enable|disable`: entries one by one, without a model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from kefu.cli.context import settings_of
from kefu.cli.output import print_json
from kefu.errors import InvalidInput, NotFound
from kefu.knowledge.editing import delete_entries, delete_source, switch_entries
from kefu.knowledge.entry import Entry
from kefu.knowledge.listing import EntryFilter, count_sources, entry_as_json, select_entries
from kefu.settings import Settings
from kefu.stores.knowledge import SqlKnowledge
from kefu.stores.opening import open_database

LETTERS_SHOWN = 80

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Ids = Annotated[list[str], typer.Argument(help="Ids as `kefu kb list` shows them.")]


def list_(
    ctx: typer.Context,
    source: Annotated[str | None, typer.Option(help="Only of this file or URL.")] = None,
    kind: Annotated[
        Literal["faq", "passage"] | None, typer.Option(help="Only answers, or only passages.")
    ] = None,
    tag: Annotated[str | None, typer.Option(help="Only with this tag.")] = None,
    language: Annotated[
        Literal["zh", "en"] | None, typer.Option(help="Only in this language.")
    ] = None,
    enabled: Annotated[
        bool | None, typer.Option("--enabled/--disabled", help="Only those.")
    ] = None,
    text: Annotated[str | None, typer.Option(help="Only with these words.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="Entries at most.")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="Entries to leave out before.")] = 0,
    as_json: Json = False,
) -> None:
    """List what the desk knows."""
    wanted = EntryFilter(source, kind, tag, language, enabled, text)
    found = select_entries(_entries(settings_of(ctx)), wanted)
    page = found[offset : offset + limit]
    if as_json:
        entries = [entry_as_json(entry) for entry in page]
        print_json({"total": len(found), "offset": offset, "entries": entries})
        return
    Console().print(_table(page))
    typer.echo(f"{len(page)} of {len(found)} entries.")


def show(
    ctx: typer.Context,
    entry_id: Annotated[str, typer.Argument(metavar="ID", help="As `kefu kb list` shows it.")],
    as_json: Json = False,
) -> None:
    """Show an entry whole."""
    found = next((e for e in _entries(settings_of(ctx)) if e.id == entry_id), None)
    if found is None:
        raise NotFound(f"There is no entry {entry_id[:128]!r}.")
    if as_json:
        print_json(entry_as_json(found))
        return
    for name, value in entry_as_json(found).items():
        if value not in (None, "", []):
            shown = "\n             ".join(value) if isinstance(value, list) else value
            Console().print(Text(f"{name:12} {shown}"))


def sources(ctx: typer.Context, as_json: Json = False) -> None:
    """List the files and pages that entries came from."""
    counted = count_sources(_entries(settings_of(ctx)))
    if as_json:
        print_json({"sources": counted})
        return
    table = Table("source", "entries", "faq", "passages", "disabled")
    for item in counted:
        figures = (str(item[name]) for name in ("entries", "faq", "passage", "disabled"))
        table.add_row(Text(item["source"] or "(entered by people)"), *figures)
    Console().print(table)


def delete(
    ctx: typer.Context,
    ids: Annotated[list[str] | None, typer.Argument(metavar="[ID]...", help="Entries.")] = None,
    source: Annotated[str | None, typer.Option(help="All entries of this file or URL.")] = None,
    as_json: Json = False,
) -> None:
    """Forget entries, or all of a source. All that are named, or none."""
    if bool(ids) == (source is not None):
        raise InvalidInput("Name entries to delete, or a source with --source.")
    settings = settings_of(ctx)
    if source is not None:
        removed = _in_store(settings, lambda store: delete_source(store, source))
    else:
        removed = _in_store(settings, lambda store: delete_entries(store, ids or []))
    _report("removed", removed, as_json)


def enable(ctx: typer.Context, ids: Ids, as_json: Json = False) -> None:
    """Let the desk use entries again."""
    changed = _in_store(settings_of(ctx), lambda store: switch_entries(store, ids, True))
    _report("changed", changed, as_json)


def disable(ctx: typer.Context, ids: Ids, as_json: Json = False) -> None:
    """Keep entries from being used. They stay disabled when their file is imported again."""
    changed = _in_store(settings_of(ctx), lambda store: switch_entries(store, ids, False))
    _report("changed", changed, as_json)


def _entries(settings: Settings) -> list[Entry]:
    with open_database(settings.database_at) as database:
        return SqlKnowledge(database).entries()[1]


def _in_store(settings: Settings, change: Callable[[SqlKnowledge], int]) -> int:
    with open_database(settings.database_at) as database:
        return change(SqlKnowledge(database))


def _report(what: str, count: int, as_json: bool) -> None:
    if as_json:
        print_json({what: count})
        return
    typer.echo(f"{count} {'entry' if count == 1 else 'entries'} {what}.")


def _table(entries: list[Entry]) -> Table:
    table = Table(Column("id", no_wrap=True), "kind", "source", "question", "answer")
    for entry in entries:
        question = entry.question if entry.enabled else f"(disabled) {entry.question}"
        beginning = entry.answer[:LETTERS_SHOWN]
        table.add_row(*map(Text, (entry.id, entry.kind, entry.source, question, beginning)))
    return table
