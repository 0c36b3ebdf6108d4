"""`kefu moderation words|allow`: the operator's words, and the phrases that beat them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from kefu.cli.context import actor, settings_of
from kefu.cli.moderation_opened import opened_words
from kefu.cli.output import STANDARD_INPUT, print_json, progress_bar, source_of
from kefu.errors import InvalidFile, InvalidInput
from kefu.knowledge.documents.blocks import Sheet
from kefu.knowledge.documents.child import read_in_child
from kefu.moderation import editing
from kefu.moderation.categories import Category
from kefu.moderation.editing import Change
from kefu.moderation.lexicon import Lexicon, category_of, folded, severity_of
from kefu.moderation.listing import phrase_as_json, select_phrases, select_words, word_as_json
from kefu.moderation.word_lists import (
    ALIASES,
    Defaults,
    ListPlan,
    PhrasePlan,
    RawWord,
    plan_phrases,
    plan_words,
    read_list,
    words_of,
)
from kefu.tables import table_of

words = typer.Typer(no_args_is_help=True, help="The words that are looked for.")
allow = typer.Typer(no_args_is_help=True, help="Innocent phrases that beat a listed word in them.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
CategoryName = Annotated[
    str | None,
    typer.Option("--category", help=f"{', '.join(Category)}.", show_default=False),
]
SeverityName = Annotated[
    str,
    typer.Option(
        "--severity",
        help="high: blocked; medium: held for a person; low: masked (as set in kefu.toml); off: a "
        "word that comes with kefu is not looked for.",
    ),
]
Forced = Annotated[bool, typer.Option("--force", help="Take words that are very short, too.")]
Search = Annotated[str, typer.Option(help="Only those with this in them.")]
Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show what would change.")]
ListFile = Annotated[
    Path,
    typer.Argument(
        help=".csv, .jsonl or .xlsx with word,category,severity; .txt with a word a line. - is stdin."
    ),
]

ROWS_SHOWN = 20


@words.command("list")
def list_words(
    ctx: typer.Context,
    category: CategoryName = None,
    search: Search = "",
    own: Annotated[bool, typer.Option("--own", help="Only those you listed.")] = False,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """The words that are looked for, those that come with kefu first."""
    chosen = category_of(category) if category is not None else None
    with opened_words(settings_of(ctx)) as opened:
        lexicon = opened.lexicon
    found = select_words(lexicon, search, chosen, "own" if own else None)
    page = [word_as_json(lexicon, item) for item in found[:limit]]
    if as_json:
        print_json({"total": len(found), "words": page})
    else:
        _print_page(page, ("word", "category", "severity", "source"), len(found))


@words.command("add")
def add_word(
    ctx: typer.Context,
    word: Annotated[str, typer.Argument(help="As it is written plainly; disguises are found.")],
    category: CategoryName = None,
    severity: SeverityName = "medium",
    force: Forced = False,
) -> None:
    """Look for a word, or for a listed one in another way. A running desk does within a second."""
    with opened_words(settings_of(ctx)) as opened:
        chosen = _category_of(word, category, opened.lexicon)
        change = editing.word_added(
            opened.lexicon, word, chosen, severity_of(severity), force=force
        )
        opened.store.save(change, actor())
    typer.echo(f"{change.subject}: {change.put[0]}.")


@words.command("remove")
def remove_words(
    ctx: typer.Context,
    word: Annotated[list[str], typer.Argument(help="As in `kefu moderation words list`.")],
) -> None:
    """Look for words no longer, your own or those that come with kefu."""
    typer.echo(f"{_change_all(ctx, word, editing.word_removed)} removed.")


@words.command("import")
def import_words(
    ctx: typer.Context,
    file: ListFile,
    category: CategoryName = None,
    severity: SeverityName = "medium",
    allowed: Annotated[
        bool, typer.Option("--allowed", help="They are phrases that pass, not words to look for.")
    ] = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Where a word is listed otherwise, the file wins.")
    ] = False,
    force: Forced = False,
    dry_run: DryRun = False,
    as_json: Json = False,
) -> None:
    """List the words of a file. One unknown category or contradiction and nothing is changed."""
    notes: list[str] = []
    defaults = Defaults(
        category_of(category) if category is not None else None, severity_of(severity)
    )

    def planned(rows: Sequence[RawWord], name: str, lexicon: Lexicon) -> ListPlan | PhrasePlan:
        if allowed:
            return plan_phrases(rows, lexicon, name, force=force)
        with progress_bar("checking") as on_progress:
            return plan_words(
                rows, lexicon, name, defaults, force=force, replace=replace, on_progress=on_progress
            )

    try:
        rows, name = _read(file, notes.append)
        with opened_words(settings_of(ctx)) as opened:
            plan = planned(rows, name, opened.lexicon)
            if not dry_run:
                with progress_bar("saving") as on_progress:
                    opened.store.save(plan.change, actor(), on_progress)
    except InvalidFile as error:
        if not as_json:
            raise
        print_json({"error": str(error), "problems": [asdict(p) for p in error.problems]})
        raise typer.Exit(2) from error
    if as_json:
        print_json({**plan_as_json(plan), "notes": notes, "dry_run": dry_run})
    else:
        _print_plan(plan, notes, dry_run)


@allow.command("list")
def list_phrases(
    ctx: typer.Context, search: Search = "", limit: Limit = 50, as_json: Json = False
) -> None:
    """The phrases that beat a listed word inside them."""
    with opened_words(settings_of(ctx)) as opened:
        lexicon = opened.lexicon
    found = select_phrases(lexicon, search)
    page = [phrase_as_json(lexicon, phrase) for phrase in found[:limit]]
    if as_json:
        print_json({"total": len(found), "allowed": page})
    else:
        _print_page(page, ("phrase", "source"), len(found))


@allow.command("add")
def add_phrases(
    ctx: typer.Context,
    phrase: Annotated[list[str], typer.Argument(help="Innocent, with a listed word in it.")],
    force: Forced = False,
) -> None:
    """Let phrases pass. A running desk does within a second."""
    count = _change_all(ctx, phrase, partial(editing.phrase_allowed, force=force))
    typer.echo(f"{count} allowed.")


@allow.command("remove")
def remove_phrases(
    ctx: typer.Context,
    phrase: Annotated[list[str], typer.Argument(help="As in `kefu moderation allow list`.")],
) -> None:
    """Allow phrases of your own no longer."""
    typer.echo(f"{_change_all(ctx, phrase, editing.phrase_removed)} removed.")


def _change_all(
    ctx: typer.Context, texts: Sequence[str], plan: Callable[[Lexicon, str], Change]
) -> int:
    """Change each text, or none where one cannot be; how many there are."""
    with opened_words(settings_of(ctx)) as opened:
        changes = [plan(opened.lexicon, text) for text in dict.fromkeys(texts)]
        for change in changes:
            opened.store.save(change, actor())
    return len(changes)


# --- files ---------------------------------------------------------------------------------------


def _read(file: Path, note: Callable[[str], None]) -> tuple[list[RawWord], str]:
    """The lines of a file with its name."""
    if file.suffix.lower() in (".xlsx", ".xlsm"):
        return _read_workbook(file, note), file.name
    source, name = source_of(file)
    return read_list(source, name, note), name if file == STANDARD_INPUT else file.name


def _read_workbook(file: Path, note: Callable[[str], None]) -> list[RawWord]:
    """Those of each sheet that has words."""
    try:
        content = file.read_bytes()
    except OSError as error:
        raise InvalidFile(f"{file} cannot be read: {error.strerror or error}.") from error
    found: list[RawWord] = []
    for sheet in read_in_child(content, file.name, "workbook").sheets:
        table = table_of(_padded(sheet), file.name, ALIASES)
        if sheet.is_hidden or "word" not in table.columns:
            why = "is hidden" if sheet.is_hidden else "has no column word"
            note(f"Sheet {sheet.name!r} was left out: it {why}.")
        else:
            found += words_of(table)
    if not found:
        raise InvalidFile(f"{file.name} has no sheet with words.")
    return found


def _padded(sheet: Sheet) -> Iterator[tuple[int, Sequence[str]]]:
    """Rows as wide as the first one: a sheet does not store its last empty cells."""
    width = len(sheet.rows[0][1]) if sheet.rows else 0
    for line, cells in sheet.rows:
        yield line, [*cells, *[""] * (width - len(cells))]


def _category_of(text: str, given: str | None, lexicon: Lexicon) -> Category:
    """The one that is given, or that of a word that is listed already."""
    if given is not None:
        return category_of(given)
    known = lexicon.words.get(folded(text))
    if known is None:
        raise InvalidInput(f"Give a category with --category: {', '.join(Category)}.")
    return known.category


# --- what people read ----------------------------------------------------------------------------


def plan_as_json(plan: ListPlan | PhrasePlan) -> dict[str, Any]:
    """What an import does, for programs."""
    skipped = [asdict(problem) for problem in plan.skipped]
    found = {"name": plan.name, "added": len(plan.added), "unchanged": plan.unchanged}
    if isinstance(plan, ListPlan):
        found |= {"changed": len(plan.changed), "overridden": plan.overridden}
    return {**found, "skipped": skipped}


def _print_plan(plan: ListPlan | PhrasePlan, notes: Sequence[str], dry_run: bool) -> None:
    warnings = Console(stderr=True)
    for note in notes:
        warnings.print(Text(f"note: {note}", style="yellow"))
    for problem in plan.skipped[:ROWS_SHOWN]:
        warnings.print(Text(f"skipped: {problem}", style="yellow"))
    if (more := len(plan.skipped) - ROWS_SHOWN) > 0:
        warnings.print(Text(f"skipped: {more} more; --json has them all", style="yellow"))
    if dry_run:
        Console().print(_preview(plan))
    would = "would be " if dry_run else ""
    parts = [f"{len(plan.added):,} {would}added"]
    if isinstance(plan, ListPlan):
        parts.append(f"{len(plan.changed):,} {would}changed")
    parts += [f"{plan.unchanged:,} unchanged", f"{len(plan.skipped):,} skipped"]
    typer.echo(", ".join(parts) + ".")
    if isinstance(plan, ListPlan) and plan.overridden:
        typer.echo(f"{plan.overridden:,} of them come with kefu in another way; yours count.")


def _preview(plan: ListPlan | PhrasePlan) -> Table:
    """The first changes."""
    table = Table("change", Column("word", ratio=1), "listed as", "before")
    if isinstance(plan, PhrasePlan):
        rows = [("added", phrase, "allowed", "") for phrase in plan.added]
    else:
        rows = [("added", listing.text, str(listing), "") for listing in plan.added]
        rows += [("changed", new.text, str(new), str(old)) for old, new in plan.changed]
    for row in rows[:ROWS_SHOWN]:
        table.add_row(*map(Text, row))
    if len(rows) > ROWS_SHOWN:
        table.add_row("…", f"and {len(rows) - ROWS_SHOWN:,} more", "", "")
    return table


def _print_page(page: Sequence[dict[str, Any]], columns: Sequence[str], total: int) -> None:
    table = Table(*(Column(name, no_wrap=name == "word") for name in columns))
    for item in page:
        table.add_row(*(Text(str(item[name])) for name in columns))
    if page:
        Console().print(table)
    shown = "" if len(page) == total else f" {len(page):,} are shown; --limit shows more."
    typer.echo(f"{total:,} listed.{shown}")
