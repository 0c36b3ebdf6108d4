"""The encoder's file: its id, and what happens without one. What it computes: test_contract.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from kefu.errors import ModelCorrupt, ModelMissing
from kefu.inference.encoder.onnx import OnnxEncoder


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="kefu models pull"):
        OnnxEncoder(tmp_path / "model.onnx", 1)


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ModelCorrupt, match=r"model\.onnx"):
        OnnxEncoder(path, 1)


@pytest.mark.models
def test_the_id_names_the_file(models_dir: Path) -> None:
    encoder = OnnxEncoder(models_dir / "use-multilingual-v3" / "model.onnx", threads=1)
    assert encoder.id.startswith("onnx-b8b05b01f0861094")
