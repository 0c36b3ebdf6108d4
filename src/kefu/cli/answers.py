"""`kefu answers ...`: the kept answers of a data folder. A running desk notices within a second."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from kefu.answers import people
from kefu.answers.answer import CachedAnswer
from kefu.answers.endpoints import as_json as answer_as_json
from kefu.answers.endpoints import select
from kefu.answers.freshness import change_of
from kefu.cli.answers_pairs import calibrate, calibrations, evaluate
from kefu.cli.context import settings_of
from kefu.cli.output import local_time, print_json
from kefu.errors import InvalidInput, NotFound
from kefu.language import Language
from kefu.settings import Settings
from kefu.stores.answers import SqlAnswers
from kefu.stores.knowledge import SqlKnowledge
from kefu.stores.opening import open_database

app = typer.Typer(no_args_is_help=True, help="Generated answers that are given again.")
app.command("evaluate")(evaluate)
app.command("calibrate")(calibrate)
app.command("calibrations")(calibrations)

Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs.")]
Id = Annotated[str, typer.Argument(help="The answer, as in `kefu answers list`.")]
Entries = Annotated[
    list[str] | None,
    typer.Option(
        "--entry", help="Give it only while this entry stays as it is.", show_default=False
    ),
]


@app.command("list")
def list_(
    ctx: typer.Context,
    search: Annotated[str, typer.Option(help="Only those with these words.")] = "",
    pinned: Annotated[
        bool | None, typer.Option("--pinned/--not-pinned", help="Only those.", show_default=False)
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 50,
    as_json: Json = False,
) -> None:
    """The kept answers, the one used last first."""
    with _opened(settings_of(ctx)) as kept:
        found = select(kept.store.load()[1][::-1], search, pinned)
        shown = [answer_as_json(a, kept.doubt(a)) for a in found[:limit]]
    if as_json:
        print_json({"total": len(found), "answers": shown})
    elif not found:
        Console(stderr=True).print("No answers are kept.")
    else:
        Console().print(_table(found[:limit]))
        typer.echo(f"{len(found)} kept.")


@app.command()
def show(ctx: typer.Context, answer_id: Id, as_json: Json = False) -> None:
    """One kept answer, with the entries it was written from."""
    with _opened(settings_of(ctx)) as kept:
        _print(kept, kept.get(answer_id), as_json)


@app.command()
def pin(
    ctx: typer.Context,
    question: Annotated[str, typer.Argument(help="As a customer would ask it.")],
    reply: Annotated[str, typer.Option(help="What the customer is told.")],
    entry: Entries = None,
    language: Annotated[
        Language | None, typer.Option(help="zh or en.", show_default="that of the question")
    ] = None,
    as_json: Json = False,
) -> None:
    """Give this answer to this question, and to others that ask the same, from now on."""
    with _opened(settings_of(ctx)) as kept:
        hashes = {id_: kept.hash_of(id_) for id_ in entry or []}
        if missing := [id_ for id_, found in hashes.items() if found is None]:
            raise NotFound(f"There is no entry {missing[0]!r}. `kefu kb list` shows them.")
        there = {id_: found for id_, found in hashes.items() if found is not None}
        answer = people.written(question, reply, there, language)
        kept.store.change(answer)
        _print(kept, answer, as_json)


@app.command()
def edit(
    ctx: typer.Context,
    answer_id: Id,
    reply: Annotated[str | None, typer.Option(help="Other words.", show_default=False)] = None,
    pinned: Annotated[
        bool | None, typer.Option("--pin/--unpin", help="Keep it for good.", show_default=False)
    ] = None,
    as_json: Json = False,
) -> None:
    """Change the words of an answer, or pin it; either confirms it as it is now."""
    if reply is None and pinned is None:
        raise InvalidInput("Nothing to change. Give --reply TEXT, --pin or --unpin.")
    with _opened(settings_of(ctx)) as kept:
        answer = people.revised(kept.get(answer_id), kept.hashes, reply=reply, pinned=pinned)
        kept.store.change(answer)
        _print(kept, answer, as_json)


@app.command()
def drop(
    ctx: typer.Context,
    answer_ids: Annotated[list[str], typer.Argument(help="As in `kefu answers list`.")],
    as_json: Json = False,
) -> None:
    """Forget answers; their questions are answered anew when they are asked again."""
    with _opened(settings_of(ctx)) as kept:
        for answer_id in answer_ids:
            kept.get(answer_id)
        _print_dropped(kept.store.clear(answer_ids), as_json)


@app.command()
def clear(
    ctx: typer.Context,
    entry: Annotated[
        str | None,
        typer.Option(help="Only those that were written from this entry.", show_default=False),
    ] = None,
    keep_pinned: Annotated[bool, typer.Option(help="All but the pinned ones.")] = False,
    as_json: Json = False,
) -> None:
    """Forget all answers, or those of one entry."""
    with _opened(settings_of(ctx)) as kept:
        found = [
            answer.id
            for answer in kept.store.load()[1]
            if (entry is None or entry in answer.entry_hashes)
            and not (keep_pinned and answer.pinned)
        ]
        _print_dropped(kept.store.clear(found), as_json)


@dataclass(frozen=True)
class _Kept:
    """The answers on disk, and the content hashes of the entries beside them."""

    store: SqlAnswers
    hashes: Mapping[str, str]

    def get(self, answer_id: str) -> CachedAnswer:
        answer = self.store.find(answer_id)
        if answer is None:
            raise NotFound(f"No answer {answer_id!r} is kept. `kefu answers list` shows them.")
        return answer

    def hash_of(self, entry_id: str) -> str | None:
        return self.hashes.get(entry_id)

    def doubt(self, answer: CachedAnswer) -> str | None:
        return change_of(answer, self.hash_of)


@contextmanager
def _opened(settings: Settings) -> Iterator[_Kept]:
    with open_database(settings.database_at) as database:
        yield _Kept(SqlAnswers(database), SqlKnowledge(database).hashes())


def _print(kept: _Kept, answer: CachedAnswer, as_json: bool) -> None:
    doubt = kept.doubt(answer)
    if as_json:
        print_json(answer_as_json(answer, doubt))
        return
    rows = {
        "id": answer.id,
        "question": answer.question,
        "reply": answer.reply,
        "state": _state(answer),
        "doubt": f"not given: {doubt}" if doubt else "",
        "entries": ", ".join(answer.entry_hashes),
        "model": answer.model,
        "hits": f"{answer.exact_hits} the same words, {answer.semantic_hits} other words",
        "created": local_time(answer.created_at_ms),
    }
    for name, value in rows.items():
        if value:
            typer.echo(f"{name:9} {value}")


def _print_dropped(dropped: int, as_json: bool) -> None:
    if as_json:
        print_json({"dropped": dropped})
    else:
        typer.echo(f"{dropped} dropped.")


def _table(answers: Sequence[CachedAnswer]) -> Table:
    table = Table(Column("id", no_wrap=True), "state", "hits", "last hit", "question", "reply")
    for answer in answers:
        hits = f"{answer.exact_hits}+{answer.semantic_hits}"
        cells = (answer.id, _state(answer), hits, local_time(answer.last_hit_at_ms))
        table.add_row(*map(Text, (*cells, answer.question, answer.reply)))
    return table


def _state(answer: CachedAnswer) -> str:
    return "pinned" if answer.pinned else "edited" if answer.edited else "generated"
