"""`kefu kb import|search|evaluate`: what the desk knows. A running desk notices within a second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from kefu.cli.context import settings_of
from kefu.cli.output import print_json, progress_bar, source_of
from kefu.errors import InvalidFile
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.inference.encoder.onnx import OnnxEncoder
from kefu.inference.models.resolve import resolve_encoder
from kefu.knowledge.entry import Entry
from kefu.knowledge.evaluate import Evaluation, LabelledQuery, evaluate, read_queries
from kefu.knowledge.importing import read_entries
from kefu.knowledge.index import Match
from kefu.knowledge.match import Decision, Nothing, Passages, Sure
from kefu.knowledge.service import ImportReport, Knowledge, open_knowledge
from kefu.language import detect
from kefu.settings import Settings
from kefu.stores.sqlite import open_database
from kefu.stores.sqlite_knowledge import SqliteKnowledge
from kefu.telemetry import Metrics, configure_logging

app = typer.Typer(no_args_is_help=True, help="What the desk knows: questions and answers.")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


@app.command("import")
def import_(
    ctx: typer.Context,
    file: Annotated[Path, typer.Argument(help="A .csv or .jsonl file; - reads standard input.")],
    dry_run: Annotated[bool, typer.Option(help="Only say what would change.")] = False,
    as_json: Json = False,
) -> None:
    """Add entries, and replace those with the same id. One bad row and nothing is changed."""
    notes: list[str] = []
    try:
        entries = read_entries(*source_of(file), note=notes.append)
    except InvalidFile as error:
        if not as_json:
            raise
        print_json({"error": str(error), "problems": [asdict(p) for p in error.problems]})
        raise typer.Exit(2) from error
    report = asyncio.run(_import(settings_of(ctx), entries, dry_run))
    if as_json:
        print_json({**asdict(report), "dry_run": dry_run, "notes": notes})
        return
    for note in notes:
        Console(stderr=True).print(Text(f"note: {note}", style="yellow"))
    would = "would be " if dry_run else ""
    typer.echo(
        f"{report.added} {would}added, {report.changed} {would}changed, {report.unchanged} unchanged."
    )


@app.command()
def search(
    ctx: typer.Context,
    query: Annotated[str, typer.Argument(help="A question, as a customer would write it.")],
    limit: Annotated[int, typer.Option(min=1, max=50, help="Entries at most.")] = 5,
    as_json: Json = False,
) -> None:
    """Show what the desk finds for a question, and what it would do."""
    found = asyncio.run(_search(settings_of(ctx), query, limit))
    if as_json:
        print_json(
            {"decision": _name(found.decision), "doubt": _doubt(found.decision)}
            | {"matches": [_as_json(match) for match in found.matches]}
        )
        return
    Console().print(_match_table(found.matches))
    typer.echo(_in_words(found.decision))


@app.command("evaluate")
def evaluate_(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="CSV with query,faq_id; an empty faq_id: nothing answers it.")
    ],
    as_json: Json = False,
) -> None:
    """Ask labelled questions, and say how many are answered rightly and how many wrongly."""
    queries = read_queries(*source_of(file))
    result = asyncio.run(_evaluate(settings_of(ctx), queries))
    if as_json:
        print_json(asdict(result))
        return
    for name, value in asdict(result).items():
        shown = "-" if value is None else f"{value:.4f}" if isinstance(value, float) else value
        typer.echo(f"{name:16} {shown}")


@dataclass(frozen=True)
class _Found:
    matches: Sequence[Match]
    decision: Decision


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncIterator[tuple[Knowledge, BatchedEncoder]]:
    """The knowledge of the data folder with its encoder, as in a desk."""
    # A command's output is its result; what went on inside is said where something is odd.
    configure_logging(settings.log.model_copy(update={"level": "warning"}))
    chosen = settings.encoder
    model = OnnxEncoder(resolve_encoder(settings).path, chosen.threads)
    with open_database(settings.database_path) as database:
        async with BatchedEncoder(
            model, chosen.max_batch, chosen.max_waiting, Metrics()
        ) as encoder:
            store = SqliteKnowledge(database)
            yield await open_knowledge(store, encoder, settings.knowledge), encoder


async def _import(settings: Settings, entries: Sequence[Entry], dry_run: bool) -> ImportReport:
    async with _opened(settings) as (knowledge, _):
        if dry_run:
            return await knowledge.compare(entries)
        with progress_bar("encoding") as on_progress:
            return await knowledge.import_entries(entries, on_progress)


async def _search(settings: Settings, query: str, limit: int) -> _Found:
    async with _opened(settings) as (knowledge, encoder):
        vector = await encoder.encode(query)
        matches = knowledge.search(query, vector, detect(query, settings.language), limit)
        return _Found(matches, knowledge.decide(query, matches))


async def _evaluate(settings: Settings, queries: Sequence[LabelledQuery]) -> Evaluation:
    async with _opened(settings) as (knowledge, encoder):
        with progress_bar("asking") as on_progress:
            return await evaluate(queries, knowledge, encoder, settings.language, on_progress)


def _match_table(matches: Sequence[Match]) -> Table:
    """Entries of another language only where there are none of the customer's."""
    table = Table(Column("id", no_wrap=True), "score", "relevance", "cosine", "lexical", "question")
    for match in [m for m in matches if not m.foreign] or matches:
        figures = (match.score, match.relevance, match.cosine, match.lexical)
        table.add_row(
            Text(match.entry.id), *(f"{figure:.2f}" for figure in figures), Text(match.question)
        )
    return table


def _as_json(match: Match) -> dict[str, Any]:
    figures = ("score", "relevance", "cosine", "lexical", "lead")
    return {
        "id": match.entry.id,
        "question": match.question,
        "answer": match.entry.answer,
        "language": match.entry.language,
        **{name: round(getattr(match, name), 4) for name in figures},
        "exact": match.exact,
    }


def _name(decision: Decision) -> str:
    return type(decision).__name__.lower()


def _doubt(decision: Decision) -> str:
    return decision.doubt if isinstance(decision, Passages) else ""


def _in_words(decision: Decision) -> str:
    match decision:
        case Sure():
            return f"sure: answers with {decision.entry.id}"
        case Passages():
            ids = ", ".join(match.entry.id for match in decision.matches)
            return f"passages: {ids} (not sure of the first: {decision.doubt})"
        case Nothing():
            return "nothing: no entry is near enough"
