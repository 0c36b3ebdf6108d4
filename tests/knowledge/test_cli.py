"""`kefu kb`: what people and programs read."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import structlog
from click.testing import Result
from typer.testing import CliRunner

from kefu.cli import kb, kb_opened
from kefu.errors import InvalidFile, InvalidInput, NotFound
from kefu.settings import Settings
from tests.fakes import HashingEncoder

ROWS = "id,question,answer\nreturn,怎么退货？,点退货\ninvoice,怎么开发票？,点开票\n"


@pytest.fixture(autouse=True)
def fake_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kb_opened, "open_encoder", lambda *_: HashingEncoder())
    monkeypatch.setattr(kb_opened, "configure_logging", lambda _: structlog.reset_defaults())


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
        "removed": 0,
        "kept": 0,
        "version": 2,
        "dry_run": False,
        "notes": [],
        "skipped": [],
        "sources": [
            {"source": "", "added": 0, "changed": 1, "unchanged": 1, "removed": 0, "kept": 0}
        ],
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
    assert "hit_at_1               1.0000" in ran(run("evaluate", "-", stdin=queries))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "docs"
    (folder / "sub").mkdir(parents=True)
    (folder / "faq.csv").write_text(ROWS, "utf-8")
    (folder / "sub" / "a.md").write_text("# 退货政策\n\n七天内可以退货。\n", "utf-8")
    (folder / "photo.png").write_bytes(b"x")
    return folder


def test_a_folder_is_imported_with_a_look_before(run, folder: Path) -> None:
    preview = run("import", str(folder), "--dry-run")
    assert "3 would be added" in ran(preview)
    assert "退货政策" in preview.stdout
    assert "photo.png" in preview.stderr
    report = as_json(run("import", str(folder), "--json"))
    assert (report["added"], [item["name"] for item in report["skipped"]]) == (3, ["photo.png"])
    (folder / "sub" / "a.md").write_text("# 退货政策\n\n十五天内可以退货。\n", "utf-8")
    assert "0 added, 1 changed, 2 unchanged." in ran(run("import", str(folder)))


def test_one_bad_file_stops_all_unless_it_may_be_left_out(run, folder: Path) -> None:
    (folder / "bad.pdf").write_bytes(b"no pdf")
    (folder / "bad.csv").write_text("question,answer\nq,\n", "utf-8")
    found = as_json(run("import", str(folder), "--json"), code=2)
    assert "2 files cannot be imported. Nothing was changed" in found["error"]
    assert "bad.pdf is no PDF" in found["error"]
    assert "line 2, answer: is empty" in found["error"]
    assert as_json(run("list", "--json"))["total"] == 0
    report = as_json(run("import", str(folder), "--skip-bad", "--json"))
    assert report["added"] == 3
    assert {item["name"] for item in report["skipped"]} == {"photo.png", "bad.pdf", "bad.csv"}


def test_rows_that_are_gone_are_named_and_removed_on_demand(run, tmp_path: Path) -> None:
    file = tmp_path / "faq.csv"
    file.write_text(ROWS, "utf-8")
    ran(run("import", str(file)))
    file.write_text(ROWS.replace("invoice,怎么开发票？,点开票\n", ""), "utf-8")
    assert "1 entries are gone from faq.csv and stay" in ran(run("import", str(file)))
    assert "1 removed" in ran(run("import", str(file), "--replace"))


def test_a_page_of_the_own_network_needs_the_operators_word(run) -> None:
    result = run("import", "http://127.0.0.1:1/a")
    assert "--allow-private" in str(result.exception)


def test_entries_are_listed_shown_switched_and_deleted(run, folder: Path) -> None:
    ran(run("import", str(folder)))
    assert "2 of 2 entries" in ran(run("list", "--kind", "faq"))
    assert "点开票" in ran(run("show", "invoice"))
    assert as_json(run("show", "invoice", "--json"))["source"] == "faq.csv"
    assert "1 entry changed" in ran(run("disable", "invoice"))
    assert [e["id"] for e in as_json(run("list", "--disabled", "--json"))["entries"]] == ["invoice"]
    assert as_json(run("enable", "invoice", "--json")) == {"changed": 1}
    assert "sub/a.md" in ran(run("sources"))
    assert "1 entry removed" in ran(run("delete", "invoice"))
    assert as_json(run("delete", "--source", "sub/a.md", "--json")) == {"removed": 1}
    assert [s["source"] for s in as_json(run("sources", "--json"))["sources"]] == ["faq.csv"]
    for args in (("show", "none"), ("delete", "none"), ("enable", "none")):
        assert isinstance(run(*args).exception, NotFound)
    assert isinstance(run("delete").exception, InvalidInput)
