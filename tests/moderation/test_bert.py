"""The BERT path from labelled messages to a head that a desk uses. Needs PyTorch, as CI has."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from kefu.errors import InvalidInput, ModelCorrupt, ModelMissing
from kefu.inference.encoder.compared import Compared
from kefu.moderation import calibrating
from kefu.moderation.bert_head import ABOUT, BertHead, load_bert
from kefu.moderation.bert_training import train_bert
from kefu.moderation.categories import Category, Direction, Outcome
from kefu.moderation.examples import Example
from kefu.moderation.heads import BERT_SUFFIX, KEPT, HeadInUse, Heads, load
from kefu.moderation.service import open_moderation
from kefu.settings import ModerationSettings
from kefu.stores.database import Database
from kefu.stores.moderation import SqlModeration
from kefu.telemetry import Metrics
from tests.bert.small_models import HANZI, WORDS, installed, make_bert, real_bert
from tests.fakes import HashingEncoder

NO_VECTOR = np.zeros(8, np.float32)
BAD = [f"pay the card {word} money now {sign}" for word in WORDS[:25] for sign in "?!"]
INNOCENT = [f"where is my {word} order {sign}" for word in WORDS[:25] for sign in "?!"]
MARKED = [f"{sign}怎么退货{sign}" for sign in HANZI]


def examples() -> list[Example]:
    return [
        *(Example(text, True, Category.FRAUD) for text in BAD),
        *(Example(text, False) for text in [*INNOCENT, *MARKED]),
    ]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    installed("torch", "transformers", "onnx", "tokenizers")
    return make_bert(tmp_path_factory.mktemp("bert") / "encoder")


@pytest.fixture(scope="module")
def trained(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("heads") / f"own{BERT_SUFFIX}"
    found = train_bert(examples(), encoder, folder, epochs=60)
    assert len(found.epochs) == 60
    assert found.report.kind == "int8"
    return folder


def fraud(head: BertHead, text: str) -> float:
    return head.scores(text, NO_VECTOR)[Category.FRAUD]


def test_what_was_trained_is_served_without_pytorch(trained: Path):
    head, about = load(trained)
    assert isinstance(head, BertHead)
    assert head.encoder_id is None
    assert head.categories == (Category.FRAUD,)
    assert about.examples == len(examples())
    assert fraud(head, BAD[0]) > 0.5 > fraud(head, INNOCENT[0])
    assert 0 < fraud(head, "") < 1
    assert head.thresholds[Category.FRAUD].block == 1.0  # by meaning alone nothing is blocked


def test_figures_are_of_texts_it_was_not_trained_on(trained: Path):
    figures = load_bert(trained)[1].figures
    assert figures.categories[0].bad == len(BAD) / 5
    assert 0 < figures.everyday < len([*INNOCENT, *MARKED]) / 4
    assert figures.categories[0].auroc_everyday is not None


@pytest.mark.parametrize("name", [ABOUT, "bert/model.onnx", "bert/tokenizer.json"])
def test_a_damaged_file_is_refused(trained: Path, tmp_path: Path, name: str):
    copy = shutil.copytree(trained, tmp_path / "copy")
    (copy / name).write_bytes((copy / name).read_bytes()[:-7])
    with pytest.raises(ModelCorrupt):
        load_bert(copy)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"format": 9}, "reads format 1"),
        ({"categories": ["abuse"]}, "its labels are"),
        ({"slope": []}, "damaged"),
        ({"thresholds": 3}, "thresholds"),
    ],
)
def test_a_description_that_does_not_fit_is_refused(
    trained: Path, tmp_path: Path, change: dict[str, object], said: str
):
    copy = shutil.copytree(trained, tmp_path / "copy")
    about = json.loads((copy / ABOUT).read_text("utf-8"))
    (copy / ABOUT).write_text(json.dumps(about | change), "utf-8")
    with pytest.raises(ModelCorrupt, match=said):
        load_bert(copy)


def test_another_folder_is_no_head(tmp_path: Path):
    with pytest.raises(ModelMissing, match=r"head\.json"):
        load(tmp_path)


async def test_a_desk_judges_by_it(
    trained: Path, tmp_path: Path, database: Database, monkeypatch: pytest.MonkeyPatch
):
    def write(folder: Path) -> None:
        shutil.copytree(trained, folder)

    settings = ModerationSettings.model_validate({"fraud": {"customer_hold": 0.5}})
    moderation = await open_moderation(
        SqlModeration(database), tmp_path, HashingEncoder.id, settings, Metrics()
    )
    version = Heads(tmp_path).add(write, BERT_SUFFIX)
    await moderation.refresh()
    assert moderation.problems == []
    assert moderation.head.version == version

    async def outcomes(texts: Sequence[str]) -> list[Outcome]:
        return [
            (await moderation.check_meaning(text, Compared(NO_VECTOR), Direction.CUSTOMER)).outcome
            for text in texts
        ]

    assert await outcomes([BAD[0], INNOCENT[0]]) == [Outcome.HOLD, Outcome.ALLOW]
    moderation.close()


def test_old_ones_are_removed(trained: Path, tmp_path: Path):
    heads = Heads(tmp_path)
    for _ in range(KEPT + 2):
        heads.add(lambda folder: shutil.copytree(trained, folder), BERT_SUFFIX)
    assert len(list((tmp_path / "heads").iterdir())) == KEPT
    in_use = HeadInUse(heads, HashingEncoder.id)
    in_use.take_over()
    assert isinstance(in_use.head, BertHead)


def test_too_few_examples_are_said_before_anything_is_trained(tmp_path: Path):
    few = [Example(text, True, Category.FRAUD) for text in BAD[: calibrating.FEWEST_BAD - 1]]
    with pytest.raises(InvalidInput, match="a head needs"):
        train_bert(few, tmp_path / "none", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.models
def test_a_real_bert_learns_and_survives_int8(models_dir: Path, tmp_path: Path):
    goods = ("cup", "towel", "lamp", "scarf", "bag", "pillow", "kettle", "frame", "rug", "clock")
    bad = (
        "send the code you got for the {}",
        "your {} won, pay a deposit first",
        "move the money for the {} to the safe account",
    )
    innocent = (
        "how much is the {}",
        "when does the {} ship",
        "the {} arrived and I love it",
        "I was charged twice for the {}",
        "is there a bigger {}",
        "can I return the {}",
    )
    given = [Example(text.format(item), True, Category.FRAUD) for text in bad for item in goods]
    given += [Example(text.format(item), False) for text in innocent for item in goods]
    found = train_bert(given, real_bert(models_dir), tmp_path / "real", epochs=6)
    assert found.report.same_label >= 0.9
    assert found.pytorch_accuracy >= 0.8
    head, _ = load_bert(tmp_path / "real")
    assert fraud(head, "pay a deposit first, your mirror won") > 0.5
    assert fraud(head, "how much is the mirror") < 0.5
