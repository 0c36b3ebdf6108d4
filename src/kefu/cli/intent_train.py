"""`kefu intent train|check|export`: from examples to a model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.text import Text

from kefu.cli.context import settings_of
from kefu.cli.finetuning import BertName, Epochs, Finetune, check_finetuning
from kefu.cli.output import print_json, stages
from kefu.errors import InvalidFile
from kefu.inference.encoder.opening import open_encoder
from kefu.inference.models.resolve import resolve_bert
from kefu.inference.models.whole_folder import require_new
from kefu.intent.dataset import Example, read_files
from kefu.intent.folder import CARD, About, read_about
from kefu.intent.versions import Versions
from kefu.limits import usable_cpus
from kefu.settings import Settings

Files = Annotated[
    list[Path],
    typer.Argument(help="text,label as CSV, JSONL or YAML; the label oos: none of them."),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Lenient = Annotated[bool, typer.Option("--lenient", help="Leave bad rows out instead of stopping.")]
Out = Annotated[
    Path | None, typer.Option(help="Write the model folder here only.", show_default=False)
]
Use = Annotated[bool, typer.Option("--use/--no-use", help="Use it from now on.")]
Rate = Annotated[
    float | None,
    typer.Option(
        "--false-rejections",
        min=0.0,
        max=0.5,
        help="Of the messages recognised rightly, the share that may be called out of scope.",
        show_default="0.003, or 0.002 without oos examples",
    ),
]

_CONFUSIONS_SHOWN = 5


def train(
    ctx: typer.Context,
    files: Files,
    encoder: BertName = None,
    finetune: Finetune = False,
    epochs: Epochs = None,
    false_rejections: Rate = None,
    lenient: Lenient = False,
    out: Out = None,
    use: Use = True,
    as_json: Json = False,
) -> None:
    """Learn intents from examples, in seconds. A running desk takes the model over at once."""
    settings = settings_of(ctx)
    check_finetuning(finetune, encoder)
    examples, notes = _read(files, lenient, as_json)
    if encoder is not None:
        write = _bert_trainer(examples, resolve_bert(settings, encoder), epochs, false_rejections)
    else:
        write = _trainer(settings, examples, false_rejections)
    _deliver(settings, write, out, use, notes, as_json)


def check(files: Files, as_json: Json = False) -> None:
    """Say what is wrong with a file of examples, by line. Exit code 2 if something is."""
    examples, notes = _read(files, lenient=False, as_json=as_json)
    labels = sorted({example.label for example in examples})
    if as_json:
        print_json({"examples": len(examples), "labels": labels, "notes": notes, "problems": []})
        return
    typer.echo(f"{len(examples):,} examples of {len(labels)} labels. Nothing is wrong with them.")


def export(
    ctx: typer.Context,
    source: Annotated[
        Path, typer.Argument(help="Hugging Face folder of a trained sequence classifier.")
    ],
    examples: Annotated[
        list[Path] | None,
        typer.Option(help="text,label it was not trained on: to calibrate it and measure."),
    ] = None,
    false_rejections: Rate = None,
    lenient: Lenient = False,
    out: Out = None,
    use: Use = True,
    as_json: Json = False,
) -> None:
    """Take over a BERT you have: ONNX int8, checked against PyTorch (needs kefu[train])."""
    known, notes = _read(examples, lenient, as_json) if examples else ([], [])
    write = _bert_exporter(source, known, false_rejections)
    _deliver(settings_of(ctx), write, out, use, notes, as_json)


# Writes a model folder and returns what a person or a program may want to know besides.
_Write = Callable[[Path], dict[str, Any]]


def _trainer(settings: Settings, examples: Sequence[Example], rate: float | None) -> _Write:
    from kefu.intent.training import save, train  # noqa: PLC0415 - SciPy: other commands would wait

    # Nothing else runs here: unlike a desk, training may have every core.
    encoder = open_encoder(settings, usable_cpus())

    def write(folder: Path) -> dict[str, Any]:
        with stages() as on_progress:
            trained = train(
                examples,
                encoder.encode,
                encoder.id,
                false_rejections=rate,
                on_progress=on_progress,
            )
        save(trained, folder)
        return {}

    return write


def _bert_trainer(
    examples: Sequence[Example], encoder: Path, epochs: int | None, rate: float | None
) -> _Write:
    from kefu.intent.bert_training import train_bert  # noqa: PLC0415 - SciPy: other commands would wait

    def write(folder: Path) -> dict[str, Any]:
        with stages() as on_progress:
            found = train_bert(
                examples,
                encoder,
                folder,
                epochs=epochs,
                false_rejections=rate,
                on_progress=lambda done, total: on_progress(done, total, "fine-tuning"),
            )
        return {
            "epochs": [asdict(epoch) for epoch in found.epochs],
            "pytorch_accuracy": found.pytorch_accuracy,
            "int8_accuracy": found.accuracy,
            "export": asdict(found.report),
        }

    return write


def _bert_exporter(source: Path, examples: Sequence[Example], rate: float | None) -> _Write:
    from kefu.intent.bert_training import export_bert  # noqa: PLC0415 - SciPy: other commands would wait

    def write(folder: Path) -> dict[str, Any]:
        return {"export": asdict(export_bert(source, folder, examples, rate).report)}

    return write


def _deliver(
    settings: Settings,
    write: _Write,
    out: Path | None,
    use: bool,
    notes: Sequence[str],
    as_json: bool,
) -> None:
    """Have the model written, put to use unless told otherwise, and say how good it is."""
    details: dict[str, Any] = {}
    version = None
    if out is not None:
        require_new(out)  # before the training, and not only after it
        details = write(out)
        folder = out
    else:
        versions = Versions(settings.intents_dir)
        version = versions.add(lambda path: details.update(write(path)), activate=use)
        folder = versions.folder_of(version)
    about = read_about(folder)
    if as_json:
        print_json(_as_json(about, folder, version, notes) | details)
        return
    for name in ("pytorch_accuracy", "int8_accuracy"):
        if details.get(name) is not None:
            typer.echo(f"{name:18} {100 * details[name]:.2f}%")
    _print(about, folder)
    if version is not None:
        typer.echo(f"{version} is {'in use' if use else 'kept: kefu intent use ' + version}.")


def _read(files: Sequence[Path], lenient: bool, as_json: bool) -> tuple[list[Example], list[str]]:
    """The examples of all files as one set."""
    notes: list[str] = []
    try:
        found = read_files(files, note=notes.append, lenient=lenient)
    except InvalidFile as error:
        if not as_json:
            raise
        print_json({"error": str(error), "problems": [asdict(p) for p in error.problems]})
        raise typer.Exit(2) from error
    if not as_json:
        for note in notes:
            Console(stderr=True).print(Text(f"note: {note}", style="yellow"))
    return found, notes


def _as_json(
    about: About, folder: Path, version: str | None, notes: Sequence[str]
) -> dict[str, Any]:
    return {
        "version": version,
        "folder": str(folder),
        "kind": about.kind,
        "labels": len(about.labels),
        "examples": about.examples,
        "seconds": round(about.seconds, 1),
        "data_sha256": about.trained_on,
        "tested_on": about.tested_on,
        "threshold": about.calibration.threshold,
        "false_rejections": about.false_rejections,
        "figures": asdict(about.figures) if about.figures else None,
        "trade_offs": [asdict(item) for item in about.trade_offs],
        "notes": list(notes),
    }


def _print(about: About, folder: Path) -> None:
    typer.echo(
        f"{len(about.labels)} intents from {about.examples:,} examples in {about.seconds:.0f} s."
    )
    found = about.figures
    if found is None:
        typer.echo("Nothing was measured: give labelled texts with --examples.")
        return
    typer.echo(f"Measured on {about.tested_on}:")
    rows = [
        ("right", found.accuracy),
        ("right, with an intent", found.in_scope_accuracy),
        ("out-of-scope found", found.oos_recall),
        ("wrongly out of scope", found.false_oos),
    ]
    for name, share in rows:
        typer.echo(f"  {name:22} {'-' if share is None else f'{100 * share:.1f}%'}")
    if found.oos_recall is None:
        typer.echo("  No oos examples were given: what it does with strange messages is a guess.")
    for confusion in found.confusions[:_CONFUSIONS_SHOWN]:
        typer.echo(f"  {confusion.label} was called {confusion.predicted} {confusion.count} times")
    typer.echo(f"All figures: {folder / CARD}")
