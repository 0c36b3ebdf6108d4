"""A tiny BERT, once for all tests that need PyTorch."""

from __future__ import annotations

from pathlib import Path

import pytest

from kefu.bert.finetune import FineTuned, finetune, save
from tests.bert.small_models import EXAMPLES, installed, make_bert


@pytest.fixture(scope="session")
def encoder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    installed("torch", "transformers", "onnx")
    return make_bert(tmp_path_factory.mktemp("bert") / "encoder")


@pytest.fixture(scope="session")
def tuned(encoder: Path) -> FineTuned:
    return finetune(encoder, EXAMPLES, EXAMPLES, epochs=40, batch=4, learning_rate=2e-3)


@pytest.fixture(scope="session")
def classifier(tuned: FineTuned, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bert") / "classifier"
    save(tuned, folder)
    return folder
