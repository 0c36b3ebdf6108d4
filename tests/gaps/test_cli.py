"""`kefu kb gaps`, `promote` and `golden`: what people and programs read."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from kefu.cli import kb, kb_opened
from kefu.conversations.ratings import Rating
from kefu.conversations.transcript import Turn
from kefu.errors import InvalidInput, NotFound
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.knowledge.importing import derived_id
from kefu.knowledge.service import open_knowledge
from kefu.settings import Settings
from kefu.stores.knowledge import SqlKnowledge
from kefu.stores.opening import open_database
from kefu.stores.transcript import SqlTranscript
from kefu.telemetry import Metrics
from tests.fakes import HashingEncoder
from tests.gaps.conftest import FEE, RETURN

GIFT = ("--question", "可以包装成礼物吗", "--answer", "可以。")


@pytest.fixture(autouse=True)
def fake_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kb_opened, "open_encoder", lambda *_: HashingEncoder())
    monkeypatch.setattr(kb_opened, "configure_logging", lambda _: structlog.reset_defaults())


@pytest.fixture
def shop(settings: Settings) -> Settings:
    """A shop that knows two things and was asked a third by three customers."""
    turns = [
        Turn("ann", "a", "可以包装成礼物吗", source="handoff", turn_id="t1"),
        Turn("bob", "b", "可以包装成礼物么", source="handoff", turn_id="t2"),
        Turn("cid", "c", "可以包装成礼物不", "8元", source="model", turn_id="t3"),
        Turn("cid", "c", "运费是多少", "8元", source="faq", confidence=1.0, turn_id="t4"),
    ]

    async def fill() -> None:
        with open_database(settings.database_at) as database:
            async with BatchedEncoder(HashingEncoder(), 8, 64, Metrics()) as encoder:
                store = SqlKnowledge(database)
                knowledge = await open_knowledge(store, encoder, settings.knowledge)
                await knowledge.import_entries([FEE, RETURN])
            transcript = SqlTranscript(database)
            for turn in turns:
                await transcript.save(turn)
            await transcript.rate("cid", "t3", Rating("down", "问的是礼物"))

    asyncio.run(fill())
    return settings


@pytest.fixture
def run(shop: Settings) -> Any:
    def run(*args: str, stdin: str = "", code: int = 0) -> Result:
        wide = {"COLUMNS": "200"}
        result = CliRunner(env=wide).invoke(kb.app, args, obj=shop, input=stdin)
        assert result.exit_code == code, result.output
        return result

    return run


def parsed(result: Result) -> Any:
    """The JSON document, which is printed last and begins on a line of its own."""
    lines = result.stdout.splitlines()
    return json.loads("\n".join(lines[min(n for n, x in enumerate(lines) if x[0] in "{[") :]))


def test_gaps_for_people(run) -> None:
    shown = run("gaps").stdout
    for words in ("可以包装成礼物", "not known 2", "rated down 1", "“问的是礼物”"):
        assert words in shown
    assert "3 of 4 turns" in shown
    assert "badly: 1 groups" in shown


def test_gaps_for_programs(run) -> None:
    found = parsed(run("gaps", "--days", "1", "--limit", "3", "--json"))
    (gap,) = found["gaps"]
    assert (found["turns"], found["missed"], gap["count"], gap["customers"]) == (4, 3, 3, 3)
    assert gap["why"] == {"unanswered": 2, "rated_down": 1}


def test_the_golden_set(run) -> None:
    rows = "query,faq_id\n运费是多少,fee\n怎么申请退货,return\nwxyz,\n"
    assert "3 saved; 3 golden" in run("golden", "import", "-", stdin=rows).stdout
    assert "4 golden" in run("golden", "add", "要付邮费吗", "fee").stdout
    listed = parsed(run("golden", "list", "--json"))
    assert {"question": "wxyz", "entry_id": ""} in listed
    assert "none may answer" in run("golden", "list").stdout
    assert "4 of 4 are served rightly" in run("golden", "check").stdout
    run("golden", "add", "运费是多少", "return")
    checked = run("golden", "check", "--json", code=1)
    assert parsed(checked)["failing"][0]["question"] == "运费是多少"
    assert "sure: fee" in run("golden", "check", code=1).stdout
    run("golden", "delete", "运费是多少")
    assert isinstance(run("golden", "delete", "运费是多少", code=1).exception, NotFound)


def test_a_bad_golden_file_changes_nothing(run) -> None:
    rows = "query,faq_id\n运费是多少,fee\nq,typo\n"
    result = run("golden", "import", "-", stdin=rows, code=1)
    assert isinstance(result.exception, InvalidInput)
    assert "typo" in str(result.exception)
    assert parsed(run("golden", "list", "--json")) == []


def test_promote_saves_what_breaks_nothing(run) -> None:
    run("golden", "add", "运费是多少", "fee")
    assert "break none of 1" in run("promote", *GIFT, "--dry-run").stdout
    id_ = derived_id("可以包装成礼物吗")
    assert f"Saved as {id_}" in run("promote", *GIFT).stdout
    assert {"question": "可以包装成礼物吗", "entry_id": id_} in parsed(
        run("golden", "list", "--json")
    )


def test_promote_takes_the_question_of_a_turn(run) -> None:
    found = parsed(run("promote", "--turn", "t2", "--answer", "可以。", "--json"))
    assert (found["saved"], found["entry"]["question"]) == (True, "可以包装成礼物么")


def test_promote_refuses_what_breaks_something(run) -> None:
    run("golden", "add", "要付邮费吗", "fee")
    args = ("promote", *GIFT, "--alternative", "要付邮费吗")
    for how in ((), ("--dry-run",)):
        shown = run(*args, *how, code=1).stdout
        assert "would break" in shown
        assert "sure: fee" in shown
    assert parsed(run(*args, "--json", code=1))["saved"] is False
    assert "Saved as" in run(*args, "--force").stdout


@pytest.mark.parametrize("which", [(), ("--question", "q", "--turn", "t1")])
def test_promote_needs_one_question(run, which: tuple[str, ...]) -> None:
    result = run("promote", *which, "--answer", "a", code=1)
    assert isinstance(result.exception, InvalidInput)
