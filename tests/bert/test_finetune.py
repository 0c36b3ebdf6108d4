"""Training, with a BERT of 2 layers. Needs PyTorch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kefu.bert.finetune import FineTuned, finetune, save
from kefu.bert.hugging_face import open_classifier
from kefu.errors import InvalidInput, ModelCorrupt, ModelError, ModelMissing
from tests.bert.small_models import EXAMPLES

pytestmark = pytest.mark.usefixtures("encoder")


def test_learns_its_examples(tuned: FineTuned) -> None:
    assert tuned.labels == ("parcel", "price", "return")
    assert [epoch.number for epoch in tuned.epochs] == list(range(1, len(tuned.epochs) + 1))
    assert tuned.best.validation_accuracy > 0.9
    assert tuned.best.validation_accuracy == max(e.validation_accuracy for e in tuned.epochs)
    logits = tuned.logits([text for text, _ in EXAMPLES])
    predicted = [tuned.labels[number] for number in logits.argmax(1)]
    right = [p == label for p, (_, label) in zip(predicted, EXAMPLES, strict=True)]
    assert np.mean(right) == pytest.approx(tuned.best.validation_accuracy)


def test_the_same_seed_gives_the_same_weights(encoder: Path) -> None:
    import torch

    texts = [text for text, _ in EXAMPLES]
    state = torch.random.get_rng_state()
    first, again, other = (
        finetune(encoder, EXAMPLES, EXAMPLES, epochs=1, batch=4, seed=seed).logits(texts)
        for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert torch.equal(state, torch.random.get_rng_state()), "the caller's randomness is its own"


def test_tells_how_far_it_is(encoder: Path) -> None:
    steps, epochs = [], []
    finetune(
        encoder,
        EXAMPLES,
        EXAMPLES[:3],
        epochs=2,
        batch=4,
        on_progress=lambda done, total: steps.append((done, total)),
        on_epoch=epochs.append,
    )
    assert steps == [(number, 8) for number in range(1, 9)]
    assert [epoch.number for epoch in epochs] == [1, 2]


def test_saves_a_folder_that_can_be_trained_again(tuned: FineTuned, tmp_path: Path) -> None:
    folder = tmp_path / "saved"
    save(tuned, folder)
    assert {"config.json", "model.safetensors", "tokenizer.json"} <= {
        path.name for path in folder.iterdir()
    }
    assert not list(folder.glob("*.bin"))
    assert open_classifier(folder)[1] == tuned.labels
    fewer = [example for example in EXAMPLES if example[1] != "price"]
    again = finetune(folder, fewer, fewer, epochs=1, batch=4)
    assert again.labels == ("parcel", "return")


def test_a_rate_that_is_too_high_is_said(encoder: Path) -> None:
    with pytest.raises(ModelError, match="lower learning rate than 1e\\+30"):
        finetune(encoder, EXAMPLES, EXAMPLES, epochs=3, batch=4, learning_rate=1e30)


@pytest.mark.parametrize(
    ("examples", "validation", "said"),
    [
        ([], EXAMPLES, "0 label"),
        (EXAMPLES[:2], EXAMPLES[:2], "1 label"),
        (EXAMPLES, [], "no examples to validate"),
        (EXAMPLES, [("a", "unheard of")], "unheard of"),
    ],
)
def test_examples_that_cannot_be_learnt_from(
    encoder: Path,
    examples: list[tuple[str, str]],
    validation: list[tuple[str, str]],
    said: str,
) -> None:
    with pytest.raises(InvalidInput, match=said):
        finetune(encoder, examples, validation)


@pytest.mark.parametrize("plan", [{"epochs": 0}, {"batch": 0}])
def test_a_plan_that_trains_nothing_is_refused(encoder: Path, plan: dict[str, int]) -> None:
    with pytest.raises(InvalidInput, match="both begin at 1"):
        finetune(encoder, EXAMPLES, EXAMPLES, **plan)


def test_what_is_no_model_is_named(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelMissing, match="is not there"):
        finetune(tmp_path / "nowhere", EXAMPLES, EXAMPLES)
    with pytest.raises(ModelMissing, match=r"has no config\.json"):
        finetune(tmp_path, EXAMPLES, EXAMPLES)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(ModelMissing, match="has no tokeniser"):
        finetune(tmp_path, EXAMPLES, EXAMPLES)
    (tmp_path / "vocab.txt").write_bytes((encoder / "vocab.txt").read_bytes())
    with pytest.raises((ModelMissing, ModelCorrupt)):
        finetune(tmp_path, EXAMPLES, EXAMPLES)
