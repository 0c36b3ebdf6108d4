"""What every sentence encoder does: the real one in process, and the same on a real Triton."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from kefu.inference.encoder.onnx import MAX_CHARACTERS, OnnxEncoder
from kefu.inference.encoder.opening import open_encoder
from kefu.inference.encoder.protocol import SentenceEncoder
from kefu.inference.encoder.triton.encoder import TritonEncoder
from kefu.settings import load_settings

pytestmark = pytest.mark.models

ODD = [
    "",
    " ",
    "\x00",
    "a\x00b\x00",
    "\ud800",
    "😀",
    "中" * 4000,
    "a" * 100_000,
    "正常的问题",
    "🏕" * 600,
]


@pytest.fixture(scope="module")
def own(models_dir: Path) -> OnnxEncoder:
    return OnnxEncoder(models_dir / "use-multilingual-v3" / "model.onnx", threads=1)


@pytest.fixture(scope="module", params=["here", "http", "grpc"])
def encoder(
    request: pytest.FixtureRequest, own: OnnxEncoder, models_dir: Path
) -> Iterator[SentenceEncoder]:
    if request.param == "here":
        yield own
        return
    url = request.getfixturevalue("triton").url(request.param)
    opened = open_encoder(load_settings({"data_dir": models_dir.parent, "encoder": {"url": url}}))
    assert isinstance(opened, TritonEncoder)
    yield opened
    opened.close()


def test_vectors_have_length_one_and_likeness(encoder: SentenceEncoder) -> None:
    zh, en, other = encoder.encode(["怎么申请退货？", "How do I return an item?", "今天天气很好"])
    assert zh.shape == (encoder.dimensions,) == (512,)
    assert zh.dtype == np.float32
    np.testing.assert_allclose([v @ v for v in (zh, en, other)], 1, rtol=1e-5)
    assert zh @ en > zh @ other + 0.3


def test_all_give_the_same_vectors(encoder: SentenceEncoder, own: OnnxEncoder) -> None:
    """Each text in the same company: the graph's int8 scales are those of the run. What is left is
    the last bit of a float, as the norms are of two releases of numpy."""
    texts = [*ODD, *(f"第{number}个问题，关于退货" * (number % 7) for number in range(90))]
    assert encoder.id == own.id
    np.testing.assert_allclose(encoder.encode(texts), own.encode(texts), atol=1e-6)


def test_no_text_can_fail_a_batch(encoder: SentenceEncoder) -> None:
    vectors = encoder.encode(ODD)
    assert vectors.shape == (len(ODD), 512)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, rtol=1e-5)
    for text in ODD:
        assert np.isfinite(encoder.encode([text])).all()
    assert encoder.encode([]).shape == (0, 512)


def test_a_long_text_is_cut(encoder: SentenceEncoder) -> None:
    text = "我想退货" * 200
    cut, whole = (encoder.encode([t])[0] for t in (text[:MAX_CHARACTERS], text))
    np.testing.assert_array_equal(cut, whole)


def test_a_batch_changes_a_vector_only_a_little(encoder: SentenceEncoder) -> None:
    texts = [
        "你好",
        "怎么退货",
        "How do I get an invoice?",
        "我昨天买的锅今天到了发现裂了" * 10,
    ] * 8
    together = encoder.encode(texts)
    alone = np.vstack([encoder.encode([text]) for text in texts])
    assert (together * alone).sum(axis=1).min() > 0.98


def test_threads_may_share_it(encoder: SentenceEncoder) -> None:
    """Who asks at the same time goes into one run at a server, which changes vectors a little."""
    texts = [f"第{number}个问题" for number in range(80)]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda text: encoder.encode([text])[0], texts))
    alone = np.vstack([encoder.encode([text]) for text in texts])
    likeness = np.stack(found) @ alone.T
    assert likeness.diagonal().min() > 0.98
    assert (likeness.argmax(axis=1) == np.arange(len(texts))).mean() > 0.9
