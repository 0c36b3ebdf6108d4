from __future__ import annotations

import json
from collections.abc import Callable
from io import StringIO
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner, Result

from kefu.cli.models import app
from kefu.cli.models_progress import Lines, shown_progress
from kefu.errors import SourceUnavailable
from kefu.inference.models import load_catalogue
from kefu.settings import Settings

from .making import entry

Write = Callable[[str], Path]


def run(settings: Settings, *arguments: str) -> Result:
    return CliRunner().invoke(app, arguments, obj=settings)


@pytest.fixture
def mine(data_dir: Path, write_catalogue: Write) -> bytes:
    (data_dir / "m.bin").write_bytes(b"weights")
    text = entry("mine", '"file:m.bin"', content=b"weights")
    write_catalogue(text.replace("[[model.files]]", 'licence_notice = "Be kind."\n[[model.files]]'))
    return b"weights"


def test_list_shows_all_and_what_is_in_use(settings: Settings) -> None:
    said = run(settings, "list").stdout
    assert all(name in said for name in load_catalogue().models)
    assert "missing, in use" in said
    rows = {row["name"]: row for row in json.loads(run(settings, "list", "--json").stdout)}
    assert rows["gemma-3-270m-desk"]["used"]
    assert rows["gemma-3-270m-desk"]["state"] == "missing"
    assert rows["gemma-3-270m"]["size_bytes"] == 253_281_381


def test_pull_shows_the_licence_then_the_path(settings: Settings, mine: bytes) -> None:
    result = run(settings, "pull", "mine")
    assert result.exit_code == 0
    assert "Be kind." in result.stderr
    assert str(settings.models_dir / "mine" / "model.bin") in result.stdout


def test_pull_for_programs_is_json_alone(settings: Settings, mine: bytes) -> None:
    result = run(settings, "pull", "mine", "--json")
    (pulled,) = json.loads(result.stdout)
    assert Path(pulled["path"]).read_bytes() == mine
    assert "Be kind." in result.stderr


def test_verify_finds_damage(settings: Settings, mine: bytes) -> None:
    run(settings, "pull", "mine")
    assert run(settings, "list", "--verify").exit_code == 0
    (settings.models_dir / "mine" / "model.bin").write_bytes(b"Weights")
    result = run(settings, "list", "--verify", "--json")
    assert result.exit_code == 1
    (row,) = [row for row in json.loads(result.stdout) if row["name"] == "mine"]
    assert row["state"] == "damaged"
    assert "SHA-256" in row["problem"]


def test_error_is_passed_on(settings: Settings, write_catalogue: Write) -> None:
    write_catalogue(entry("mine", '"file:gone"'))
    assert isinstance(run(settings, "pull", "mine").exception, SourceUnavailable)


def test_lines_come_now_and_then() -> None:
    out = StringIO()
    lines = Lines(Console(file=out))
    lines.step("begun")
    lines.advance("model.bin", 1_000_000, 3_000_000)
    lines.interval_seconds = 0
    lines._next_line = 0
    lines.advance("model.bin", 2_000_000, 3_000_000)
    assert out.getvalue().splitlines() == ["begun", "model.bin: 2 MB of 3 MB"]


def test_terminal_gets_a_bar() -> None:
    out = StringIO()
    console = Console(file=out, force_terminal=True, width=120, _environ={"TERM": "xterm"})
    with shown_progress(console) as progress:
        progress.advance("model.bin", 1_000_000, 3_000_000)
        progress.advance("other.bin", 1, 0)
        progress.step("done")
    assert "other.bin" in out.getvalue()
    assert "done" in out.getvalue()
