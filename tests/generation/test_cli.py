"""`kefu generate evaluate` with the real model."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kefu.generation.tasks import shop_tasks
from tests.e2e.desk_process import run_kefu

FEW = [task for task in shop_tasks() if task.id in ("zh-009", "en-001", "zh-004")]


@pytest.fixture
def tasks(tmp_path: Path) -> Path:
    path = tmp_path / "tasks.jsonl"
    path.write_text("".join(f"{task.model_dump_json()}\n" for task in FEW), "utf-8")
    return path


@pytest.fixture
def data_dir(tmp_path: Path, models_dir: Path) -> Path:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "models").symlink_to(models_dir, target_is_directory=True)
    return tmp_path / "data"


@pytest.mark.models
def test_people_and_programs_read_figures(data_dir: Path, tasks: Path):
    evaluate = ("--data-dir", data_dir, "generate", "evaluate", tasks, "--half", "all")
    said = run_kefu(*evaluate, "--errors", "3")
    assert said.returncode == 0, said.stderr
    assert all(word in said.stdout for word in ("guarded", "tokens/s", "unanswerable"))
    found = json.loads(run_kefu(*evaluate, "--prompt", "trained", "--json").stdout)
    assert (found["model"], found["style"]) == ("gemma-3-270m-desk", "trained")
    assert [answer["id"] for answer in found["answers"]] == [task.id for task in FEW]
    assert found["guarded"]["tasks"] == len(FEW)
    assert found["tokens_per_second"] > 0


def test_what_cannot_be_measured_is_said(data_dir: Path, tasks: Path, tmp_path: Path):
    evaluate = ("--data-dir", data_dir, "generate", "evaluate")
    refused = run_kefu(*evaluate, tasks, "--half", "third")
    assert refused.returncode == 2
    assert "--half is 'third'" in refused.stderr
    missing = run_kefu(*evaluate, tmp_path / "none.jsonl")
    assert missing.returncode == 2
    assert "cannot be read" in missing.stderr
    no_model = run_kefu(*evaluate, tasks, "--half", "all", "--model", tmp_path / "no.gguf")
    assert no_model.returncode == 1
    assert "no.gguf" in no_model.stderr
    bad = run_kefu(*evaluate, tasks, "--prompt", "poem")
    assert bad.returncode == 2
    assert "completion, chat, trained" in bad.stderr
    no_adapter = run_kefu(*evaluate, tasks, "--adapter", tmp_path / "no.gguf")
    assert no_adapter.returncode == 2
    assert "no file" in no_adapter.stderr
