"""`bert.json`: these run without any optional package."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from kefu.bert.manifest import (
    MANIFEST,
    MODEL,
    TOKENIZER,
    is_exported,
    read_manifest,
    write_manifest,
)
from kefu.bert.session import BertSession
from kefu.errors import ModelCorrupt, ModelMissing


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "exported"
    made.mkdir()
    (made / MODEL).write_bytes(b"graph" * 100)
    (made / TOKENIZER).write_text("{}")
    write_manifest(made, "int8", ["a", "b"], 128)
    return made


def change(folder: Path, **values: object) -> None:
    content = json.loads((folder / MANIFEST).read_text("utf-8"))
    (folder / MANIFEST).write_text(json.dumps(content | values), "utf-8")


def test_reads_what_was_written(folder: Path) -> None:
    manifest = read_manifest(folder)
    assert (manifest.kind, manifest.labels, manifest.max_tokens) == ("int8", ["a", "b"], 128)
    assert is_exported(folder)


@pytest.mark.parametrize("name", ["nowhere", "."])
def test_a_folder_without_an_export_is_missing(tmp_path: Path, name: str) -> None:
    assert not is_exported(tmp_path / name)
    with pytest.raises(ModelMissing, match="kefu intent export"):
        BertSession(tmp_path / name, 1)


def test_a_truncated_model_is_corrupt(folder: Path) -> None:
    (folder / MODEL).write_bytes(b"graph" * 50)
    with pytest.raises(ModelCorrupt, match=r"model\.onnx.*only a part.*Export .* again"):
        BertSession(folder, 1)


@pytest.mark.parametrize("name", [MODEL, TOKENIZER])
def test_a_file_that_is_gone_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(ModelCorrupt, match=f"{name}.*not there"):
        BertSession(folder, 1)


def test_another_format_is_named(folder: Path) -> None:
    change(folder, format=2)
    with pytest.raises(ModelCorrupt, match="format 2 and this kefu reads 1"):
        BertSession(folder, 1)


@pytest.mark.parametrize(
    ("values", "where"),
    [
        ({"labels": ["only"]}, "labels"),
        ({"labels": "a"}, "labels"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"kind": "fp8"}, "kind"),
        ({"sha256": {}}, "not the file"),
        ({"more": 1}, "more"),
    ],
)
def test_what_does_not_fit_is_named(folder: Path, values: dict[str, object], where: str) -> None:
    change(folder, **values)
    with pytest.raises(ModelCorrupt, match=where):
        read_manifest(folder)


@pytest.mark.parametrize("content", ["", "{", "[]", "7", "\ud800".encode("utf-8", "surrogatepass")])
def test_what_is_no_manifest_is_corrupt(folder: Path, content: str | bytes) -> None:
    data = content.encode() if isinstance(content, str) else content
    (folder / MANIFEST).write_bytes(data)
    with pytest.raises(ModelCorrupt, match=r"bert\.json cannot be used"):
        read_manifest(folder)
