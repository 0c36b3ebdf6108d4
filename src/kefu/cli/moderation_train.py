"""`kefu moderation train`: from labelled messages to a semantic head."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from kefu.cli.context import settings_of
from kefu.cli.finetuning import BertName, Epochs, Finetune, check_finetuning
from kefu.cli.output import print_json, stages
from kefu.errors import InvalidFile, InvalidInput, RowProblem
from kefu.inference.encoder.opening import open_encoder
from kefu.inference.models.resolve import resolve_bert
from kefu.inference.models.whole_folder import require_new
from kefu.limits import usable_cpus
from kefu.moderation.examples import Example, read_examples
from kefu.moderation.head_file import SUFFIX, HeadAbout
from kefu.moderation.heads import BERT_SUFFIX, HeadInUse, Heads, load
from kefu.moderation.semantic import SemanticHead
from kefu.settings import Settings

_Write = Callable[[Path], None]


def train(
    ctx: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(help="text,label[,category] as CSV or JSONL; label 1: bad, 0: innocent."),
    ],
    fresh: Annotated[
        bool,
        typer.Option("--fresh", help="Start from nothing, instead of teaching the head in use."),
    ] = False,
    encoder: BertName = None,
    finetune: Finetune = False,
    epochs: Epochs = None,
    false_rate: Annotated[
        float | None,
        typer.Option(
            min=0.0,
            max=0.5,
            help="Of everyday messages, the share that may be held for a person.",
            show_default="0.005",
        ),
    ] = None,
    lenient: Annotated[
        bool, typer.Option("--lenient", help="Leave bad rows out instead of stopping.")
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(help="Write the head to this file (a BERT: folder) only.", show_default=False),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON for programs.")] = False,
) -> None:
    """Learn what is bad from examples, in seconds. A running desk takes the head over at once."""
    settings = settings_of(ctx)
    check_finetuning(finetune, encoder)
    if encoder is not None:
        if fresh:
            raise InvalidInput("--finetune always starts from nothing: leave --fresh out.")
        if out is not None:
            require_new(out)  # before the training, and not only after it
        bert = resolve_bert(settings, encoder)
        write = _bert_trainer(_read(files, lenient, as_json), bert, epochs, false_rate)
    else:
        write = _trainer(settings, _read(files, lenient, as_json), fresh, false_rate)
    heads, version = Heads(settings.moderation_dir), None
    if out is not None:
        write(out)
    else:
        version = heads.add(write, BERT_SUFFIX if finetune else SUFFIX)
    about = load(out or heads.newest_first()[0])[1]
    if as_json:
        print_json({"version": version, "file": str(out) if out else None, **asdict(about)})
        return
    _print(about)
    typer.echo(f"Wrote {out}." if out else f"{version} is in use.")


def _trainer(
    settings: Settings, examples: Sequence[Example], fresh: bool, false_rate: float | None
) -> _Write:
    from kefu.moderation.calibrating import FALSE_HOLDS  # noqa: PLC0415 - SciPy: other commands would wait
    from kefu.moderation.training import save, train  # noqa: PLC0415 - as above

    # Nothing else runs here: unlike a desk, training may have every core.
    encoder = open_encoder(settings, usable_cpus())
    start = None if fresh else _in_use(settings, encoder.id)

    def write(path: Path) -> None:
        with stages() as on_progress:
            trained = train(
                examples,
                encoder.encode,
                encoder.id,
                start=start,
                false_holds=FALSE_HOLDS if false_rate is None else false_rate,
                on_progress=on_progress,
            )
        save(trained, path)

    return write


def _bert_trainer(
    examples: Sequence[Example], encoder: Path, epochs: int | None, false_rate: float | None
) -> _Write:
    from kefu.moderation.bert_training import train_bert  # noqa: PLC0415 - SciPy: other commands would wait
    from kefu.moderation.calibrating import FALSE_HOLDS  # noqa: PLC0415 - as above

    def write(path: Path) -> None:
        with stages() as on_progress:
            train_bert(
                examples,
                encoder,
                path,
                epochs=epochs,
                false_holds=FALSE_HOLDS if false_rate is None else false_rate,
                on_progress=lambda done, total: on_progress(done, total, "fine-tuning"),
            )

    return write


def _read(files: Sequence[Path], lenient: bool, as_json: bool) -> list[Example]:
    """The examples of all files. Raises `InvalidFile`, also where two disagree."""
    notes: list[str] = []
    found: dict[str, tuple[Path, Example]] = {}
    try:
        for file in files:
            for example in read_examples(file, str(file), note=notes.append, lenient=lenient):
                earlier, other = found.setdefault(example.text, (file, example))
                if (other.is_bad, other.category) != (example.is_bad, example.category):
                    where = f"line {other.line} of {earlier}"
                    problem = RowProblem(example.line, "label", f"is another than on {where}")
                    raise InvalidFile(f"{file} and {earlier} do not agree.", (problem,))
    except InvalidFile as error:
        if not as_json:
            raise
        print_json({"error": str(error), "problems": [asdict(p) for p in error.problems]})
        raise typer.Exit(2) from error
    for note in notes:
        Console(stderr=True).print(Text(f"note: {note}", style="yellow"))
    return [example for _, example in found.values()]


def _in_use(settings: Settings, encoder_id: str) -> SemanticHead:
    """Raises `InvalidInput` where there is none that is taught further with this encoder."""
    in_use = HeadInUse(Heads(settings.moderation_dir), encoder_id)
    in_use.take_over()
    if in_use.head is None:
        raise InvalidInput(f"There is no head to teach further: {in_use.problem} Use --fresh.")
    if not isinstance(in_use.head, SemanticHead):
        raise InvalidInput(
            "The head in use is a BERT, which is not taught further. Fine-tune it again with all "
            "examples, or start a small head with --fresh."
        )
    return in_use.head


# --- what people read ----------------------------------------------------------------------------


def _print(about: HeadAbout) -> None:
    found = about.figures
    typer.echo(
        f"Learnt from {about.examples:,} examples in {about.seconds:.0f} s. Measured on the same "
        "examples, held out:"
    )
    right = ("bad", "found", "near misses", "mistaken", "AUROC")
    table = Table(
        Column("category", no_wrap=True), *(Column(name, justify="right") for name in right)
    )
    for item in found.categories:
        auroc = item.auroc_near_misses
        table.add_row(
            item.category,
            f"{item.bad:,}",
            _percent(item.found),
            f"{item.near_misses:,}",
            _percent(item.mistaken),
            "-" if auroc is None else f"{auroc:.3f}",
        )
    Console().print(table)
    typer.echo(f"Of {found.everyday:,} everyday messages {_percent(found.everyday_held)} are held.")


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.1f}%"
