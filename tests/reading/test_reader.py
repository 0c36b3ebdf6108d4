"""The reader's graph, with random weights against numpy, and as it is taught."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from importlib import resources
from pathlib import Path

import numpy as np
import pytest

from kefu.errors import ModelCorrupt, ModelMissing
from kefu.inference.models.e5.layout import GRAPH, PIECES, WEIGHTS, reader_layout
from kefu.inference.models.resolve import READER
from kefu.paraphrase.pieces import read_pieces
from kefu.reading.reader import Reader
from kefu.reading.rows import Passage, rows_of
from tests.paraphrase import numpy_network
from tests.paraphrase.numpy_network import NumpyNetwork, write_random_weights

TENSORS = reader_layout(numpy_network.SIZES, numpy_network.PIECES)
LETTERS = "abcdefghijklmnopqrstuvwxyz怎么退货可以取消订单吗。"
PASSAGE = Passage("怎么退货", "订单可以取消。退货怎么退。 how to cancel. an order")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("reader") / READER
    made.mkdir()
    graph = resources.files("kefu.inference.models.e5") / "reader.onnx"
    (made / GRAPH).write_bytes(graph.read_bytes())
    write_random_weights(made, TENSORS)
    pieces = ["<s>", "<pad>", "</s>", "<unk>", "▁", *LETTERS]
    pieces += [f"unused{number}" for number in range(len(pieces), numpy_network.PIECES)]
    (made / PIECES).write_text("".join(f"{piece}\t-1.5\n" for piece in pieces), "utf-8")
    return made


def test_the_graph_answers_as_numpy_does(folder: Path):
    pieces, network = read_pieces(folder / PIECES), NumpyNetwork(folder, TENSORS)
    sentences = ["订单可以取消。", "退货怎么退。", " how to cancel.", " an order"]
    (row,) = rows_of("可以取消吗", "怎么退", [PASSAGE], pieces)
    logits = network.logits(row.ids)
    wanted = [1 / (1 + np.exp(-logits[place.begin : place.end].mean())) for place in row.places]
    told = Reader(folder).read("可以取消吗", "怎么退", [PASSAGE])
    assert [one.sentence for one in told] == [sentence.strip() for sentence in sentences]
    np.testing.assert_allclose([one.probability for one in told], wanted, atol=0.05)
    assert np.ptp(wanted) > 0.01  # else anything would pass


def test_passages_are_read_beside_each_other(folder: Path):
    reader, other = Reader(folder), Passage("", "可以退货。")
    alone = reader.read("怎么退", "", [other])
    beside = reader.read("怎么退", "", [PASSAGE, other])
    assert (beside[-1].passage, beside[-1].place) == (1, 0)
    assert beside[-1].sentence == alone[0].sentence
    assert beside[-1].probability != alone[0].probability


def test_a_passage_in_a_row_of_its_own_keeps_its_number(folder: Path):
    long = Passage("", "退货。" * 40)
    told = Reader(folder).read("怎么退", "", [long, long, PASSAGE])
    assert [(one.passage, one.place) for one in told[-4:]] == [(2, n) for n in range(4)]
    assert told[-4].sentence == "订单可以取消。"


def test_several_threads_get_what_one_gets(folder: Path):
    reader = Reader(folder)
    alone = reader.read("怎么退", "", [PASSAGE])
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: reader.read("怎么退", "", [PASSAGE]), range(8)))
    assert all(told == alone for told in found)


def test_what_is_missing_or_broken_is_named(folder: Path, tmp_path: Path):
    with pytest.raises(ModelMissing, match="kefu models pull"):
        Reader(tmp_path)
    for name in (GRAPH, WEIGHTS, PIECES):
        (tmp_path / name).write_bytes(b"x")
    with pytest.raises(ModelCorrupt):
        Reader(tmp_path)


BLOCKS = [
    Passage(
        "软胶积木",
        "软胶积木一盒 40 块，适合 10 个月以上。材质是食品级硅胶，可以水煮消毒，也可以放进洗碗机。",
    ),
    Passage("木屋积木", "木屋积木一盒 128 块，适合 3 岁以上。椴木本色，不上漆。"),
]


@pytest.mark.models
@pytest.mark.parametrize(
    ("question", "sentence"),
    [
        ("软胶的脏了能丢洗碗机么", "可以水煮消毒，也可以放进洗碗机"),
        ("木屋积木多大能玩", "适合 3 岁以上"),
        ("保修多久", None),
    ],
)
def test_it_marks_the_sentence_that_answers(models_dir: Path, question: str, sentence: str | None):
    told = Reader(models_dir / READER).read(question, "", BLOCKS)
    best = max(told, key=lambda one: one.probability)
    if sentence is None:
        assert best.probability < 0.4
    else:
        assert sentence in best.sentence
        assert best.probability > 0.6
