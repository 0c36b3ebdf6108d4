"""`kefu answers evaluate|calibrate|calibrations`: the cache's rule on pairs of questions that people labelled."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text
from threadpoolctl import threadpool_limits

from kefu.answers import calibrate as calibrating
from kefu.answers import evaluate as evaluating
from kefu.answers.calibrate import Calibrated
from kefu.answers.calibrations import SHIPPED, Calibrations
from kefu.answers.evaluate import Evaluation, LabelledPair, ScoredPair
from kefu.answers.picture import draw
from kefu.bench.picture import check_picture_name
from kefu.bert.optional import NotInstalled
from kefu.cli.context import settings_of
from kefu.cli.output import print_json, progress_bar, source_of
from kefu.errors import ModelMissing
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.inference.encoder.opening import open_encoder
from kefu.paraphrase.judge import Judge
from kefu.paraphrase.loading import DEFAULT, open_judge
from kefu.settings import Settings
from kefu.telemetry import Metrics

Pairs = Annotated[
    Path,
    typer.Argument(help="CSV with sentence1,sentence2,label; 1: they ask the same. - is stdin."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]


def evaluate(
    ctx: typer.Context,
    file: Pairs,
    curve: Annotated[
        bool, typer.Option("--curve", help="Also the figures at every other threshold.")
    ] = False,
    picture: Annotated[
        Path | None, typer.Option(help="Picture to write, .png or .svg.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Say how many rephrasings are answered from the cache, and how many look-alikes wrongly."""
    if picture is not None:
        check_picture_name(picture)
    pairs = evaluating.read_pairs(*source_of(file))
    judge = _judge(settings_of(ctx))
    scored = asyncio.run(_score(settings_of(ctx), pairs, judge))
    result = evaluating.evaluate(scored, judge.threshold)
    points = evaluating.curve(scored) if curve else []
    if as_json:
        shown = {"curve": [asdict(point) for point in points]} if curve else {}
        print_json({**asdict(result), **shown})
    else:
        _print_figures(result)
        if curve:
            Console().print(_curve_table(points))
    if picture is not None:
        _draw(scored, result, picture)


def calibrate(
    ctx: typer.Context,
    file: Pairs,
    false_hits: Annotated[
        float,
        typer.Option(min=0.0, max=0.5, help="Of the look-alikes, the share that may be answered."),
    ] = calibrating.FALSE_HITS,
    as_json: Json = False,
) -> None:
    """Fit the rule to your own pairs, and use it where held-out pairs show that it is no worse."""
    settings = settings_of(ctx)
    pairs = evaluating.read_pairs(*source_of(file))
    judge = _judge(settings)
    if not judge.is_able:
        raise ModelMissing("Without the pair model there is nothing to calibrate. Pull it first.")
    calibrating.require_enough(pairs)
    scored = asyncio.run(_score(settings, pairs, judge))
    found = calibrating.calibrate(scored, judge.calibration, false_hits)
    version = None
    if found.is_better:
        version = _calibrations(settings).add(found, judge.model_id)
    if as_json:
        print_json({**asdict(found), "is_better": found.is_better, "version": version})
    else:
        _print_calibrated(found, version)
    if version is None:
        raise typer.Exit(1)


def calibrations(
    ctx: typer.Context,
    use: Annotated[
        str | None,
        typer.Option(help=f"Choose one of them, or {SHIPPED}.", show_default=False),
    ] = None,
    as_json: Json = False,
) -> None:
    """The calibrations that were fitted here, and which one is in use."""
    kept = _calibrations(settings_of(ctx))
    if use is not None:
        kept.use(use)
    chosen, found = kept.chosen(), kept.all()
    if as_json:
        rows = [{**asdict(version), "in_use": version.id == chosen} for version in found]
        print_json({"in_use": chosen, "versions": rows})
        return
    for version in found:
        mark = "*" if version.id == chosen else " "
        typer.echo(f"{mark} {version.id}  threshold {version.calibration.threshold:.4f}")
    typer.echo(f"In use: {chosen}.")


def _calibrations(settings: Settings) -> Calibrations:
    return Calibrations(settings.answers_dir, DEFAULT)


def _judge(settings: Settings) -> Judge:
    """The judge as the desk has it."""
    judge = open_judge(settings)
    _calibrations(settings).apply_to(judge)
    if not judge.is_able:
        note = "The pair model is not installed: only the same words hit. See `kefu models list`."
        Console(stderr=True).print(Text(note, style="yellow"))
    return judge


async def _score(
    settings: Settings, pairs: Sequence[LabelledPair], judge: Judge
) -> list[ScoredPair]:
    async with _encoder(settings) as encoder:
        with progress_bar("comparing") as on_progress:
            return await evaluating.score_pairs(
                pairs, encoder, judge, settings.language, on_progress
            )


@asynccontextmanager
async def _encoder(settings: Settings) -> AsyncIterator[BatchedEncoder]:
    chosen = settings.encoder
    model = open_encoder(settings)
    with threadpool_limits(1, user_api="blas"):
        async with BatchedEncoder(
            model, chosen.max_batch, chosen.max_waiting, Metrics()
        ) as encoder:
            yield encoder


def _print_figures(result: Evaluation) -> None:
    for name, value in asdict(result).items():
        typer.echo(f"{name:16} {_shown(value)}")


def _curve_table(points: Sequence[Evaluation]) -> Table:
    table = Table("threshold", "precision", "recall", "false_hit_rate", "hits")
    for point in points:
        figures = (point.threshold, point.precision, point.recall, point.false_hit_rate)
        table.add_row(*map(_shown, figures), str(point.hits))
    return table


def _print_calibrated(found: Calibrated, version: str | None) -> None:
    table = Table("", "threshold", "precision", "recall", "false_hit_rate", "n")
    for name, result in (("before", found.before), ("after", found.after)):
        figures = (result.threshold, result.precision, result.recall, result.false_hit_rate)
        table.add_row(name, *map(_shown, figures), str(result.n))
    Console().print(table)
    typer.echo(
        f"In use: {version}." if version else "Not taken into use: held-out pairs show it is worse."
    )


def _draw(scored: Sequence[ScoredPair], result: Evaluation, path: Path) -> None:
    """A missing matplotlib is said, and is no failure: the figures are there."""
    notes = Console(stderr=True)
    try:
        draw(evaluating.curve(scored), evaluating.curve_of_cosine(scored), result, path)
    except NotInstalled as error:
        notes.print(Text(f"No picture: {error}", style="yellow"))
    else:
        notes.print(Text(f"Wrote {path}"))


def _shown(value: Any) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)
