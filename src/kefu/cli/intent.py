"""`kefu intent ...`: teach the desk what customers want, and see how well it knows."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from kefu.cli import intent_actions
from kefu.cli.context import settings_of
from kefu.cli.intent_train import check, export, train
from kefu.cli.output import STANDARD_INPUT, print_json, progress_bar, source_of
from kefu.errors import InvalidInput, NotFound
from kefu.inference.encoder.opening import open_encoder
from kefu.inference.encoder.protocol import SentenceEncoder
from kefu.intent.classifier import Classifier, Prediction, Vectors
from kefu.intent.dataset import OUT_OF_SCOPE, Example, read_labelled
from kefu.intent.endpoints import as_json as prediction_as_json
from kefu.intent.endpoints import version_as_json
from kefu.intent.figures import figures
from kefu.intent.loading import load
from kefu.intent.service import require_encoder
from kefu.intent.suggest import Cluster, Unsure, suggest
from kefu.intent.versions import Version, Versions
from kefu.settings import Settings
from kefu.stores.opening import open_database
from kefu.stores.transcript import SqlTranscript

app = typer.Typer(no_args_is_help=True, help="What customers want: train, test, use.")
app.command("train")(train)
app.command("check")(check)
app.command("export")(export)
app.add_typer(intent_actions.app, name="action")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
ModelFolder = Annotated[
    Path | None,
    typer.Option("--model", help="A model folder; default is the one in use.", show_default=False),
]

_TEXTS_PER_STEP = 256
_MOST_MESSAGES = 5000


@app.command()
def predict(
    ctx: typer.Context,
    texts: Annotated[
        list[str] | None, typer.Argument(help="Messages, as customers would write them.")
    ] = None,
    file: Annotated[
        Path | None, typer.Option(help="One message a line; - reads standard input.")
    ] = None,
    model: ModelFolder = None,
    as_json: Json = False,
) -> None:
    """Say what the customer wants, and what else it could be."""
    messages = [*(texts or []), *(_lines(file) if file else [])]
    if not messages:
        raise InvalidInput('Give a message: kefu intent predict "where is my parcel?"')
    found = _Opened(settings_of(ctx), model).classify(messages)
    if as_json:
        rows = zip(messages, found, strict=True)
        print_json([{"text": text, **prediction_as_json(p)} for text, p in rows])
        return
    table = Table(Column("intent", no_wrap=True), "score", "or", "message")
    for text, prediction in zip(messages, found, strict=True):
        others = [
            f"{label} {s:.2f}" for label, s in prediction.ranking if label != prediction.label
        ]
        score = f"{prediction.score:.2f}"
        table.add_row(Text(prediction.label), score, Text(", ".join(others[:2])), Text(text))
    Console().print(table)


@app.command()
def evaluate(
    ctx: typer.Context,
    file: Annotated[
        Path, typer.Argument(help="text,label as CSV, JSONL or YAML; label oos: none.")
    ],
    model: ModelFolder = None,
    errors: Annotated[int, typer.Option(min=0, help="How many wrong ones to show.")] = 0,
    as_json: Json = False,
) -> None:
    """Classify labelled messages, and say how many rightly."""
    examples = read_labelled(*source_of(file))
    opened = _Opened(settings_of(ctx), model)
    texts = [example.text for example in examples]
    begun = time.perf_counter()
    found = opened.classify(texts)
    milliseconds = 1000 * (time.perf_counter() - begun) / len(texts)
    result = figures([example.label for example in examples], found)
    shown = {
        "accuracy": result.accuracy,
        "macro_f1": result.macro_f1,
        "in_scope_accuracy": result.in_scope_accuracy,
        "in_scope_accuracy_unrejected": result.in_scope_accuracy_unrejected,
        "oos_auroc": result.oos_auroc,
        "oos_recall": result.oos_recall,
        "false_oos": result.false_oos,
        "expected_calibration_error": result.expected_calibration_error,
        "n": result.n,
        "ms_per_text": milliseconds,
    }
    unknown = sorted({e.label for e in examples} - {*opened.classifier.labels, OUT_OF_SCOPE})
    wrong = [(e, p) for e, p in zip(examples, found, strict=True) if e.label != p.label]
    if as_json:
        rounded = {k: round(v, 4) if isinstance(v, float) else v for k, v in shown.items()}
        confusions = [asdict(confusion) for confusion in result.confusions]
        more = {"unknown_labels": unknown, "confusions": confusions}
        print_json({**rounded, **more, "wrong": [_wrong(e, p) for e, p in wrong[:errors]]})
        return
    for name, value in shown.items():
        typer.echo(f"{name:28} {_figure(value)}")
    if unknown:
        typer.echo(
            f"The model does not know {len(unknown)} of the labels: {', '.join(unknown[:5])}"
        )
    for example, prediction in wrong[:errors]:
        typer.echo(f"{example.label} -> {prediction.label} {prediction.score:.2f}: {example.text}")


@app.command("list")
def list_(ctx: typer.Context, as_json: Json = False) -> None:
    """The models that were trained, newest first."""
    found = Versions(settings_of(ctx).intents_dir).all()
    if as_json:
        print_json([version_as_json(version) for version in found])
    elif not found:
        Console(stderr=True).print("No model is trained yet: kefu intent train FILE")
    else:
        Console().print(_version_table(found))


@app.command()
def use(
    ctx: typer.Context,
    version: Annotated[str, typer.Argument(help="As in `kefu intent list`.")],
) -> None:
    """Use this model from now on. A running desk takes it over within a second."""
    settings = settings_of(ctx)
    versions = Versions(settings.intents_dir)
    _Opened(settings, versions.folder_of(version))  # what a desk would refuse is refused here
    versions.activate(version)
    typer.echo(f"{version} is in use.")


@app.command()
def rollback(ctx: typer.Context) -> None:
    """Use the model that was in use before. A running desk takes it over within a second."""
    settings = settings_of(ctx)
    versions = Versions(settings.intents_dir)
    _Opened(settings, versions.folder_of(versions.previous()))
    typer.echo(f"{versions.roll_back()} is in use again.")


@app.command("suggest")
def suggest_(
    ctx: typer.Context,
    at_least: Annotated[int, typer.Option(min=2, help="Messages a group has at least.")] = 3,
    at_most: Annotated[int, typer.Option(min=1, help="Groups at most.")] = 20,
    as_json: Json = False,
) -> None:
    """Group the recent messages that were not recognised: which intent is missing?"""
    settings = settings_of(ctx)
    found, looked_at, unsure = _suggest(settings, at_least, at_most)
    if as_json:
        groups = [asdict(cluster) for cluster in found]
        print_json({"messages": looked_at, "unsure": unsure, "clusters": groups})
        return
    typer.echo(f"{unsure} of the {looked_at} latest messages were not recognised.")
    if found:
        Console().print(_cluster_table(found))
        typer.echo(
            "Where a group is a wish you want to know, add its messages with a label to your "
            "examples, and train again."
        )
    elif unsure:
        typer.echo(f"None of them were alike {at_least} times or more.")


class _Opened:
    """A model with the encoder it needs, as in a desk."""

    def __init__(self, settings: Settings, folder: Path | None) -> None:
        self.classifier: Classifier = load(folder or _in_use(settings))[0]
        self._encoder: SentenceEncoder | None = None
        if self.classifier.encoder_id is not None:
            self._encoder = open_encoder(settings)
            require_encoder(self.classifier, self._encoder.id)

    def classify(self, texts: Sequence[str]) -> list[Prediction]:
        return [prediction for prediction, _ in self.with_vectors(texts)]

    def with_vectors(self, texts: Sequence[str]) -> list[tuple[Prediction, Vectors | None]]:
        """In steps with a bar; the vector is None where the model reads the text itself."""
        found: list[tuple[Prediction, Vectors | None]] = []
        with progress_bar("classifying") as on_progress:
            for start in range(0, len(texts), _TEXTS_PER_STEP):
                part = texts[start : start + _TEXTS_PER_STEP]
                vectors = self._encoder.encode(part) if self._encoder else None
                guesses = self.classifier.classify(part, vectors)
                found += zip(
                    guesses, [None] * len(part) if vectors is None else vectors, strict=True
                )
                on_progress(start + len(part), len(texts))
        return found


def _in_use(settings: Settings) -> Path:
    versions = Versions(settings.intents_dir)
    current = versions.current()
    if current is None:
        raise NotFound(
            "No intent model is trained yet: kefu intent train FILE (text,label as CSV), or give "
            "a folder with --model."
        )
    return versions.folder_of(current.version)


def _suggest(settings: Settings, at_least: int, at_most: int) -> tuple[list[Cluster], int, int]:
    with open_database(settings.database_at) as database:
        turns = asyncio.run(SqlTranscript(database).latest(_MOST_MESSAGES))
    opened = _Opened(settings, None)
    found = opened.with_vectors([turn.question for turn in turns])
    unsure = [
        (Unsure(turn.question, guess.label, guess.score, turn.uid), vector)
        for turn, (guess, vector) in zip(turns, found, strict=True)
        if guess.label == OUT_OF_SCOPE or guess.score < settings.intents.unsure_score
    ]
    messages = [message for message, _ in unsure]
    vectors = _vectors_of(settings, messages, [vector for _, vector in unsure])
    clusters = suggest(messages, vectors, at_least=at_least, at_most=at_most)
    return clusters, len(turns), len(unsure)


def _vectors_of(
    settings: Settings, messages: Sequence[Unsure], known: Sequence[Vectors | None]
) -> Vectors:
    """The sentence vectors; a model that reads texts itself has made none yet."""
    found = [vector for vector in known if vector is not None]
    if len(found) == len(messages) > 0:
        return np.stack(found)
    encoder = open_encoder(settings)
    return encoder.encode([message.text for message in messages])


def _lines(file: Path) -> list[str]:
    try:
        text = sys.stdin.read() if file == STANDARD_INPUT else file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file} cannot be read as UTF-8 text: {error}") from error
    return [line.strip() for line in text.splitlines() if line.strip()]


def _wrong(example: Example, prediction: Prediction) -> dict[str, Any]:
    return {
        "line": example.line,
        "text": example.text,
        "label": example.label,
        "predicted": prediction.label,
        "score": round(prediction.score, 4),
    }


def _figure(value: float | int | None) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def _version_table(found: Sequence[Version]) -> Table:
    columns = ("kind", "intents", "examples", "right")
    table = Table("", Column("version", no_wrap=True), *columns)
    for version in found:
        about = version.about
        if about is None:
            table.add_row("", version.id, Text(version.problem))
            continue
        right = f"{100 * about.figures.accuracy:.1f}%" if about.figures else "-"
        mark = "in use" if version.active else ""
        sizes = (str(len(about.labels)), f"{about.examples:,}")
        table.add_row(mark, version.id, about.kind, *sizes, right)
    return table


def _cluster_table(found: Sequence[Cluster]) -> Table:
    table = Table("messages", "customers", "for example", "also", "was taken for")
    for cluster in found:
        others = [text for text in cluster.texts if text != cluster.example][:2]
        guesses = ", ".join(f"{label} {count}x" for label, count in cluster.guesses[:2])
        table.add_row(
            str(cluster.size),
            str(cluster.customers),
            Text(cluster.example),
            Text("\n".join(others)),
            Text(guesses),
        )
    return table
