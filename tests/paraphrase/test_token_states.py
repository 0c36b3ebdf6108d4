"""The graph that kefu ships, with random weights against numpy, and with the real ones."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from kefu.errors import ModelCorrupt, ModelMissing
from kefu.inference.models.e5.layout import GRAPH, LAYERS, MAX_TOKENS, PIECES, WEIGHTS
from kefu.paraphrase.pieces import BEGIN, END, read_pieces
from kefu.paraphrase.token_states import TASK, TokenStates
from tests.paraphrase import numpy_network
from tests.paraphrase.numpy_network import NumpyNetwork, write_random_weights

NAME = "multilingual-e5-small-kefu"
LETTERS = "abcdefghijklmnopqrstuvwxyz:怎么退货可以取消订单吗"
TEXTS = ["怎么退货", "how to cancel an order", "a", "取消 订单", "可以退货吗"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped graph; random weights of the right shape; a piece for each of a few characters."""
    made = tmp_path_factory.mktemp("pairs") / NAME
    made.mkdir()
    graph = resources.files("kefu.inference.models.e5") / "pairs.onnx"
    (made / GRAPH).write_bytes(graph.read_bytes())
    write_random_weights(made)
    write_pieces(made, ["<s>", "<pad>", "</s>", "<unk>", "▁", *LETTERS], numpy_network.PIECES)
    return made


def write_pieces(folder: Path, pieces: list[str], count: int) -> None:
    """The rest are pieces that no text here has."""
    pieces = pieces + [f"unused{number}" for number in range(len(pieces), count)]
    (folder / PIECES).write_text("".join(f"{piece}\t-1.5\n" for piece in pieces), "utf-8")


@pytest.fixture(scope="module")
def model(folder: Path) -> TokenStates:
    return TokenStates(folder)


@pytest.fixture
def broken(folder: Path, tmp_path: Path) -> Path:
    """A copy to damage; the weights are the same file."""
    copy = tmp_path / NAME
    copy.mkdir()
    for name in (GRAPH, PIECES):
        shutil.copyfile(folder / name, copy / name)
    (copy / WEIGHTS).hardlink_to(folder / WEIGHTS)
    return copy


def is_close(found: np.ndarray, expected: np.ndarray) -> bool:
    """Directions that hardly differ."""
    return float(np.min(np.sum(found.astype(np.float32) * expected, axis=-1))) > 0.99


def test_the_graph_answers_as_numpy_does(folder: Path, model: TokenStates) -> None:
    pieces, network = read_pieces(folder / PIECES), NumpyNetwork(folder)
    task = pieces.ids(TASK, 99)
    for text, found in zip(TEXTS, model.of(TEXTS), strict=True):
        ids = pieces.ids(text, 99)
        states, vector = network.states([BEGIN, *task, *ids, END])
        begin = 1 + len(task)
        assert found.pieces == tuple(map(pieces.piece, ids))
        assert found.layers.shape == (len(LAYERS), len(ids), 384)
        assert is_close(found.layers, states[:, begin : begin + len(ids)])
        assert is_close(found.vector, vector)


def test_states_are_directions_and_differ_between_texts(model: TokenStates) -> None:
    found = model.of(TEXTS)
    for states in found:
        lengths = np.linalg.norm(states.layers.astype(np.float32), axis=2)
        np.testing.assert_allclose(lengths, 1, atol=2e-3)
    vectors = np.stack([states.vector for states in found])
    assert np.sort(vectors @ vectors.T, axis=1)[:, -2].max() < 0.999


def test_a_text_is_read_once_while_there_is_room(folder: Path, model: TokenStates) -> None:
    first, second = model.of([TEXTS[0]])[0], model.of([TEXTS[0]])[0]
    assert first is second
    room_for_one = TokenStates(folder, kept_bytes=first.nbytes + 100)
    one = room_for_one.of([TEXTS[0]])[0]
    assert room_for_one.of([TEXTS[0]])[0] is one
    room_for_one.of([TEXTS[2]])
    again = room_for_one.of([TEXTS[0]])[0]
    assert again is not one
    np.testing.assert_array_equal(again.layers, one.layers)


def test_no_text_can_fail(model: TokenStates) -> None:
    odd = ["", " ", "\x00", "\ud800", "😀", "a" * 100_000, "怎么退货" * 1000]
    for states in model.of(odd):
        assert np.isfinite(states.layers).all()
        assert len(states.pieces) <= MAX_TOKENS


def test_the_beginning_counts_and_nothing_after_it(model: TokenStates) -> None:
    text = "退货" * 60
    whole, cut, other = model.of([text, text[:80], "取" + text])
    np.testing.assert_array_equal(whole.layers, cut.layers)
    assert not np.array_equal(whole.vector, other.vector)


def test_threads_may_share_it(folder: Path, model: TokenStates) -> None:
    fresh = TokenStates(folder, kept_bytes=0)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda text: fresh.of([text])[0].vector, TEXTS * 5))
    expected = [states.vector for states in model.of(TEXTS * 5)]
    np.testing.assert_array_equal(found, expected)


def test_the_id_names_all_three_files(folder: Path, model: TokenStates, broken: Path) -> None:
    assert TokenStates(folder).id == model.id
    text = (broken / PIECES).read_text("utf-8")
    (broken / PIECES).write_text(text.replace("怎\t-1.5", "怎\t-1.6"), "utf-8")
    assert TokenStates(broken).id != model.id


@pytest.mark.parametrize("name", [GRAPH, WEIGHTS, PIECES])
def test_a_missing_file_says_what_to_do(broken: Path, name: str) -> None:
    (broken / name).unlink()
    with pytest.raises(ModelMissing, match=rf"No {name} in .*kefu models pull {NAME}"):
        TokenStates(broken)


def test_a_graph_that_is_none_is_named(broken: Path) -> None:
    (broken / GRAPH).write_bytes(b"not a model")
    with pytest.raises(ModelCorrupt, match=rf"model\.onnx.*kefu models pull {NAME}"):
        TokenStates(broken)


def test_weights_that_end_early_are_noticed(broken: Path) -> None:
    (broken / WEIGHTS).unlink()
    (broken / WEIGHTS).write_bytes(b"short")
    with pytest.raises(ModelCorrupt, match="ONNX Runtime cannot load it"):
        TokenStates(broken)


def test_weights_of_another_kind_are_noticed(broken: Path) -> None:
    size = (broken / WEIGHTS).stat().st_size
    (broken / WEIGHTS).unlink()
    (broken / WEIGHTS).write_bytes(b"\xff" * size)
    with pytest.raises(ModelCorrupt, match="the states of a text are no numbers"):
        TokenStates(broken)


def test_pieces_without_a_row_are_noticed(broken: Path) -> None:
    write_pieces(broken, [], numpy_network.PIECES + 1)
    with pytest.raises(ModelCorrupt, match="has 100391 pieces, the graph expects 100390"):
        TokenStates(broken)


@pytest.mark.models
def test_the_real_model_answers_as_numpy_does(models_dir: Path) -> None:
    folder = models_dir / NAME
    pieces, network, model = read_pieces(folder / PIECES), NumpyNetwork(folder), TokenStates(folder)
    for text in ("怎么申请退货", "How do I delete my account?"):
        ids = [BEGIN, *pieces.ids(TASK, 99), *pieces.ids(text, 99), END]
        _, vector = network.states(ids)
        assert is_close(model.of([text])[0].vector, vector)
