"""`kefu kb import`: files, folders and pages into the knowledge, after a look where one is wanted."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from kefu.cli.context import settings_of
from kefu.cli.kb_opened import opened
from kefu.cli.output import STANDARD_INPUT, print_json, progress_bar
from kefu.errors import InvalidFile, InvalidInput, RowProblem
from kefu.knowledge.documents.child import MAX_CHILDREN
from kefu.knowledge.fetching import fetch
from kefu.knowledge.folders import find_files
from kefu.knowledge.listing import Skipped, plan_as_json
from kefu.knowledge.plan import ImportPlan, SourcePlan, make_plan
from kefu.knowledge.sources import Source, SourceFile, read_source
from kefu.settings import Settings
from kefu.stores.knowledge import SqlKnowledge
from kefu.stores.opening import open_database

# What a preview shows of each source; --json has everything.
ROWS_SHOWN = 30
LETTERS_SHOWN = 120
PROBLEMS_SHOWN = 5


@dataclass(frozen=True)
class _Wanted:
    name: str
    load: Callable[[], SourceFile]


@dataclass
class _Read:
    """What became of the files: sources, those that cannot be read, those that are left out."""

    sources: list[Source] = field(default_factory=list)
    failures: list[tuple[str, InvalidInput]] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)

    @property
    def notes(self) -> list[str]:
        """Named by their source where there are several."""
        several = len(self.sources) > 1
        return [
            f"{source.name}: {note}" if several and source.name not in note else note
            for source in self.sources
            for note in source.notes
        ]


def import_(
    ctx: typer.Context,
    targets: Annotated[
        list[str],
        typer.Argument(
            metavar="FILE|FOLDER|URL...",
            help="Tables (.csv .jsonl .xlsx), documents (.md .html .txt .pdf .docx), folders of "
            "them, pages of the web; - reads a table from standard input.",
        ),
    ],
    dry_run: Annotated[bool, typer.Option(help="Only show what would change.")] = False,
    replace: Annotated[
        bool, typer.Option(help="Delete entries of a table that are gone from the file.")
    ] = False,
    skip_bad: Annotated[
        bool, typer.Option(help="Leave out files that cannot be read and import the others.")
    ] = False,
    allow_private: Annotated[
        bool, typer.Option(help="Fetch URLs of your own network, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Bring the knowledge in line with files. One bad file or row and nothing is changed."""
    read = _Read()
    try:
        _read_all(_wanted(targets, allow_private, read), read)
        _check(read, skip_bad)
        plan, version = _carry_out(settings_of(ctx), read.sources, replace, dry_run)
    except InvalidInput as error:
        if not as_json:
            raise
        problems = error.problems if isinstance(error, InvalidFile) else ()
        skipped = [asdict(item) for item in read.skipped]
        print_json(
            {"error": str(error), "problems": [asdict(p) for p in problems], "skipped": skipped}
        )
        raise typer.Exit(2) from error
    if as_json:
        print_json({**plan_as_json(plan, read.notes, read.skipped, dry_run), "version": version})
        return
    _print(plan, read, dry_run)


def _wanted(targets: Sequence[str], allow_private: bool, read: _Read) -> list[_Wanted]:
    """Each file that is asked for; what a folder has besides goes to `skipped`."""
    wanted: list[_Wanted] = []
    for target in targets:
        if target == str(STANDARD_INPUT):
            wanted.append(_Wanted("standard input", _standard_input))
        elif "://" in target:
            wanted.append(_Wanted(target, _fetching(target, allow_private)))
        else:
            wanted += _on_disk(Path(target), read)
    return wanted


def _on_disk(path: Path, read: _Read) -> list[_Wanted]:
    try:
        found, skipped = find_files(path)
    except InvalidFile as error:
        read.failures.append((str(path), error))
        return []
    read.skipped += skipped
    return [_Wanted(file.name, file.load) for file in found]


def _standard_input() -> SourceFile:
    """A table without a name of its own: entries keep the source that they have."""
    return SourceFile("", "table", sys.stdin.buffer.read())


def _fetching(url: str, allow_private: bool) -> Callable[[], SourceFile]:
    return lambda: asyncio.run(fetch(url, allow_private=allow_private))


def _read_all(wanted: Sequence[_Wanted], read: _Read) -> None:
    """In the order they were given, as many at once as may be read."""
    with (
        progress_bar("reading") as on_progress,
        ThreadPoolExecutor(MAX_CHILDREN) as pool,
    ):
        outcomes = pool.map(_outcome, wanted)
        for number, (file, outcome) in enumerate(zip(wanted, outcomes, strict=True), 1):
            if isinstance(outcome, Source):
                read.sources.append(outcome)
            else:
                read.failures.append((file.name, outcome))
            on_progress(number, len(wanted))


