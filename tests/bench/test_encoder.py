"""`kefu bench encoder`: every row has figures or says why not."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import psutil
import pytest
from click.testing import Result
from typer.testing import CliRunner

from kefu.bench import variants
from kefu.bench.encoder import Cell, Report, Row, compare_encoders
from kefu.bench.picture import draw
from kefu.bench.variants import EAGER, OWN
from kefu.cli import bench
from kefu.errors import InvalidInput, ModelCorrupt, ModelMissing
from kefu.settings import Settings
from tests.bert.small_models import installed, make_bert
from tests.fakes import HashingEncoder

SMALL = {"threads": 1, "batches": (1, 3), "tokens": (5, 12), "rounds": 1}
NAMES = [EAGER, "torch.jit.trace", "torch.compile", "ONNX fp32", "ONNX int8", OWN]


@pytest.fixture(autouse=True)
def others(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """What other programs take of the processors: nobody looks for a second at each test."""
    taken = [3.0]
    monkeypatch.setattr(psutil, "cpu_percent", lambda interval: taken[0])
    return taken


@pytest.fixture
def bert(tmp_path: Path) -> Path:
    installed("torch", "transformers", "onnx")
    return make_bert(tmp_path / "tiny-bert")


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without the optional packages."""
    for name in ("torch", "transformers", "onnx", "tokenizers", "matplotlib"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def run(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> object:
    monkeypatch.setattr(bench, "open_encoder", lambda *_: HashingEncoder())

    def run(*args: str) -> Result:
        return CliRunner().invoke(bench.app, ["encoder", *args], obj=settings)

    return run


def rows_of(report: Report) -> dict[str, Row]:
    return {row.name: row for row in report.rows}


def test_every_variant_answers_as_pytorch_does(bert: Path) -> None:
    told = []
    report = compare_encoders(
        bert, HashingEncoder, **SMALL, on_progress=lambda *progress: told.append(progress)
    )
    rows = rows_of(report)
    assert (list(rows), report.model) == (NAMES, "tiny-bert")
    assert told[-1] == ("measuring", 4, 4)

    shapes = [(1, 5), (3, 5), (1, 12), (3, 12)]
    measured = [row for row in rows.values() if not row.missing]
    for row in measured:
        assert [(cell.batch, cell.tokens) for cell in row.cells] == shapes
        assert all(0 < cell.median_ms <= cell.p95_ms for cell in row.cells)
        assert all(cell.speedup is not None for cell in row.cells)
    assert {cell.speedup for cell in rows[EAGER].cells} == {1.0}

    # torch.compile needs a C++ compiler, which not every machine has.
    for name in set(NAMES) - {"torch.compile"}:
        assert not rows[name].missing, rows[name].missing
    for name in ("torch.jit.trace", "ONNX fp32"):
        assert rows[name].max_difference == pytest.approx(0, abs=1e-4)
    assert rows["ONNX int8"].min_cosine > 0.9
    assert rows[OWN].min_cosine is None, "another model: nothing to compare"


def test_what_cannot_run_says_why(bert: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_compiler(*_: object) -> None:
        raise RuntimeError("\n  No C++ compiler found\nmore\n")

    monkeypatch.setattr(variants._Bert, "compiled", no_compiler)
    rows = rows_of(compare_encoders(bert, HashingEncoder, **SMALL))
    assert rows["torch.compile"].missing == "RuntimeError: No C++ compiler found"
    assert rows["ONNX int8"].cells


def test_a_model_that_is_too_short_says_so(bert: Path) -> None:
    rows = rows_of(compare_encoders(bert, HashingEncoder, **SMALL | {"tokens": (80,)}))
    assert "has 64 positions" in rows[EAGER].missing
    assert rows[OWN].cells


def test_a_folder_that_is_no_model_fails_at_once(tmp_path: Path) -> None:
    installed("torch", "transformers")
    with pytest.raises(ModelMissing, match="is not there"):
        compare_encoders(tmp_path / "nowhere", HashingEncoder, **SMALL)


@pytest.mark.usefixtures("bare")
def test_without_pytorch_the_rows_say_what_to_install(tmp_path: Path) -> None:
    rows = rows_of(compare_encoders(tmp_path, HashingEncoder, **SMALL))
    for name in NAMES[:-1]:
        assert "PyTorch is not installed: pip install 'kefu[train]'" in rows[name].missing
        assert rows[name].cells == ()
    assert len(rows[OWN].cells) == 4
    assert {cell.speedup for cell in rows[OWN].cells} == {None}


def test_without_a_model_the_rows_say_so() -> None:
    installed("torch", "transformers")
    rows = rows_of(compare_encoders(None, HashingEncoder, **SMALL))
    assert all("no model was given: --model DIR" in rows[name].missing for name in NAMES[:-1])
    assert rows[OWN].cells


def test_a_missing_encoder_of_kefu_says_so() -> None:
    def missing() -> HashingEncoder:
        raise ModelMissing("Fetch it: kefu models pull use-multilingual-v3")

    rows = rows_of(compare_encoders(None, missing, **SMALL))
    assert rows[OWN].missing.startswith("Fetch it")


def test_the_real_encoder_is_given_texts_of_about_the_length() -> None:
    asked = []

    class Spy(HashingEncoder):
        def encode(self, texts: list[str]) -> np.ndarray:
            asked.append([len(text.split()) for text in texts])
            assert len(set(texts)) == len(texts), "no two are alike"
            return super().encode(texts)

    compare_encoders(None, Spy, **SMALL)
    assert asked[:4] == [[5], [5] * 3, [12], [12] * 3]


def test_prints_a_table_and_json(run) -> None:
    args = ("--rounds", "1", "--batches", "2,1", "--tokens", "4")
    shown = run(*args)
    assert shown.exit_code == 0, shown.output
    assert OWN in shown.output
    assert "Not measured: PyTorch eager" in shown.output

    result = run(*args, "--json")
    found = json.loads(result.stdout)
    assert [row["name"] for row in found["rows"]] == NAMES
    assert {"cpu", "usable_cpus", "busy_percent", "versions"} <= set(found["machine"])
    own = found["rows"][-1]
    assert [(cell["batch"], cell["tokens"]) for cell in own["cells"]] == [(1, 4), (2, 4)]
    assert (found["threads"], found["rounds"]) == (1, 1)


def test_a_busy_machine_is_said(run, others: list[float]) -> None:
    args = ("--rounds", "1", "--batches", "1", "--tokens", "4")
    assert "quiet machine" not in run(*args).output
    others[0] = 55.0
    shown = " ".join(run(*args).output.split())
    assert "took 55% of the processors at the start: measure again on a quiet machine" in shown


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (("--batches", "1;2"), "write numbers with commas"),
        (("--batches", "0"), "the least is 1"),
        (("--tokens", "2"), "the least is 3"),
        (("--out", "picture.pdf"), "ends in .png or .svg"),
    ],
)
def test_wrong_options_are_named(run, args: tuple[str, ...], said: str) -> None:
    result = run(*args)
    assert isinstance(result.exception, InvalidInput)
    assert said in str(result.exception)


@pytest.mark.usefixtures("bare")
def test_a_missing_matplotlib_is_said_and_is_no_failure(run, tmp_path: Path) -> None:
    out = tmp_path / "picture.png"
    result = run("--rounds", "1", "--batches", "1", "--tokens", "4", "--out", str(out))
    assert result.exit_code == 0, result.output
    assert "matplotlib is not installed: pip install 'kefu[bench]'" in result.stderr
    assert not out.exists()


def report_of(*names: str) -> Report:
    cells = tuple(
        Cell(batch, tokens, batch * tokens / 2, batch * tokens, 100.0, None)
        for tokens in (12, 32)
        for batch in (1, 8)
    )
    rows = [Row(name, name != OWN, cells=cells if name in names else ()) for name in NAMES]
    return Report({"cpu": "a processor"}, "a model", 1, 1, tuple(rows))


@pytest.mark.parametrize("names", [NAMES, [OWN]])
@pytest.mark.parametrize(("suffix", "begins"), [(".png", b"\x89PNG"), (".svg", b"<?xml")])
def test_draws_what_was_measured(
    tmp_path: Path, names: list[str], suffix: str, begins: bytes
) -> None:
    installed("matplotlib")
    path = tmp_path / f"picture{suffix}"
    draw(report_of(*names), path)
    assert path.read_bytes().startswith(begins)


def test_a_picture_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    installed("matplotlib")
    with pytest.raises(InvalidInput, match="cannot be written"):
        draw(report_of(OWN), tmp_path / "nowhere" / "picture.png")


def test_the_command_imports_none_of_the_optional_packages() -> None:
    """onnxruntime-extensions imports PyTorch where onnx is installed, so it is left out here."""
    code = (
        "import sys\n"
        "sys.modules['onnxruntime_extensions'] = type(sys)('left_out')\n"
        "import kefu.cli.bench\n"
        "print([name for name in ('torch', 'transformers', 'matplotlib') if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"


def test_corrupt_weights_are_said_in_the_row(bert: Path) -> None:
    weights = bert / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:100])
    rows = rows_of(compare_encoders(bert, HashingEncoder, **SMALL))
    assert ModelCorrupt.__name__ not in rows[EAGER].missing
    assert "cannot be loaded" in rows[EAGER].missing
