"""The sample shop's examples with the real encoder: what the demo and a starter set promise."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pytest

from kefu.inference.encoder.compared import Compared
from kefu.inference.encoder.onnx import OnnxEncoder
from kefu.intent.actions import check
from kefu.intent.classifier import Prediction
from kefu.intent.dataset import OUT_OF_SCOPE, Example, folded, read_files
from kefu.intent.figures import Figures, figures
from kefu.intent.sample_shop import ACTIONS, FILES, sample_examples, teach_sample
from kefu.intent.service import open_intents
from kefu.intent.training import Trained, train
from kefu.limits import usable_cpus
from kefu.settings import Settings
from kefu.stores.database import Database
from kefu.stores.intents import SqlActions
from kefu.telemetry import Metrics

QUESTIONS = Path(__file__).parents[1] / "data" / "intent_questions.csv"
FOLDER = Path(__file__).parents[2] / "src" / "kefu" / "intent" / "sample_shop"

INTENTS = {example.label for example in sample_examples()} - {OUT_OF_SCOPE}


@pytest.fixture(scope="module")
def encoder(models_dir: Path) -> OnnxEncoder:
    return OnnxEncoder(models_dir / "use-multilingual-v3" / "model.onnx", usable_cpus())


@pytest.fixture(scope="module")
def taught(encoder: OnnxEncoder) -> Trained:
    return train(sample_examples(), encoder.encode, encoder.id)


Tested = dict[str, list[tuple[Example, Prediction]]]


@pytest.fixture(scope="module")
def tested(taught: Trained, encoder: OnnxEncoder) -> Tested:
    """The shop's questions by language, without those that are examples too."""
    questions = _questions(fresh=True)
    texts = [question.text for question, _ in questions]
    guesses = taught.classifier.classify(texts, encoder.encode(texts))
    found = defaultdict(list)
    for (question, language), guess in zip(questions, guesses, strict=True):
        found[language].append((question, guess))
    return found


def figures_of(pairs: list[tuple[Example, Prediction]]) -> Figures:
    return figures([example.label for example, _ in pairs], [guess for _, guess in pairs])


def test_every_intent_has_examples_in_both_languages():
    for name in FILES:
        counts = Counter(e.label for e in read_files([FOLDER / name], note=_no_note))
        assert counts.keys() == {*INTENTS, OUT_OF_SCOPE}
        assert len(counts) > 25
        assert min(counts.values()) >= 20, counts.most_common()[-3:]


def test_the_files_do_not_contradict_themselves_or_each_other():
    together = read_files([FOLDER / name for name in FILES], note=_no_note)
    labels = defaultdict(set)
    for example in together:
        labels[folded(example.text)].add(example.label)
    assert {text: found for text, found in labels.items() if len(found) > 1} == {}
    assert {(e.text, e.label) for e in together} == {(e.text, e.label) for e in sample_examples()}


def test_the_questions_have_known_labels_and_few_are_examples():
    assert {question.label for question, _ in _questions()} == {*INTENTS, OUT_OF_SCOPE}
    assert len(_questions(fresh=True)) > 0.9 * len(_questions())


def test_every_action_is_of_an_intent_and_speaks_both_languages():
    assert ACTIONS.keys() <= INTENTS
    for label, action in ACTIONS.items():
        check(label, action)
        assert action.reply_zh
        assert action.reply_en


@pytest.mark.models
@pytest.mark.parametrize("language", ["zh", "en"])
def test_questions_get_their_intent_and_strange_ones_none(tested: Tested, language: str):
    found = figures_of(tested[language])
    assert found.n > 340
    assert (found.in_scope_accuracy or 0) >= 0.88
    assert (found.oos_recall or 0) >= 0.75
    assert found.false_oos is not None
    assert found.false_oos <= 0.04


@pytest.mark.models
def test_the_score_is_as_sure_as_it_is_right(tested: Tested):
    """An action is taken from 0.8 on: nearly always rightly."""
    pairs = [*tested["zh"], *tested["en"]]
    assert figures_of(pairs).expected_calibration_error < 0.06
    plain = [(e.label == p.label) for e, p in pairs if p.label in ACTIONS and p.score >= 0.8]
    assert len(plain) > 40
    assert np.mean(plain) > 0.95


@pytest.mark.models
async def test_a_demo_is_taught_at_its_first_start(
    settings: Settings, database: Database, encoder: OnnxEncoder
):
    intents = await open_intents(
        settings.intents_dir, SqlActions(database), encoder.id, settings.intents, Metrics()
    )
    await teach_sample(intents, encoder)
    assert intents.version is not None
    assert intents.actions == ACTIONS
    for text in ("转人工", "I want to talk to a real person"):
        found = await intents.predict(text, Compared(encoder.encode([text])[0]))
        assert intents.action_for(found) == ACTIONS["human_agent"]
    intents.close()


def _questions(*, fresh: bool = False) -> list[tuple[Example, str]]:
    """With their languages. `fresh`: only those whose words are in no example."""
    known = {folded(example.text) for example in sample_examples()} if fresh else set()
    with QUESTIONS.open(encoding="utf-8") as file:
        return [
            (Example(row["text"], row["label"]), row["language"])
            for row in csv.DictReader(file)
            if folded(row["text"]) not in known
        ]


def _no_note(_: str) -> None: ...
