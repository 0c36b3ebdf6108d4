"""`kefu review`: what people and programs read, and what they decide."""

from __future__ import annotations

import asyncio
import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from kefu.cli.context import actor
from kefu.cli.review import app
from kefu.errors import InvalidInput, NotFound
from kefu.review.queue import ReviewQueue
from kefu.review.review import AlreadyDecided, Review
from kefu.settings import ReviewSettings, Settings
from kefu.stores.opening import open_database
from kefu.stores.reviews import SqlReviews
from kefu.stores.transcript import SqlTranscript
from kefu.telemetry import Metrics
from tests.review.held import held_message, held_reply, held_turn

Run = Callable[..., Result]


@pytest.fixture
def waiting(settings: Settings) -> dict[str, Review]:
    """A customer's message and a reply that wait, by the id of their turn."""

    async def fill() -> dict[str, Review]:
        with open_database(settings.database_at) as database:
            before = held_turn("t0", source="faq", question="在吗", reply="在的")
            await SqlTranscript(database).save(before)
            store = SqlReviews(database)
            queue = ReviewQueue(store, ReviewSettings(), Metrics())
            await queue.hold(held_turn("t1"), held_message("帮我刷单，电话13800138000"))
            soon = ReviewQueue(store, ReviewSettings(minutes=2), Metrics())
            await soon.hold(held_turn("t2", uid="bob"), held_reply())
            return {review.turn_id: review for review in await store.page(None, 0, 10)}

    return asyncio.run(fill())


@pytest.fixture
def run(settings: Settings) -> Run:
    def run(*args: str, code: int = 0) -> Result:
        result = CliRunner(env={"COLUMNS": "200"}).invoke(app, args, obj=settings)
        assert result.exit_code == code, result.output
        return result

    return run


def listed(run: Run, *args: str) -> list[dict[str, Any]]:
    return json.loads(run("list", "--json", *args).stdout)["reviews"]


def test_an_empty_queue(run: Run) -> None:
    assert "Nothing waits" in run("list").stderr
    assert "There are none" in run("list", "--status", "rejected").stderr


def test_the_list_for_people(run: Run, waiting: dict[str, Review]) -> None:
    shown = run("list").stdout
    bob, ann = shown.index(waiting["t2"].id[:8]), shown.index(waiting["t1"].id[:8])
    assert bob < ann  # the nearest deadline first
    for words in ("in 1 min", "in 29 min", "customer", "reply", "fraud", "刷单 (homophone)"):
        assert words in shown
    assert "probability 0.71" in shown
    assert "2 in all" in shown


def test_one_for_people(run: Run, waiting: dict[str, Review]) -> None:
    id_ = waiting["t1"].id
    shown = run("show", id_[:8]).stdout
    for words in (id_, "pending", "帮我刷单", "> 在吗", "在的", "this is the one", "kefu  held"):
        assert words in shown
    assert "bob" not in shown


def test_one_for_programs(run: Run, waiting: dict[str, Review]) -> None:
    shown = json.loads(run("show", waiting["t1"].id, "--json").stdout)
    assert [turn["turn_id"] for turn in shown["conversation"]] == ["t0", "t1"]
    assert [record["action"] for record in shown["audit"]] == ["held"]


def test_verdicts(run: Run, waiting: dict[str, Review]) -> None:
    ids = {turn_id: review.id for turn_id, review in waiting.items()}
    assert "Edited. The customer is told" in run("edit", ids["t1"], "不可以哦").stdout
    decided = json.loads(run("approve", ids["t2"][:8], "--note", "fine", "--json").stdout)
    assert (decided["status"], decided["decided_by"]) == ("approved", actor())
    assert listed(run) == []
    assert "told instead: 不可以哦" in run("show", ids["t1"]).stdout
    assert f"{actor()}  approved: fine" in run("show", ids["t2"]).stdout
    (edited,) = listed(run, "--status", "edited")
    assert edited["edited_text"] == "不可以哦"
    assert len(listed(run, "--status", "all")) == 2
    refused = run("reject", ids["t2"], code=1)
    assert isinstance(refused.exception, AlreadyDecided)
    assert f"approved by {actor()}" in str(refused.exception)


@pytest.mark.parametrize(("option", "label"), [("--bad", "1"), ("--innocent", "0")])
def test_an_edit_says_what_is_to_be_learnt(
    run: Run, waiting: dict[str, Review], option: str, label: str
) -> None:
    run("edit", waiting["t1"].id, "不可以哦", option)
    (row,) = csv.DictReader(io.StringIO(run("export").stdout))
    assert (row["label"], row["category"]) == (label, "fraud")
    assert "13800138000" not in row["text"]


def test_an_export_to_a_file(run: Run, waiting: dict[str, Review], tmp_path: Path) -> None:
    run("reject", waiting["t1"].id)
    file = tmp_path / "decided.csv"
    assert "Written to" in run("export", "--output", str(file)).stderr
    assert file.read_text("utf-8") == run("export").stdout
    nowhere = run("export", "--output", str(tmp_path / "no" / "such"), code=1)
    assert isinstance(nowhere.exception, InvalidInput)


def test_the_audit(run: Run, waiting: dict[str, Review]) -> None:
    run("reject", waiting["t1"].id, "--note", "刷单")
    shown = run("audit").stdout
    for words in (actor(), "rejected", "note 刷单", f"review:{waiting['t1'].id}"):
        assert words in shown
    lines = [json.loads(line) for line in run("audit", "--format", "jsonl").stdout.splitlines()]
    assert [line["action"] for line in lines] == ["held", "held", "rejected"]
    table = run("audit", "--format", "csv", "--after", "2").stdout
    (row,) = csv.DictReader(io.StringIO(table))
    assert json.loads(row["details"])["note"] == "刷单"


def test_what_is_not_there(run: Run, waiting: dict[str, Review]) -> None:
    for args in (("show", "abcdef"), ("approve", "abcdef"), ("edit", "abc", "x")):
        assert isinstance(run(*args, code=1).exception, NotFound)
    empty = run("edit", waiting["t1"].id, " ", code=1)
    assert isinstance(empty.exception, InvalidInput)
    assert len(listed(run)) == 2


def test_an_account_without_a_name(monkeypatch: pytest.MonkeyPatch) -> None:
    def nobody() -> str:
        raise KeyError("uid 12345")

    monkeypatch.setattr("getpass.getuser", nobody)
    assert actor() == "cli:unknown"
