"""`kefu models export-triton`. That a real Triton serves what it writes: test_contract.py."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Never

import pytest

from kefu.inference.encoder.triton import repository as exporting
from kefu.settings import Settings
from tests.command_line import Run, commands

pytestmark = pytest.mark.models

NAME = "use-multilingual-v3-b8b05b01f0861094-512"
FILES = ["1/model.onnx", "1/model.py", "config.pbtxt"]


@pytest.fixture
def run(settings: Settings, models_dir: Path) -> Iterator[Run]:
    settings.data_dir.mkdir()
    (settings.data_dir / "models").symlink_to(models_dir, target_is_directory=True)
    with commands(settings.data_dir, "models", "export-triton") as run:
        yield run


def files_in(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def no_room(*_: object) -> Never:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_it_writes_a_model_and_says_what_to_do_with_it(run: Run, tmp_path: Path) -> None:
    repository = tmp_path / "new" / "repository"
    said = run(repository, "--instances", "3").ok()
    assert f"tritonserver --model-repository={repository}" in said
    assert "KEFU_ENCODER__URL=http://HOST:8000" in said
    assert files_in(repository / NAME) == FILES
    config = (repository / NAME / "config.pbtxt").read_text("utf-8")
    assert f'name: "{NAME}"' in config
    assert "count: 3" in config
    assert "dims: [ 512 ]" in config
    assert [path.name for path in repository.parent.iterdir()] == ["repository"]
    # Triton runs as another user.
    assert (repository / NAME).stat().st_mode & 0o777 == 0o777 & ~_umask()


def test_what_is_there_is_replaced_only_when_asked(run: Run, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    run(tmp_path, "--json").ok()
    run(tmp_path, "--instances", "2").failed(2, NAME, "--force")
    made = run(tmp_path, "--instances", "2", "--force", "--json").json()
    assert (made["name"], made["id"]) == (NAME, "onnx-b8b05b01f0861094-512")
    assert "count: 2" in (tmp_path / NAME / "config.pbtxt").read_text("utf-8")
    assert files_in(tmp_path / NAME) == FILES
    assert (tmp_path / "other").is_dir()


def test_on_another_disk_the_file_is_copied(
    run: Run, tmp_path: Path, models_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    monkeypatch.setattr(exporting.os, "link", refuse)
    made = run(tmp_path / "repository", "--json").json()
    assert made["linked"] is False
    copy = Path(made["path"]) / "1" / "model.onnx"
    original = models_dir / "use-multilingual-v3" / "model.onnx"
    assert copy.read_bytes() == original.read_bytes()
    assert not copy.samefile(original)


@pytest.mark.parametrize("step", ["copy_stream", "sync_file", "rename"])
def test_what_fails_leaves_what_was_there(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    repository = tmp_path / "repository"
    run(repository).ok()
    monkeypatch.setattr(exporting.os, "link", no_room)
    if step == "rename":
        rename = Path.rename

        def refuse_new(path: Path, target: Path) -> Path:
            new = path.parent.name.endswith(".export") and not path.name.endswith(".old")
            return no_room() if new else rename(path, target)

        monkeypatch.setattr(Path, "rename", refuse_new)
    else:
        monkeypatch.setattr(exporting, step, no_room)
    run(repository, "--instances", "2", "--force").failed(1, "No space left")
    assert files_in(repository / NAME) == FILES
    assert "count: 1" in (repository / NAME / "config.pbtxt").read_text("utf-8")
    assert sorted(path.name for path in repository.iterdir()) == [NAME]
    assert not list(tmp_path.glob(".repository*"))


def test_within_the_repository_where_nothing_can_be_written_beside_it(
    run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository = tmp_path / "mounted" / "repository"
    access, swap_in, staged = os.access, exporting._swap_in, []

    def noted(made: Path, final: Path) -> None:
        staged.append(made.parent.parent)
        swap_in(made, final)

    monkeypatch.setattr(
        exporting.os,
        "access",
        lambda path, mode: path != tmp_path / "mounted" and access(path, mode),
    )
    monkeypatch.setattr(exporting, "_swap_in", noted)
    run(repository).ok()
    assert staged == [repository]
    assert sorted(path.name for path in repository.iterdir()) == [NAME]


def test_without_the_model_it_says_how_to_get_it(tmp_path: Path) -> None:
    with commands(tmp_path, "models", "export-triton") as run:
        run(tmp_path / "repository").failed(1, "kefu models pull use-multilingual-v3")
    assert not (tmp_path / "repository").exists()


def test_a_configuration_names_what_the_served_code_reads(run: Run, tmp_path: Path) -> None:
    made = json.loads(run(tmp_path / "repository", "--json").ok())
    config = (Path(made["path"]) / "config.pbtxt").read_text("utf-8")
    code = (Path(made["path"]) / "1" / "model.py").read_text("utf-8")
    assert "import kefu" not in code
    assert "from kefu" not in code
    for key in ("max_characters", "texts_per_run", "threads"):
        assert f'key: "{key}"' in config
        assert f'parameters["{key}"]' in code


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
