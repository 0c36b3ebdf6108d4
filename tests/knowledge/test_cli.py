"""`kefu kb`: what people and programs read."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from kefu.cli import kb
from kefu.errors import InvalidFile
from kefu.settings import Settings
from tests.fakes import HashingEncoder

ROWS = "id,question,answer\nreturn,怎么退货？,点退货\ninvoice,怎么开发票？,点开票\n"


@pytest.fixture(autouse=True)
def fake_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kb, "resolve_encoder", lambda _: SimpleNamespace(path=Path("none")))
    monkeypatch.setattr(kb, "OnnxEncoder", lambda *_: HashingEncoder())
    monkeypatch.setattr(kb, "configure_logging", lambda _: structlog.reset_defaults())


@pytest.fixture
def run(settings: Settings) -> object:
    def run(*args: str, stdin: str = "") -> Result:
        return CliRunner().invoke(kb.app, args, obj=settings, input=stdin)

    return run


def ran(result: Result, code: int = 0) -> str:
    assert result.exit_code == code, result.output
    return result.stdout


def as_json(result: Result, code: int = 0) -> dict[str, object]:
    text = ran(result, code)
    return json.loads(text[text.index("{\n") :])


def test_import_says_what_changed(run, tmp_path: Path) -> None:
    file = tmp_path / "kb.csv"
    file.write_text(ROWS, "utf-8")
    assert "2 would be added" in ran(run("import", str(file), "--dry-run"))
    assert "2 added, 0 changed, 0 unchanged" in ran(run("import", str(file)))
    report = as_json(run("import", "-", "--json", stdin=ROWS.replace("点开票", "点申请")))
    assert report == {
        "added": 0,
        "changed": 1,
        "unchanged": 1,
        "version": 2,
        "dry_run": False,
        "notes": [],
    }


def test_a_bad_file_is_named_by_line(run) -> None:
    bad = ROWS + "x,,answer\n"
    found = as_json(run("import", "-", "--json", stdin=bad), code=2)
    assert found["problems"] == [{"line": 4, "column": "question", "reason": "is empty"}]
    result = run("import", "-", stdin=bad)
    assert isinstance(result.exception, InvalidFile)


def test_search_shows_what_is_found_and_decided(run) -> None:
    ran(run("import", "-", stdin=ROWS))
    assert "sure: answers with return" in ran(run("search", "怎么退货"))
    found = as_json(run("search", "怎么退货呢亲", "--json", "--limit", "1"))
    assert found["decision"] in ("sure", "passages")
    (match,) = found["matches"]
    assert (match["id"], match["answer"], match["exact"]) == ("return", "点退货", False)
    assert "nothing" in ran(run("search", "qwxz"))


def test_evaluate_prints_figures(run) -> None:
    ran(run("import", "-", stdin=ROWS))
    queries = "query,faq_id\n怎么退货,return\nqwxz,\n"
    result = as_json(run("evaluate", "-", "--json", stdin=queries))
    assert (result["hit_at_1"], result["wrong_sure_rate"], result["n"]) == (1.0, 0.0, 2)
    assert "hit_at_1         1.0000" in ran(run("evaluate", "-", stdin=queries))
