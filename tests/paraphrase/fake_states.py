"""Stands in for the network: each character has a direction of its own wherever it stands."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kefu.inference.models.e5.layout import LAYERS
from kefu.paraphrase.token_states import TextStates


class FakeStates:
    id = "fake"

    def of(self, texts: Sequence[str]) -> list[TextStates]:
        return [states_of(text) for text in texts]


def states_of(text: str) -> TextStates:
    rows = np.array([_direction(character) for character in text]).reshape(len(text), 32)
    mean = rows.sum(axis=0) + 1e-6
    return TextStates(
        tuple(text),
        np.repeat(rows[np.newaxis], len(LAYERS), axis=0).astype(np.float16),
        (mean / np.linalg.norm(mean)).astype(np.float32),
    )


def _direction(character: str) -> np.ndarray:
    row = np.random.default_rng(ord(character)).standard_normal(32)
    return row / np.linalg.norm(row)
