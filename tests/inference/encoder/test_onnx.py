"""The real encoder, and what happens without one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from kefu.errors import ModelCorrupt, ModelMissing
from kefu.inference.encoder.onnx import MAX_CHARACTERS, OnnxEncoder


@pytest.fixture(scope="module")
def encoder(models_dir: Path) -> OnnxEncoder:
    return OnnxEncoder(models_dir / "use-multilingual-v3" / "model.onnx", threads=1)


def test_a_missing_file_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="kefu models pull"):
        OnnxEncoder(tmp_path / "model.onnx", 1)


def test_a_file_that_is_no_model_is_named(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"not a model")
    with pytest.raises(ModelCorrupt, match=r"model\.onnx"):
        OnnxEncoder(path, 1)


@pytest.mark.models
def test_vectors_have_length_one_and_likeness(encoder: OnnxEncoder) -> None:
    zh, en, other = encoder.encode(["怎么申请退货？", "How do I return an item?", "今天天气很好"])
    assert zh.shape == (512,)
    assert zh.dtype == np.float32
    np.testing.assert_allclose([v @ v for v in (zh, en, other)], 1, rtol=1e-5)
    assert zh @ en > zh @ other + 0.3


@pytest.mark.models
def test_no_text_can_fail_a_batch(encoder: OnnxEncoder) -> None:
    odd = ["", " ", "\x00", "\ud800", "😀", "a" * 100_000, "正常的问题"]
    vectors = encoder.encode(odd)
    assert vectors.shape == (7, 512)
    assert np.isfinite(vectors).all()
    assert encoder.encode([]).shape == (0, 512)


@pytest.mark.models
def test_a_long_text_is_cut(encoder: OnnxEncoder) -> None:
    text = "我想退货" * 200
    cut, whole = (encoder.encode([t])[0] for t in (text[:MAX_CHARACTERS], text))
    np.testing.assert_array_equal(cut, whole)


@pytest.mark.models
def test_a_batch_changes_a_vector_only_a_little(encoder: OnnxEncoder) -> None:
    texts = [
        "你好",
        "怎么退货",
        "How do I get an invoice?",
        "我昨天买的锅今天到了发现裂了" * 10,
    ] * 8
    together = encoder.encode(texts)
    alone = np.vstack([encoder.encode([text]) for text in texts])
    assert (together * alone).sum(axis=1).min() > 0.98


@pytest.mark.models
def test_threads_may_share_it(encoder: OnnxEncoder) -> None:
    texts = [f"第{number}个问题" for number in range(40)]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: encoder.encode([text])[0], texts))
    for text, vector in zip(texts, found, strict=True):
        np.testing.assert_allclose(vector, encoder.encode([text])[0], atol=1e-5)


@pytest.mark.models
def test_the_id_names_the_file(encoder: OnnxEncoder, models_dir: Path) -> None:
    again = OnnxEncoder(models_dir / "use-multilingual-v3" / "model.onnx", 1)
    assert encoder.id == again.id
    assert encoder.id.startswith("onnx-b8b05b01f0861094")
