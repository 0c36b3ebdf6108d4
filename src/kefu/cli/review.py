"""`kefu review ...`: held messages, decided here or over the API. A running desk tells the customer
within a second; one that does not run, when it starts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated, Literal, TypeVar

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from kefu.cli.context import actor, settings_of
from kefu.cli.conversations import print_turn
from kefu.cli.output import local_time, print_json
from kefu.conversations.transcript import Turn
from kefu.errors import InvalidInput
from kefu.review.audit import AuditRecord, csv_lines, json_lines, review_subject
from kefu.review.endpoints import TURNS_AFTER, TURNS_BEFORE, as_json
from kefu.review.examples import examples_csv
from kefu.review.review import Review, Status
from kefu.review.verdicts import LEAST_OF_ID, Decision, decide, get_review
from kefu.settings import Settings
from kefu.stamps import now_ms
from kefu.stores.audit import SqlAudit
from kefu.stores.opening import open_database
from kefu.stores.reviews import SqlReviews
from kefu.stores.transcript import SqlTranscript

app = typer.Typer(no_args_is_help=True, help="Held messages that wait for a person.")

T = TypeVar("T")
Which = Literal["pending", "approved", "edited", "rejected", "expired", "all"]

_SHORT_ID = 8
_SECONDS = ((86_400, "d"), (3600, "h"), (60, "min"), (1, "s"))


@dataclass(frozen=True)
class Opened:
    """The data folder as these commands need it."""

    reviews: SqlReviews
    audit: SqlAudit
    transcript: SqlTranscript


Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Id = Annotated[
    str, typer.Argument(help=f"As in `kefu review list`; its first {LEAST_OF_ID} signs will do.")
]
Note = Annotated[str, typer.Option(help="For the audit.")]


@app.command("list")
def list_(
    ctx: typer.Context,
    status: Annotated[Which, typer.Option(help="Only those.")] = "pending",
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json_: Json = False,
) -> None:
    """Held messages, the one whose deadline comes first at the top."""
    wanted: Status | None = None if status == "all" else status

    async def look(opened: Opened) -> tuple[int, list[Review]]:
        found = await opened.reviews.page(wanted, 0, limit)
        return await opened.reviews.count(wanted), found

    total, found = _run(settings_of(ctx), look)
    if as_json_:
        print_json({"total": total, "reviews": [as_json(review) for review in found]})
    elif not found:
        waits = "Nothing waits for a person." if status == "pending" else "There are none."
        Console(stderr=True).print(waits)
    else:
        Console().print(_table(found, now_ms()))
        typer.echo(f"{total} in all.")


@app.command()
def show(ctx: typer.Context, review_id: Id, as_json_: Json = False) -> None:
    """One held message, with the conversation around it and what was done about it."""

    async def look(opened: Opened) -> tuple[Review, list[Turn], list[AuditRecord]]:
        review = await get_review(opened.reviews, review_id)
        turns = await opened.transcript.around(review.turn_id, TURNS_BEFORE, TURNS_AFTER)
        return review, turns, await opened.audit.about(review_subject(review.id))

    review, turns, records = _run(settings_of(ctx), look)
    if as_json_:
        around = {"conversation": [asdict(turn) for turn in turns]}
        done = {"audit": [asdict(record) for record in records]}
        print_json(as_json(review) | around | done)
    else:
        _print(Console(), review, turns, records)


@app.command()
def approve(ctx: typer.Context, review_id: Id, note: Note = "", as_json_: Json = False) -> None:
    """Let it pass: the customer's words are answered, a held reply goes out as it is."""
    _decide(ctx, review_id, Decision("approved", note=note), as_json_)


@app.command()
def edit(
    ctx: typer.Context,
    review_id: Id,
    text: Annotated[str, typer.Argument(help="What the customer is told instead.")],
    note: Note = "",
    bad: Annotated[
        bool | None,
        typer.Option(
            "--bad/--innocent",
            help="Whether the held text should have been stopped.",
            show_default="a reply should, a customer's message should not",
        ),
    ] = None,
    as_json_: Json = False,
) -> None:
    """Tell the customer this instead."""
    _decide(ctx, review_id, Decision("edited", text, note, bad), as_json_)


@app.command()
def reject(ctx: typer.Context, review_id: Id, note: Note = "", as_json_: Json = False) -> None:
    """Tell the customer that this cannot be done."""
    _decide(ctx, review_id, Decision("rejected", note=note), as_json_)


