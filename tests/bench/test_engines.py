"""`kefu bench engines`: every engine has figures or says why not."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import psutil
import pytest
from typer.testing import CliRunner

from kefu.bench.engines.comparison import Cell, Report, Row, compare_engines, make_prompts
from kefu.bench.engines.picture import draw
from kefu.bench.engines.ways import Setting, _together
from kefu.cli import bench
from kefu.errors import InvalidInput, KefuError
from kefu.settings import GeneratorSettings, Settings
from tests.bert.small_models import installed
from tests.inference.generator.tiny_gguf import write_tiny_gguf


@pytest.fixture(autouse=True)
def others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval: 3.0)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


def setting(model: Path, parallel: int = 2) -> Setting:
    return Setting(model, threads=1, parallel=parallel, context_tokens=2048, gpu=False)


def test_figures_and_a_reason_where_there_are_none(tiny: Path):
    seen = []
    report = compare_engines(
        setting(tiny),
        streams=(1, 2),
        rounds=2,
        tokens=4,
        names=("llama-cpp-python", "kefu"),
        on_progress=lambda *told: seen.append(told),
    )
    missing, kefu = report.rows
    assert "pip install llama-cpp-python" in missing.missing
    assert missing.cells == ()
    assert [cell.streams for cell in kefu.cells] == [1, 2]
    assert all(cell.first_token_ms > 0 for cell in kefu.cells)
    assert all(cell.tokens_per_second > 0 for cell in kefu.cells)
    assert kefu.ready_seconds
    assert kefu.memory_mib
    assert kefu.memory_mib > 30
    assert seen[-1][0] == "kefu, 2 at once"
    assert not [p for p in psutil.Process().children(recursive=True) if p.is_running()]


def test_an_engine_that_cannot_open_the_model_says_so(tmp_path: Path):
    model = setting(tmp_path / "none.gguf")
    (row,) = compare_engines(model, streams=(1,), rounds=1, names=("kefu",)).rows
    assert "none.gguf" in row.missing
    assert row.cells == ()


def test_an_engine_that_breaks_down_is_named(tiny: Path):
    with pytest.raises(KefuError, match="nobody"):
        compare_engines(setting(tiny), streams=(1,), rounds=1, names=("nobody",))


@pytest.mark.models
def test_pytorch_writes_the_same_model(models_dir: Path):
    installed("torch", "transformers", "accelerate")
    (model,) = (models_dir / "gemma-3-270m-kefu").glob("*.gguf")
    report = compare_engines(
        setting(model), streams=(1, 2), rounds=1, tokens=4, names=("transformers", "kefu")
    )
    pytorch, kefu = report.rows
    assert pytorch.missing == ""
    assert [cell.streams for cell in pytorch.cells] == [1, 2]
    assert all(cell.first_token_ms > 0 for cell in pytorch.cells)
    assert pytorch.memory_mib
    assert kefu.memory_mib
    assert pytorch.memory_mib > kefu.memory_mib  # its weights are unpacked


def test_prompts_are_all_different_and_come_again():
    prompts = make_prompts(50)
    assert len(set(prompts)) == 50
    assert prompts == make_prompts(50)
    assert all(prompt.startswith("资料：") and prompt.endswith("客服：") for prompt in prompts)


def test_prompts_are_written_at_the_same_time():
    both = threading.Barrier(2, timeout=10)

    def write(prompt: str, tokens: int, on_token: object) -> None:
        both.wait()
        for _ in range(tokens if prompt == "long" else 1):
            on_token()  # type: ignore[operator]  # a callable, which the test does not import

    long, short = _together(write)(["long", "short"], 3)
    assert (long.tokens, short.tokens) == (3, 1)
    assert 0 < long.first <= long.seconds


def run(settings: Settings, *arguments: str) -> str:
    result = CliRunner().invoke(bench.app, ["engines", *arguments], obj=settings)
    if isinstance(result.exception, KefuError):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.output


def test_people_and_programs_read_figures(settings: Settings, tiny: Path):
    given = settings.model_copy(update={"generator": GeneratorSettings(model=str(tiny))})
    few = ("--streams", "1", "--rounds", "1", "--tokens", "2", "--cpu")
    said = run(given, *few)
    assert "tokens/s" in said
    assert "Not measured: llama-cpp-python" in said
    found = json.loads(run(given, *few, "--json"))
    assert [row["name"] for row in found["rows"]] == ["transformers", "llama-cpp-python", "kefu"]
    assert found["rows"][-1]["cells"][0]["streams"] == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--streams", "0"], "the least is 1"),
        (["--streams", "a"], "write numbers"),
        (["--out", "x.pdf"], "ends in .png or .svg"),
        (["--model", "http://localhost:1/v1"], "is a server"),
    ],
)
def test_what_cannot_be_measured_is_said(
    settings: Settings, tiny: Path, arguments: list[str], message: str
):
    given = settings.model_copy(update={"generator": GeneratorSettings(model=str(tiny))})
    with pytest.raises(InvalidInput, match=message):
        run(given, *arguments)


def test_the_picture_has_every_engine_that_was_measured(tmp_path: Path):
    cells = (Cell(1, 20.0, 60.0), Cell(4, 50.0, 90.0))
    rows = (
        Row("transformers", "", 1.0, 900.0, cells),
        Row("llama-cpp-python", "is not installed"),
        Row("kefu", "", 1.0, 300.0, cells),
    )
    report = Report({"cpu": "a CPU"}, "m.gguf", 2, 5, 48, 300.0, rows)
    draw(report, tmp_path / "p.svg")
    drawn = (tmp_path / "p.svg").read_text("utf-8")
    assert "<!-- kefu -->" in drawn
    assert "<!-- transformers -->" in drawn
    assert "llama-cpp-python" not in drawn
    with pytest.raises(InvalidInput, match="cannot be written"):
        draw(report, tmp_path / "none" / "p.svg")
