"""The file of a head is read back as it was written, or refused with a reason."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kefu.errors import InvalidInput, ModelCorrupt, ModelMissing
from kefu.moderation.head_file import load_head
from kefu.moderation.training import save
from tests.fakes import HashingEncoder
from tests.moderation.small_heads import examples, trained

TEXTS = [*(example.text for example in examples()), "", "𝒳" * 600]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    save(trained(), tmp_path / "heads" / "head.npz")
    return tmp_path / "heads" / "head.npz"


def rewrite(path: Path, change: Callable[[dict[str, Any]], None]) -> None:
    with np.load(path) as found:
        arrays = {name: found[name] for name in found.files}
    change(arrays)
    np.savez(path, **arrays)


def about_with(**changes: object) -> Callable[[dict[str, Any]], None]:
    def change(arrays: dict[str, Any]) -> None:
        data = {**json.loads(arrays["about"].tobytes()), **changes}
        arrays["about"] = np.frombuffer(json.dumps(data).encode(), np.uint8)

    return change


def test_what_is_read_back_says_exactly_the_same(path: Path):
    head, about = load_head(path)
    made = trained()
    for text, vector in zip(TEXTS, HashingEncoder().encode(TEXTS), strict=True):
        assert head.scores(text, vector) == made.head.scores(text, vector)
    assert head.thresholds == made.head.thresholds == about.thresholds
    assert about.figures == made.figures
    assert (about.encoder_id, about.examples) == (HashingEncoder.id, len(examples()))
    assert about.trained_on == made.data_sha256


def test_a_file_is_replaced_and_nothing_is_left_beside_it(path: Path):
    path.write_bytes(b"older")
    save(trained(), path)
    load_head(path)
    assert list(path.parent.iterdir()) == [path]


def test_a_place_that_cannot_be_written(tmp_path: Path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(InvalidInput, match="Cannot write"):
        save(trained(), tmp_path / "file" / "head.npz")


def test_no_file(tmp_path: Path):
    with pytest.raises(ModelMissing, match="kefu moderation train"):
        load_head(tmp_path / "head.npz")


@pytest.mark.parametrize("cut", [0, 1, 1000, -1000])
def test_a_torn_copy(path: Path, cut: int):
    path.write_bytes(path.read_bytes()[:cut])
    with pytest.raises(ModelCorrupt, match="is damaged"):
        load_head(path)


def test_something_else(path: Path):
    for content in (b"PK\x05\x06" + bytes(18), b"text", _pickled()):
        path.write_bytes(content)
        with pytest.raises(ModelCorrupt, match="is damaged"):
            load_head(path)


def _pickled() -> bytes:
    """Reading this would run code; it must not be read."""
    file = io.BytesIO()
    np.save(file, np.array([object()], dtype=object), allow_pickle=True)
    return file.getvalue()


def _other_number(arrays: dict[str, Any]) -> None:
    arrays["bias"] = arrays["bias"] + 1


def _no_wording(arrays: dict[str, Any]) -> None:
    del arrays["of_wording"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (_other_number, "not those that were written"),
        (_no_wording, "not those that were written"),
        (about_with(format=99), "in format 99; this kefu"),
        (about_with(examples="many"), "examples: Input should be a valid integer"),
        (about_with(categories=["abuse"]), "do not fit together"),
    ],
)
def test_a_file_that_was_changed(path: Path, change: Callable[[dict[str, Any]], None], said: str):
    rewrite(path, change)
    with pytest.raises(ModelCorrupt, match=said):
        load_head(path)


def test_a_vector_of_another_encoder_is_refused(path: Path):
    head, _ = load_head(path)
    with pytest.raises(ValueError, match="a vector of 128 is needed"):
        head.scores("你好", np.zeros(64, np.float32))