@app.command()
def export(
    ctx: typer.Context,
    file: Annotated[
        Path | None, typer.Option("--output", help="Instead of standard output.")
    ] = None,
) -> None:
    """What people decided, as text,label,category for `kefu moderation train`."""
    table = examples_csv(_run(settings_of(ctx), lambda opened: opened.reviews.examples()))
    if file is None:
        typer.echo(table, nl=False)
        return
    try:
        file.write_text(table, "utf-8", newline="")
    except OSError as error:
        raise InvalidInput(f"Cannot write {file}: {error.strerror or error}.") from error
    typer.echo(f"Written to {file}.", err=True)


@app.command()
def audit(
    ctx: typer.Context,
    after: Annotated[int, typer.Option(min=0, help="Only what follows this number.")] = 0,
    limit: Annotated[int, typer.Option(min=1, help="Lines of the table at most.")] = 100,
    form: Annotated[
        Literal["table", "csv", "jsonl"],
        typer.Option("--format", help="csv and jsonl have all that follows."),
    ] = "table",
) -> None:
    """Who decided what and when, oldest first."""
    settings = settings_of(ctx)
    if form == "table":
        records = _run(settings, lambda opened: opened.audit.after(after, limit))
        Console().print(_audit_table(records))
        return
    lines = csv_lines if form == "csv" else json_lines
    _run(settings, lambda opened: _echo(lines(opened.audit, after)))


def _run(settings: Settings, work: Callable[[Opened], Awaitable[T]]) -> T:
    async def run() -> T:
        with open_database(settings.database_at) as database:
            stores = SqlReviews(database), SqlAudit(database), SqlTranscript(database)
            return await work(Opened(*stores))

    return asyncio.run(run())


def _decide(ctx: typer.Context, review_id: str, decision: Decision, as_json_: bool) -> None:
    decided = _run(
        settings_of(ctx), lambda opened: decide(opened.reviews, review_id, decision, actor())
    )
    if as_json_:
        print_json(as_json(decided))
    else:
        typer.echo(
            f"{decided.status.capitalize()}. The customer is told within a second, or when the "
            "desk starts."
        )


async def _echo(lines: AsyncIterator[str]) -> None:
    async for line in lines:
        typer.echo(line, nl=False)


def _table(found: Sequence[Review], now: int) -> Table:
    table = Table(
        "id",
        "waits",
        "deadline",
        "whose",
        "category",
        Column("why", ratio=1),
        Column("text", ratio=2),
    )
    for review in found:
        held = review.held
        table.add_row(
            review.id[:_SHORT_ID],
            _span((review.decided_at_ms or now) - review.created_at_ms),
            _deadline(review, now),
            held.direction.value,
            held.category.value,
            Text(", ".join(_why(review))),
            Text(" ".join(held.text.split())),
        )
    return table


def _deadline(review: Review, now: int) -> Text:
    if review.status != "pending":
        return Text(review.status, style="dim")
    left = review.deadline_ms - now
    if left <= 0:
        return Text("over", style="red")
    return Text(f"in {_span(left)}", style="yellow" if left < 5 * 60_000 else "")


def _why(review: Review) -> list[str]:
    """The category has a column of its own."""
    prefix = f"{review.held.category}: "
    return [str(reason).removeprefix(prefix) for reason in review.held.reasons]


def _print(
    console: Console, review: Review, turns: Sequence[Turn], records: Sequence[AuditRecord]
) -> None:
    held = review.held
    whose = "customer's message" if held.draft is None else "reply"
    console.print(Text(f"{whose} {review.id}: {review.status}", style="bold"))
    console.print(Text(f"held for {', '.join(str(reason) for reason in held.reasons)}"))
    console.print(Text(f"deadline {local_time(review.deadline_ms)}", style="dim"))
    console.print(Text(held.text, style="yellow"))
    if review.edited_text:
        console.print(Text("told instead: ", style="bold") + Text(review.edited_text))
    console.rule(f"conversation of {review.uid}", style="dim")
    for turn in turns:
        if turn.turn_id == review.turn_id:
            console.print(Text("this is the one:", style="yellow"))
        print_turn(console, turn)
    console.rule("what was done", style="dim")
    for record in records:
        note = record.details.get("note")
        because = f": {note}" if note else ""
        line = f"{local_time(record.at_ms)}  {record.actor}  {record.action}{because}"
        console.print(Text(line))


def _audit_table(records: Sequence[AuditRecord]) -> Table:
    table = Table("seq", "when", "who", "what", "of what", Column("details", ratio=1))
    for record in records:
        details = ", ".join(f"{name} {value}" for name, value in record.details.items())
        table.add_row(
            str(record.seq),
            local_time(record.at_ms),
            Text(record.actor),
            record.action,
            Text(record.subject),
            Text(details),
        )
    return table


def _span(milliseconds: int) -> str:
    """12 min: the largest unit of which there is at least one."""
    seconds = max(milliseconds // 1000, 0)
    for size, unit in _SECONDS:
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return "0 s"