def _outcome(wanted: _Wanted) -> Source | InvalidInput:
    try:
        return read_source(wanted.load())
    except InvalidInput as error:
        return error


def _check(read: _Read, skip_bad: bool) -> None:
    """Raise what is wrong with the files, or with `skip_bad` put the bad ones to the skipped."""
    if not read.failures:
        return
    if skip_bad and read.sources:
        read.skipped += [Skipped(name, _with_problems(error)) for name, error in read.failures]
        return
    if len(read.failures) == 1:
        raise read.failures[0][1]
    reasons = "".join(f"\n  {_with_problems(error)}" for _, error in read.failures)
    raise InvalidFile(
        f"{len(read.failures)} files cannot be imported. Nothing was changed; --skip-bad imports "
        f"the others.{reasons}"
    )


def _with_problems(error: InvalidInput) -> str:
    problems: Sequence[RowProblem] = error.problems if isinstance(error, InvalidFile) else ()
    named = [str(problem) for problem in problems[:PROBLEMS_SHOWN]]
    if len(problems) > PROBLEMS_SHOWN:
        named.append(f"and {len(problems) - PROBLEMS_SHOWN} more")
    return " ".join([str(error), "; ".join(named)]).strip()


def _carry_out(
    settings: Settings, sources: Sequence[Source], replace: bool, dry_run: bool
) -> tuple[ImportPlan, int]:
    """What was done or would be, and the version of the knowledge after it."""
    if not dry_run:
        return asyncio.run(_import(settings, sources, replace))
    with open_database(settings.database_at) as database:  # to look needs no model
        version, known = SqlKnowledge(database).entries()
    return make_plan({entry.id: entry for entry in known}, sources, replace), version


async def _import(
    settings: Settings, sources: Sequence[Source], replace: bool
) -> tuple[ImportPlan, int]:
    async with opened(settings) as desk:
        with progress_bar("encoding") as on_progress:
            plan = await desk.knowledge.import_sources(sources, replace, on_progress)
        return plan, desk.knowledge.version


# --- what people read ----------------------------------------------------------------------------


def _print(plan: ImportPlan, read: _Read, dry_run: bool) -> None:
    warnings = Console(stderr=True)
    for note in read.notes:
        warnings.print(Text(f"note: {note}", style="yellow"))
    for item in read.skipped:
        name = "" if item.reason.startswith(item.name) else f"{item.name}: "
        warnings.print(Text(f"skipped: {name}{item.reason}", style="yellow"))
    if dry_run:
        for source in plan.sources:
            Console().print(_preview(source))
    typer.echo(_summary(plan, dry_run))
    for source in plan.sources:
        if source.kept:
            typer.echo(
                f"{len(source.kept)} entries are gone from {source.name} and stay; "
                "--replace removes them."
            )


def _summary(plan: ImportPlan, dry_run: bool) -> str:
    would = "would be " if dry_run else ""
    parts = [f"{plan.count(what)} {would}{what}" for what in ("added", "changed")]
    parts.append(f"{plan.count('unchanged')} unchanged")
    if removed := plan.count("removed"):
        parts.append(f"{removed} {would}removed")
    return ", ".join(parts) + "."


def _preview(plan: SourcePlan) -> Table:
    """The first changes of a source, each with the beginning of its text."""
    rows = [
        *(("added", entry) for entry in plan.added),
        *(("changed", change.after) for change in plan.changed),
        *(("removed", entry) for entry in plan.removed),
    ]
    table = Table(
        Column("change", no_wrap=True),
        Column("page", justify="right"),
        Column("question or headings", ratio=2),
        Column("text", ratio=3),
        title=Text(f"{plan.name or 'standard input'}: {len(rows)} to change"),
        title_justify="left",
        expand=True,
    )
    for what, entry in rows[:ROWS_SHOWN]:
        beginning = entry.answer[:LETTERS_SHOWN] + (
            "…" if len(entry.answer) > LETTERS_SHOWN else ""
        )
        one_line = Text(beginning.replace("\n", " "))
        table.add_row(what, str(entry.page or ""), Text(entry.question), one_line)
    if len(rows) > ROWS_SHOWN:
        table.add_row("…", "", Text(f"and {len(rows) - ROWS_SHOWN} more; --json shows all"), "")
    return table
