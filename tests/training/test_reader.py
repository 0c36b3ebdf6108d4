"""What the reader is taught, and that what was learnt is what the desk computes with."""

from __future__ import annotations

import importlib
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from kefu.inference.models.e5.assemble import Adapter
from kefu.inference.models.e5.e5_file import E5File
from kefu.reading.rows import Place, Row
from tests.bert.small_models import installed
from tests.inference.models.e5.small_e5 import KEPT, SIZES, write_e5

FOLDER = Path(__file__).parents[2] / "training" / "generator"
MODULES = ("examples", "lora", "train", "reader_examples", "reader_net", "train_reader")


@pytest.fixture(scope="module")
def on_path() -> Iterator[None]:
    """The folder's scripts import each other by name."""
    sys.path.insert(0, str(FOLDER))
    yield
    sys.path.remove(str(FOLDER))
    for name in MODULES:
        sys.modules.pop(name, None)


@pytest.fixture(scope="module")
def examples(on_path: None) -> ModuleType:
    return importlib.import_module("reader_examples")


@pytest.fixture(scope="module")
def training(on_path: None) -> ModuleType:
    installed("torch", "transformers", "accelerate")
    return importlib.import_module("train_reader")


SENTENCES = ("满 88 元包邮，", "不满的每单收 8 元。", "西藏、新疆每单收 20 元。")


@pytest.mark.parametrize(
    ("answer", "numbers"),
    [
        ("寄新疆每单收 20 元。", {2}),
        ("满 88 元包邮；新疆每单收 20 元。", {0, 2}),
        ("不满的每单收 8 元。", {1}),
        ("谢谢您。", set()),
    ],
)
def test_an_answer_is_found_in_the_sentences_it_was_made_of(
    examples: ModuleType, answer: str, numbers: set[int]
):
    assert examples.told(answer, "运费", SENTENCES) == numbers


def test_half_of_what_is_read_answers(examples: ModuleType):
    found = examples.readings(0)
    assert found == examples.readings(0)
    assert found != examples.readings(1)
    counts = Counter(min(sum(map(sum, reading.tells)), 2) for reading in found)
    assert 0.35 < counts[1] / len(found) < 0.55
    assert counts[2] > 300  # two questions, or two sentences
    assert all(len(reading.tells) == len(reading.passages) for reading in found)
    assert sum(len(reading.passages) > 1 for reading in found) > 0.9 * len(found)


def test_a_sentence_that_answers_beats_one_that_does_not(training: ModuleType, tmp_path: Path):
    """The loss falls when the odds of the right sentence rise, and when those of another fall."""
    torch = importlib.import_module("torch")
    row = Row((0, 5, 2, 6, 2, 7, 2), (Place(0, 0, 3, 5), Place(0, 1, 5, 7)))

    class Fixed(torch.nn.Module):  # type: ignore[misc]  # torch is not there for mypy
        def forward(self, ids: object, mask: object) -> object:
            return torch.tensor([[0.0] * 3 + [right] * 2 + [other] * 2 + [0.0] * 9])

    def loss(wanted: tuple[bool, bool]) -> float:
        return float(training.loss_of(Fixed(), [(row, wanted)]))

    right, other = 1.0, -1.0
    small = loss((True, False))
    right, other = -1.0, 1.0
    assert loss((True, False)) > small
    assert loss((False, True)) == pytest.approx(small)
    right, other = -3.0, -3.0
    assert loss((False, False)) < loss((True, False))


def test_rows_of_a_batch_are_read_each_for_itself(training: ModuleType, tmp_path: Path):
    torch = importlib.import_module("torch")
    torch.manual_seed(0)
    net = _net(tmp_path)
    rows = [
        Row((0, 5, 2, 6, 7, 2), (Place(0, 0, 2, 5),)),
        Row((0, 6, 2, 5, 2, 7, 7, 7, 2), (Place(0, 0, 2, 4), Place(1, 0, 4, 8))),
    ]
    with torch.no_grad():
        together = training.logits_of(net, rows)
        alone = torch.cat([training.logits_of(net, [row]) for row in rows])
    assert torch.allclose(together, alone, atol=1e-5)
    assert len(together) == 3
    assert together.std() > 1e-3


def test_what_is_exported_is_what_was_learnt(training: ModuleType, tmp_path: Path):
    torch = importlib.import_module("torch")
    net = _net(tmp_path)
    adapter = Adapter(net.learnt())
    product = net.layers[1].inner
    x = torch.randn(3, SIZES.width)
    weights = adapter.changed("1.inner", product.weight.numpy())
    exported = x.numpy() @ weights.T + product.bias.numpy()
    np.testing.assert_allclose(exported, product(x).detach().numpy(), atol=0.02)
    head = dict(adapter.head())
    assert head["head.weights"].shape == (SIZES.width, 1)


def _net(tmp_path: Path) -> object:
    """Small, with adapters that change something."""
    torch = importlib.import_module("torch")
    network = importlib.import_module("reader_net")
    net = network.ReaderNet(E5File(write_e5(tmp_path / "e5.bin").path), KEPT, 4, 8.0)
    for layer in net.layers:
        for name in network.PRODUCTS:
            torch.nn.init.normal_(getattr(layer, name).b, std=0.1)
    return net
