"""The BERT path from examples to a folder that a desk serves. Needs PyTorch, as CI has."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from kefu.bert.finetune import finetune, save
from kefu.errors import InvalidInput, ModelCorrupt
from kefu.intent.bert import BertClassifier
from kefu.intent.bert_training import export_bert, train_bert
from kefu.intent.dataset import OUT_OF_SCOPE, Example
from kefu.intent.loading import load
from kefu.intent.sample_shop import sample_examples
from kefu.language import detect
from tests.bert.small_models import EXAMPLES, installed, make_bert, real_bert

KNOWN = [Example(text, label, line) for line, (text, label) in enumerate(EXAMPLES, 2)]
STRANGE = [
    Example(f"the {thing} of the moon {number}", OUT_OF_SCOPE, 900 + number)
    for number, thing in enumerate(["weather", "price", "height", "song", "colour"] * 5)
]


@pytest.fixture(scope="module")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    installed("torch", "transformers", "onnx", "tokenizers")
    return make_bert(tmp_path_factory.mktemp("bert") / "encoder")


@pytest.fixture(scope="module")
def model(encoder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "tuned"
    found = train_bert([*KNOWN, *STRANGE], encoder, folder, epochs=3)
    assert len(found.epochs) == 3
    assert found.report.kind == "int8"
    return folder


def test_what_was_trained_is_served_without_pytorch(model: Path):
    classifier, about = load(model)
    assert isinstance(classifier, BertClassifier)
    assert classifier.encoder_id is None
    assert about.kind == "bert"
    assert OUT_OF_SCOPE not in about.labels
    assert set(about.labels) == {label for _, label in EXAMPLES}
    found = classifier.classify([text for text, _ in EXAMPLES], None)
    assert len(found) == len(EXAMPLES)
    assert all(0 <= guess.score <= 1 for guess in found)
    assert (model / "card.md").read_text("utf-8").startswith("# Intent model")


def test_figures_are_of_texts_it_was_not_trained_on(model: Path):
    _, about = load(model)
    assert about.figures is not None
    assert about.figures.n < len(KNOWN) + len(STRANGE)
    assert about.figures.oos_recall is not None
    assert "was not trained on" in about.tested_on


@pytest.mark.parametrize("name", ["model.onnx", "tokenizer.json", "bert.json"])
def test_a_damaged_file_is_refused(model: Path, tmp_path: Path, name: str):
    copy = shutil.copytree(model, tmp_path / "copy")
    file = copy / "bert" / name
    file.write_bytes(file.read_bytes()[:-7])
    with pytest.raises(ModelCorrupt, match=name):
        load(copy)


def test_a_classifier_of_ones_own_is_taken_over(encoder: Path, tmp_path: Path):
    save(finetune(encoder, EXAMPLES, EXAMPLES, epochs=1), tmp_path / "own")
    bare = export_bert(tmp_path / "own", tmp_path / "bare")
    assert bare.about.figures is None
    guesses = load(tmp_path / "bare")[0].classify(["where is it", "moon"], None)
    assert OUT_OF_SCOPE not in {guess.label for guess in guesses}

    known = export_bert(tmp_path / "own", tmp_path / "measured", KNOWN)
    assert known.about.figures is not None
    assert known.about.figures.n == len(KNOWN)

    with pytest.raises(InvalidInput, match="does not know the label 'other'"):
        export_bert(tmp_path / "own", tmp_path / "no", [*KNOWN, Example("x", "other", 1)])
    assert not (tmp_path / "no").exists()


def test_one_intent_only_is_said_before_anything_is_trained(tmp_path: Path):
    one = [Example(f"text {number}", "same", number) for number in range(9)]
    with pytest.raises(InvalidInput, match="only one intent"):
        train_bert(one, tmp_path / "none", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.models
def test_a_real_bert_learns_and_survives_int8(models_dir: Path, tmp_path: Path):
    labels = {"human_agent", "thanks", "invoice", "gift_card", "notifications", "payment_methods"}
    shop = [e for e in sample_examples() if e.label in labels and detect(e.text) == "en"]
    found = train_bert(shop, real_bert(models_dir), tmp_path / "real", epochs=12)
    assert found.report.max_logit_difference < 1e-3
    assert found.report.same_label >= 0.9
    assert found.pytorch_accuracy is not None
    assert found.accuracy is not None
    assert found.pytorch_accuracy >= 0.8
    assert found.accuracy >= found.pytorch_accuracy - 0.05  # one text of the 24
