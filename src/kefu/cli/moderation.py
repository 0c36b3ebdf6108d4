"""`kefu moderation ...`: what must not pass, what becomes of a text, and how well that works."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from kefu.cli import moderation_words
from kefu.cli.context import settings_of
from kefu.cli.moderation_opened import open_checker
from kefu.cli.moderation_train import train
from kefu.cli.output import print_json, progress_bar, source_of
from kefu.errors import InvalidInput
from kefu.moderation.categories import Direction, Outcome
from kefu.moderation.checker import Explanation
from kefu.moderation.evaluate import (
    CheckedText,
    Figures,
    check_all,
    figures,
    figures_by_kind,
    is_mistake,
    read_texts,
)
from kefu.moderation.listing import explanation_as_json

app = typer.Typer(no_args_is_help=True, help="What must not pass: words, and what is meant.")
app.command("train")(train)
app.add_typer(moderation_words.words, name="words")
app.add_typer(moderation_words.allow, name="allow")

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
WordsOnly = Annotated[
    bool, typer.Option("--words-only", help="Only look for words: needs no model.")
]
Whose = Annotated[
    Direction, typer.Option(help="Whose words they are: a customer's, or a reply's of the desk.")
]

STYLES: Mapping[Outcome, str] = {
    Outcome.ALLOW: "dim",
    Outcome.MASK: "black on cyan",
    Outcome.HOLD: "black on yellow",
    Outcome.BLOCK: "white on red",
    Outcome.CARE: "white on magenta",
}
_STDIN = "-"
_MOST_CHARACTERS = 100_000


@app.command()
def check(
    ctx: typer.Context,
    text: Annotated[str, typer.Argument(help="A message; - reads standard input.")],
    direction: Whose = Direction.CUSTOMER,
    words_only: WordsOnly = False,
    as_json: Json = False,
) -> None:
    """Say what becomes of a text, and why."""
    message = _message(text)
    opened = open_checker(settings_of(ctx), words_only=words_only)
    vector = opened.encoder.encode([message])[0] if opened.encoder else None
    found = opened.checker.explain(message, vector, direction)
    if as_json:
        print_json(explanation_as_json(found))
    else:
        _print_explanation(found)


@app.command()
def evaluate(
    ctx: typer.Context,
    file: Annotated[
        Path,
        typer.Argument(help="text,label[,kind] as CSV or JSONL; label 1: bad. - is stdin."),
    ],
    direction: Whose = Direction.CUSTOMER,
    words_only: WordsOnly = False,
    errors: Annotated[int, typer.Option(min=0, help="How many mistakes to show.")] = 0,
    as_json: Json = False,
) -> None:
    """Check labelled texts: how many bad ones are found, how many innocent ones disturbed."""
    texts = read_texts(*source_of(file))
    opened = open_checker(settings_of(ctx), words_only=words_only)
    encode = opened.encoder.encode if opened.encoder else None
    with progress_bar("checking") as on_progress:
        checked = check_all(texts, opened.checker, direction, encode, on_progress)
    kinds = figures_by_kind(checked)
    wrong = [item for item in checked if is_mistake(item)][:errors]
    if as_json:
        by_kind = {kind: _rounded(found) for kind, found in kinds.items()}
        shown = {"kinds": by_kind, "mistakes": [_mistake(item) for item in wrong]}
        print_json({**_rounded(figures(checked)), **shown})
        return
    Console().print(_table({"all": figures(checked), **kinds}))
    _print_times(figures(checked))
    for item in wrong:
        what = "bad" if item.labelled.is_bad else "innocent"
        typer.echo(f"line {item.labelled.line}, {what} -> {item.outcome}: {item.labelled.text}")


def _message(text: str) -> str:
    message = sys.stdin.read() if text == _STDIN else text
    message = message.rstrip("\r\n")
    if not message.strip():
        raise InvalidInput('Give a message: kefu moderation check "加微信领红包"')
    if len(message) > _MOST_CHARACTERS:
        raise InvalidInput(
            f"The message has {len(message):,} characters; {_MOST_CHARACTERS:,} are allowed."
        )
    if any("\ud800" <= character <= "\udfff" for character in message):
        raise InvalidInput("The message has bytes that are no text. Give it in UTF-8.")
    return message


# --- what people read ----------------------------------------------------------------------------


def _print_explanation(found: Explanation) -> None:
    console = Console()
    text = Text(found.text)
    # The gravest last, so that it is seen where words overlap.
    for hit, outcome in sorted(found.hits, key=lambda item: item[1].rank):
        text.stylize(STYLES[outcome], hit.start, hit.end)
    console.print(text)
    console.print(Text(found.verdict.outcome, style=STYLES[found.verdict.outcome]))
    if found.verdict.outcome is Outcome.MASK:
        console.print(Text(found.masked))
    reasons = explanation_as_json(found)["reasons"]
    if reasons:
        console.print(_reasons(reasons))


def _reasons(reasons: Sequence[dict[str, Any]]) -> Table:
    table = Table("outcome", "category", "why", "place")
    for reason in reasons:
        outcome = Text(reason["outcome"], style=STYLES[Outcome(reason["outcome"])])
        if reason["word"] is None:
            table.add_row(outcome, reason["category"], f"probability {reason['score']:.2f}", "")
            continue
        how = f", {reason['disguise']}" if reason["disguise"] else ""
        guessed = "" if reason["certain"] else ", guessed"
        why = Text(f"{reason['word']} ({reason['severity']}{how}{guessed})")
        table.add_row(outcome, reason["category"], why, f"{reason['start']}-{reason['end']}")
    return table


def _table(rows: Mapping[str, Figures]) -> Table:
    right = ("n", "bad", "blocked", "or held", "innocent blocked", "or held")
    table = Table(Column("kind", no_wrap=True), *(Column(name, justify="right") for name in right))
    for name, found in rows.items():
        shares = (
            found.block_recall,
            found.review_recall,
            found.false_block_rate,
            found.false_review_rate,
        )
        table.add_row(Text(name), f"{found.n:,}", f"{found.bad:,}", *map(_percent, shares))
    return table


def _percent(share: float | None) -> str:
    return "-" if share is None else f"{100 * share:.2f}%"


def _print_times(found: Figures) -> None:
    typer.echo(f"words: p50 {found.p50_us:.1f} µs, p99 {found.p99_us:.1f} µs a text")
    if found.meaning_p50_us is not None:
        typer.echo(f"meaning: p50 {found.meaning_p50_us:.0f} µs a text, besides the encoder")


def _rounded(found: Figures) -> dict[str, Any]:
    return {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in asdict(found).items()
    }


def _mistake(item: CheckedText) -> dict[str, Any]:
    labelled = item.labelled
    return {
        "line": labelled.line,
        "label": int(labelled.is_bad),
        "kind": labelled.kind,
        "outcome": item.outcome,
        "text": labelled.text,
    }
