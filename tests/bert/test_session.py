"""The classifier at work, on a graph made here: needs onnx and tokenizers, not PyTorch."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from kefu.bert.manifest import MANIFEST, MODEL, TOKENIZER, write_manifest
from kefu.bert.session import BertSession
from kefu.errors import ModelCorrupt
from tests.bert.small_models import WORDS, installed, make_session_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    installed("onnx", "tokenizers")
    return make_session_folder(tmp_path / "exported")


def texts_of_all_lengths() -> list[str]:
    return [" ".join(WORDS[: 1 + (number * 7) % 16]) for number in range(40)]


def test_says_what_it_is(folder: Path) -> None:
    session = BertSession(folder, 1)
    assert (session.labels, session.max_tokens, session.kind) == (("a", "b", "c"), 16, "fp32")
    assert session.id.startswith("bert-")
    assert session.id.endswith("-16")


def test_rows_come_back_in_order_whatever_their_lengths(folder: Path) -> None:
    session, texts = BertSession(folder, 1), texts_of_all_lengths()
    together = session.logits(texts)
    alone = np.vstack([session.logits([text]) for text in texts])
    assert together.shape == (40, 3)
    assert together.dtype == np.float32
    np.testing.assert_allclose(together, alone, atol=1e-4)
    assert len({tuple(row) for row in together.round(4)}) > 10


def test_takes_any_text(folder: Path) -> None:
    session = BertSession(folder, 1)
    odd = ["", " ", "\x00", "\ud800", "?" * 100_000, "𠮷", "return " * 5000]
    assert np.isfinite(session.logits(odd)).all()
    assert session.logits([]).shape == (0, 3)
    np.testing.assert_array_equal(
        session.logits(["return " * 5000]), session.logits(["return " * 16])
    )


def test_serves_several_threads(folder: Path) -> None:
    session, texts = BertSession(folder, 1), texts_of_all_lengths()
    expected = session.logits(texts)
    with ThreadPoolExecutor(4) as threads:
        for found in threads.map(lambda _: session.logits(texts), range(20)):
            np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("content", [b"", b"not a graph", b"\x80\x04\x95pickle"])
def test_a_model_that_is_no_graph_is_corrupt(folder: Path, content: bytes) -> None:
    (folder / MODEL).write_bytes(content)
    write_manifest(folder, "fp32", ["a", "b", "c"], 16)
    with pytest.raises(ModelCorrupt, match=r"model\.onnx cannot be used"):
        BertSession(folder, 1)


def test_a_tokeniser_that_is_none_is_corrupt(folder: Path) -> None:
    (folder / TOKENIZER).write_text(json.dumps({"model": "?"}))
    write_manifest(folder, "fp32", ["a", "b", "c"], 16)
    with pytest.raises(ModelCorrupt, match=r"tokenizer\.json cannot be used"):
        BertSession(folder, 1)


def test_labels_that_are_not_the_graphs_are_found(folder: Path) -> None:
    write_manifest(folder, "fp32", ["a", "b"], 16)
    with pytest.raises(ModelCorrupt, match="two texts and 2 labels"):
        BertSession(folder, 1)


def test_a_vocabulary_that_is_not_the_graphs_is_found(folder: Path) -> None:
    tokenizer = json.loads((folder / TOKENIZER).read_text("utf-8"))
    tokenizer["model"]["vocab"]["a"] = 100_000
    (folder / TOKENIZER).write_text(json.dumps(tokenizer), "utf-8")
    write_manifest(folder, "fp32", ["a", "b", "c"], 16)
    with pytest.raises(ModelCorrupt, match="does not run"):
        BertSession(folder, 1)
    assert (folder / MANIFEST).is_file()
