"""`kefu kb gaps|promote`: what customers asked in vain, and a safe way to answer it."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, replace
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from kefu.cli.context import settings_of
from kefu.cli.kb_golden import entry_name, outcome_name
from kefu.cli.kb_opened import Opened, opened
from kefu.cli.output import local_time, print_json
from kefu.errors import InvalidInput
from kefu.gaps.endpoints import promotion_as_json, question_of, refusal
from kefu.gaps.golden import Change
from kefu.gaps.promotion import Draft, PromotionReport, promote
from kefu.gaps.report import Gap, GapReport, find_gaps
from kefu.intent.service import Intents, open_intents
from kefu.settings import Settings
from kefu.stores.intents import SqlActions
from kefu.telemetry import Metrics

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]

_WHY = {
    "unanswered": "not known",
    "quoted": "only something near",
    "rated_down": "rated down",
    "failed": "error",
}


def gaps(
    ctx: typer.Context,
    days: Annotated[float, typer.Option(min=0.01, help="How far to look back.")] = 7,
    limit: Annotated[int, typer.Option(min=1, help="Groups at most.")] = 20,
    as_json: Json = False,
) -> None:
    """Group the questions that were not answered, or badly: what does the knowledge lack?"""
    report = asyncio.run(_gaps(settings_of(ctx), days, limit))
    if as_json:
        print_json(asdict(report))
        return
    if report.gaps:
        Console().print(_gap_table(report.gaps))
    typer.echo(_gaps_in_words(report))


def promote_(
    ctx: typer.Context,
    answer: Annotated[str, typer.Option(help="The person's answer.")],
    question: Annotated[str, typer.Option(help="The question it answers.")] = "",
    turn: Annotated[str, typer.Option(help="Or the id of the turn that asked it.")] = "",
    alternatives: Annotated[
        list[str] | None, typer.Option("--alternative", help="Another way to ask it; repeatable.")
    ] = None,
    tags: Annotated[list[str] | None, typer.Option("--tag", help="Repeatable.")] = None,
    language: Annotated[str, typer.Option(help="zh or en; default: the text decides.")] = "",
    id_: Annotated[str, typer.Option("--id", help="The entry to replace, or a new id.")] = "",
    dry_run: Annotated[bool, typer.Option(help="Only say what would break.")] = False,
    force: Annotated[bool, typer.Option(help="Save it whatever breaks.")] = False,
    as_json: Json = False,
) -> None:
    """Make an entry of a question and an answer, unless that breaks golden questions."""
    if bool(question.strip()) == bool(turn):
        raise InvalidInput("Give either --question or --turn.")
    draft = Draft(question, answer, tuple(alternatives or ()), tuple(tags or ()), language, id=id_)
    report = asyncio.run(_promote(settings_of(ctx), draft, turn, dry_run, force))
    if as_json:
        print_json(promotion_as_json(report) | {"dry_run": dry_run})
    else:
        _print_promotion(report, dry_run)
    if not report.is_harmless and not report.saved:
        raise typer.Exit(1)


async def _gaps(settings: Settings, days: float, limit: int) -> GapReport:
    async with opened(settings) as desk:
        intents = await _intents(settings, desk)
        try:
            return await find_gaps(
                desk.transcript,
                desk.knowledge,
                desk.encoder,
                intents,
                days=days,
                limit=limit,
                default_language=settings.language,
            )
        finally:
            intents.close()


async def _intents(settings: Settings, desk: Opened) -> Intents:
    actions = SqlActions(desk.database)
    return await open_intents(
        settings.intents_dir, actions, desk.encoder.id, settings.intents, Metrics()
    )


async def _promote(
    settings: Settings, draft: Draft, turn_id: str, dry_run: bool, force: bool
) -> PromotionReport:
    async with opened(settings) as desk:
        if turn_id:
            draft = replace(draft, question=await question_of(turn_id, desk.transcript))
        return await promote(
            draft,
            desk.knowledge,
            desk.encoder,
            desk.golden,
            default_language=settings.language,
            dry_run=dry_run,
            force=force,
        )


def _gap_table(found: Sequence[Gap]) -> Table:
    table = Table(
        Column("asked", justify="right"),
        Column("by", justify="right"),
        "question",
        "why",
        Column("last", no_wrap=True),
        "nearest entry",
        show_lines=True,
    )
    for gap in found:
        table.add_row(
            str(gap.count),
            str(gap.customers),
            _examples(gap),
            _why(gap),
            local_time(gap.last_at_ms)[5:16],
            _nearest(gap),
        )
    return table


def _examples(gap: Gap) -> Text:
    others = "".join(f"\n{text}" for text in gap.examples[1:3])
    return Text(gap.question, style="bold") + Text(others, style="dim")


def _why(gap: Gap) -> Text:
    counts = "\n".join(f"{_WHY[why]} {count}" for why, count in gap.why.items())
    reasons = "".join(f"\n“{reason}”" for reason in gap.reasons[:3])
    return Text(counts) + Text(reasons, style="yellow")


def _nearest(gap: Gap) -> Text:
    if gap.nearest is None:
        return Text("-", style="dim")
    near = gap.nearest
    return Text(f"{near.score:.2f} {near.id}\n") + Text(near.question, style="dim")


def _gaps_in_words(report: GapReport) -> str:
    parts = [
        f"{report.missed} of {report.turns} turns since {local_time(report.since_ms)[:16]} were "
        f"not answered, or badly: {report.clusters} groups."
    ]
    if report.foreign:
        parts.append(f"{report.foreign} are plainly none of the shop's business and not shown.")
    if report.left_out:
        parts.append(f"{report.left_out} older ones were left out.")
    if report.gaps:
        parts.append("Answer one: kefu kb promote --question ... --answer ...")
    return "\n".join(parts)


def _print_promotion(report: PromotionReport, dry_run: bool) -> None:
    console = Console()
    for name, changed in (("would break", report.broken), ("would mend", report.mended)):
        if changed:
            console.print(_change_table(name, changed))
    if report.saved:
        typer.echo(f"Saved as {report.entry.id}; its question is golden now.")
    elif report.is_harmless:
        typer.echo(f"{report.entry.id} would break none of {report.replayed} golden questions.")
    else:
        typer.echo(f"It is only tried. {refusal(report)}" if dry_run else refusal(report))


def _change_table(name: str, changed: Sequence[Change]) -> Table:
    table = Table(name, "right", "was", "would be")
    for change in changed:
        was, would_be = outcome_name(change.was), outcome_name(change.would_be)
        table.add_row(Text(change.question), entry_name(change.entry_id), was, would_be)
    return table
