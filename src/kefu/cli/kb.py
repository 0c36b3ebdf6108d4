"""`kefu kb search|evaluate` and the other commands on what the desk knows.

A running desk notices changes within a second.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from kefu.cli import kb_entries, kb_gaps, kb_golden, kb_import
from kefu.cli.context import settings_of
from kefu.cli.kb_opened import opened
from kefu.cli.output import print_json, progress_bar, source_of
from kefu.courtesies import without_courtesies
from kefu.knowledge.evaluate import Evaluation, LabelledQuery, evaluate, read_queries
from kefu.knowledge.index import Match
from kefu.knowledge.match import Choices, Decision, Nothing, Passages, Sure
from kefu.language import detect
from kefu.settings import Settings
from kefu.tables import read_text
from kefu.turn.dialogues import (
    DialogueEvaluation,
    LabelledTurn,
    evaluate_dialogues,
    is_dialogues,
    read_dialogues,
)

app = typer.Typer(no_args_is_help=True, help="What the desk knows: questions and answers.")
app.command("import")(kb_import.import_)
app.command("list")(kb_entries.list_)
app.command()(kb_entries.show)
app.command()(kb_entries.sources)
app.command()(kb_entries.delete)
app.command()(kb_entries.enable)
app.command()(kb_entries.disable)
app.command("gaps")(kb_gaps.gaps)
app.command("promote")(kb_gaps.promote_)
app.add_typer(kb_golden.app, name="golden")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


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
        Path,
        typer.Argument(
            help="CSV with query,faq_id (empty: nothing answers it), or dialogues as JSON lines."
        ),
    ],
    as_json: Json = False,
) -> None:
    """Ask labelled questions, and say how many are answered rightly and how many wrongly.

    JSON lines with `turns` of `customer`, `faq_id` and `new_topic` are dialogues: then it says how
    often the right entry is found for what customers ask on.
    """
    source, name = source_of(file)
    settings = settings_of(ctx)
    result: Evaluation | DialogueEvaluation
    if is_dialogues(read_text(source, name, lambda _: None)):
        result = asyncio.run(_evaluate_dialogues(settings, read_dialogues(source, name)))
    else:
        result = asyncio.run(_evaluate(settings, read_queries(source, name)))
    if as_json:
        print_json(asdict(result))
        return
    for figure, value in asdict(result).items():
        shown = "-" if value is None else f"{value:.4f}" if isinstance(value, float) else value
        typer.echo(f"{figure:22} {shown}")


@dataclass(frozen=True)
class _Found:
    matches: Sequence[Match]
    decision: Decision


async def _search(settings: Settings, query: str, limit: int) -> _Found:
    async with opened(settings) as desk:
        question = without_courtesies(query)
        vector = await desk.encoder.encode(question)
        language = detect(query, settings.language)
        matches = await desk.knowledge.search(question, vector, language, limit)
        return _Found(matches, desk.knowledge.decide(question, matches))


async def _evaluate(settings: Settings, queries: Sequence[LabelledQuery]) -> Evaluation:
    async with opened(settings) as desk:
        with progress_bar("asking") as on_progress:
            return await evaluate(
                queries, desk.knowledge, desk.encoder, settings.language, on_progress
            )


async def _evaluate_dialogues(
    settings: Settings, dialogues: Sequence[Sequence[LabelledTurn]]
) -> DialogueEvaluation:
    async with opened(settings) as desk:
        with progress_bar("talking") as on_progress:
            return await evaluate_dialogues(
                dialogues, desk.knowledge, desk.encoder, settings.language, on_progress
            )


# What score and relevance are made of: docs/knowledge.md.
_PARTS = ("cosine", "lexical", "mean", "text", "answer_cosine")


def _match_table(matches: Sequence[Match]) -> Table:
    """Entries of another language only where there are none of the customer's."""
    narrow = [Column(name, no_wrap=True) for name in ("id", "score", "relevance", "parts")]
    table = Table(*narrow, "question")
    for match in [m for m in matches if not m.foreign] or matches:
        parts = "\n".join(f"{name:13} {getattr(match, name):5.2f}" for name in _PARTS)
        table.add_row(
            Text(match.entry.id),
            f"{match.score:.2f}",
            f"{match.relevance:.2f}",
            parts,
            Text(match.question),
        )
    return table


def _as_json(match: Match) -> dict[str, Any]:
    return {
        "id": match.entry.id,
        "question": match.question,
        "answer": match.entry.answer,
        "language": match.entry.language,
        **{
            name: round(getattr(match, name), 4) for name in ("score", "relevance", *_PARTS, "lead")
        },
        "exact": match.exact,
    }


def _name(decision: Decision) -> str:
    return type(decision).__name__.lower()


def _doubt(decision: Decision) -> str:
    return decision.doubt if isinstance(decision, (Choices, Passages)) else ""


def _in_words(decision: Decision) -> str:
    match decision:
        case Sure():
            return f"sure: answers with {decision.entry.id}"
        case Choices():
            ids = ", ".join(match.entry.id for match in decision.matches)
            return f"choices: {ids} (asks which is meant: {decision.doubt})"
        case Passages():
            ids = ", ".join(match.entry.id for match in decision.matches)
            return f"passages: {ids} (not sure of the first: {decision.doubt})"
        case Nothing():
            return "nothing: no entry is near enough"
