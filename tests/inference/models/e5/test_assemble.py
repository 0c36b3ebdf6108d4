from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kefu.errors import ModelCorrupt
from kefu.inference.models import load_catalogue
from kefu.inference.models.e5.assemble import (
    Assembled,
    assemble_pairs,
    assemble_reader,
    shipped_graph,
    write_tensors,
)
from kefu.inference.models.e5.e5_file import E5File
from kefu.inference.models.e5.layout import (
    LARGEST_CODE,
    MAX_TOKENS,
    READER_TOKENS,
    Tensor,
    layout,
    quantised,
    reader_layout,
)

from .small_e5 import KEPT, PIECES, PLACES, SCORES, SIZES, SmallE5


def made(small: SmallE5, graph: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    folder.mkdir()
    assemble_pairs(small.path, folder, graph=graph)
    return folder


def stored(folder: Path, tensor: Tensor) -> np.ndarray:
    data = (folder / "weights.bin").read_bytes()[tensor.begin : tensor.begin + tensor.size]
    return np.frombuffer(data, tensor.kind).reshape(tensor.shape)


def test_tensors_lie_where_the_layout_says(small: SmallE5, graph: Path, tmp_path: Path) -> None:
    folder = made(small, graph, tmp_path)
    for number in (0, 1):
        weights = np.concatenate([small.matrix(f"l{number}.{part}.w") for part in "qkv"])
        codes = stored(folder, PLACES[f"{number}.query_key_value.codes"])
        scales = stored(folder, PLACES[f"{number}.query_key_value.scales"])
        assert np.abs(codes.T * scales[:, None] - weights).max() <= scales.max() / 2 * 1.001
    for name, old in (("0.inner.bias", "l0.fi.b"), ("1.norm.bias", "l1.oln.b")):
        np.testing.assert_array_equal(stored(folder, PLACES[name]), small.numbers[old])
    gain = stored(folder, PLACES["norm.gain"])
    np.testing.assert_allclose(gain, small.numbers["emb.ln.w"] * math.sqrt(64), rtol=1e-6)
    positions = small.numbers["emb.pos"][:MAX_TOKENS] + small.numbers["emb.type"][0]
    np.testing.assert_array_equal(stored(folder, PLACES["positions"]), positions)
    assert (folder / "model.onnx").read_bytes() == b"a graph"


def test_kept_rows_keep_their_weights(small: SmallE5, graph: Path, tmp_path: Path) -> None:
    folder = made(small, graph, tmp_path)
    pairs = stored(folder, PLACES["tokens.codes"])
    codes = np.stack([pairs & 15, pairs >> 4], axis=2).reshape(len(KEPT), 64)
    scales = np.repeat(stored(folder, PLACES["tokens.scales"]), 32, axis=1)
    rows = (codes.astype(np.float32) - 8) * scales
    np.testing.assert_array_equal(rows, small.matrix("emb.word")[KEPT])


def test_pieces_are_listed_with_scores_that_read_back(
    small: SmallE5, graph: Path, tmp_path: Path
) -> None:
    lines = (made(small, graph, tmp_path) / "pieces.tsv").read_text("utf-8").splitlines()
    rows = [line.split("\t") for line in lines]
    assert [piece for piece, _ in rows] == [PIECES[number] for number in KEPT]
    np.testing.assert_array_equal(np.array([s for _, s in rows], np.float32), SCORES[KEPT])


def test_same_bytes_each_time_and_progress_to_the_end(
    small: SmallE5, graph: Path, tmp_path: Path
) -> None:
    done: list[tuple[int, int]] = []
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        report = assemble_pairs(small.path, tmp_path / name, lambda *now: done.append(now), graph)
        assert report == Assembled(pieces_before=12, pieces_after=9)
    first, second = (tmp_path / name / "weights.bin" for name in ("a", "b"))
    assert first.read_bytes() == second.read_bytes()
    assert done[-1] == (first.stat().st_size, first.stat().st_size)


def test_codes_take_seven_bits_and_no_row_of_zeros_divides_by_zero() -> None:
    weights = np.array([[1.0, -0.5, 0.0], [0.0, 0.0, 0.0]], np.float32)
    codes, scales = quantised(weights)
    np.testing.assert_array_equal(codes, [[LARGEST_CODE, 0], [-LARGEST_CODE // 2, 0], [0, 0]])
    np.testing.assert_allclose(codes.T * scales[:, None], weights)


def test_a_tensor_of_another_shape_is_refused(small: SmallE5, tmp_path: Path) -> None:
    places = layout(replace(SIZES, layers=3), len(KEPT))
    with pytest.raises(ModelCorrupt, match=r"tensor 2\.query_key_value\.codes is missing"):
        write_tensors(places, E5File(small.path), KEPT, tmp_path / "w", lambda done, total: None)


def write_learnt(path: Path, **changes: np.ndarray) -> Path:
    """For the first layer's queries, keys and values, and for the head."""
    chance = np.random.default_rng(3)
    arrays = {
        "0.query_key_value.a": chance.standard_normal((2, 64)).astype(np.float16),
        "0.query_key_value.b": chance.standard_normal((192, 2)).astype(np.float16),
        "head.weights": chance.standard_normal((64, 1)).astype(np.float32),
        "head.bias": np.array([-2], np.float32),
    }
    np.savez(path, **(arrays | changes))
    return path


def test_a_reader_has_what_was_learnt_in_its_weights_and_a_head(
    small: SmallE5, tmp_path: Path
) -> None:
    learnt = write_learnt(tmp_path / "learnt.npz")
    (tmp_path / "made").mkdir()
    assemble_reader(small.path, tmp_path / "made", learnt)
    places = {place.name: place for place in reader_layout(SIZES, len(KEPT))}
    arrays = np.load(learnt)
    weights = np.concatenate([small.matrix(f"l0.{part}.w") for part in "qkv"])
    weights = weights + arrays["0.query_key_value.b"].astype(float) @ arrays["0.query_key_value.a"]
    codes = stored(tmp_path / "made", places["0.query_key_value.codes"])
    scales = stored(tmp_path / "made", places["0.query_key_value.scales"])
    assert np.abs(codes.T * scales[:, None] - weights).max() <= scales.max() / 2 * 1.001
    for name in ("head.weights", "head.bias"):
        np.testing.assert_array_equal(stored(tmp_path / "made", places[name]), arrays[name])
    same = small.matrix("l1.fi.w")
    codes = stored(tmp_path / "made", places["1.inner.codes"])
    scales = stored(tmp_path / "made", places["1.inner.scales"])
    assert np.abs(codes.T * scales[:, None] - same).max() <= scales.max() / 2 * 1.001
    positions = stored(tmp_path / "made", places["positions"])
    assert positions.shape == (READER_TOKENS, 64)


def test_an_adapter_that_does_not_fit_is_refused(small: SmallE5, tmp_path: Path) -> None:
    (tmp_path / "made").mkdir()
    (tmp_path / "none.npz").write_bytes(b"no arrays")
    with pytest.raises(ModelCorrupt, match="not an adapter"):
        assemble_reader(small.path, tmp_path / "made", tmp_path / "none.npz")
    wide = write_learnt(tmp_path / "wide.npz", **{"head.weights": np.zeros((65, 1), np.float32)})
    with pytest.raises(ModelCorrupt, match=r"tensor head\.weights is float32 \(65, 1\)"):
        assemble_reader(small.path, tmp_path / "made", wide)
    other = write_learnt(tmp_path / "other.npz", **{"0.query_key_value.a": np.zeros((2, 65))})
    with pytest.raises(ModelCorrupt, match="query_key_value"):
        assemble_reader(small.path, tmp_path / "made", other)


@pytest.mark.parametrize(
    ("name", "graph"),
    [("multilingual-e5-small-kefu", "pairs"), ("multilingual-e5-small-reader", "reader")],
)
def test_what_we_ship_is_in_the_catalogue(name: str, graph: str) -> None:
    model = load_catalogue().get(name)
    content = shipped_graph(graph).read_bytes()
    assert model.files[0].size_bytes == len(content)
    assert model.files[0].sha256 == hashlib.sha256(content).hexdigest()
