"""The reader: an encoder that reads question and passage together and marks what answers.

Choosing a sentence is far easier than writing one, so a network of a fifth of the generator's
arithmetic does it better, and in the time that the generator takes for two words.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kefu.clauses import sentences_of
from kefu.errors import ModelCorrupt, ModelError, ModelMissing
from kefu.inference.models.e5.layout import GRAPH, PIECES, WEIGHTS
from kefu.inference.onnx_runtime import open_session
from kefu.paraphrase.pieces import read_pieces
from kefu.reading.rows import Passage, Row, rows_of

_INPUTS = ("input_ids", "attention_mask")


@dataclass(frozen=True)
class Told:
    """A sentence and how likely it answers, 0 to 1. `passage` and `place` count from 0."""

    passage: int
    place: int
    sentence: str
    probability: float


class Reader:
    """The folder that `kefu models pull` makes. `threads` are those of one run.

    Blocking, safe from several threads. Raises `ModelMissing` or `ModelCorrupt`.
    """

    def __init__(self, folder: Path, threads: int = 1) -> None:
        for name in (GRAPH, WEIGHTS, PIECES):
            if not (folder / name).is_file():
                raise ModelMissing(
                    f"No {name} in {folder}. Fetch the model: kefu models pull {folder.name}"
                )
        self._pieces = read_pieces(folder / PIECES)
        try:
            self._session = open_session(folder / GRAPH, threads)
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise ModelCorrupt(
                f"{folder} is not a reader ({error}). Delete it and run: kefu models pull "
                f"{folder.name}"
            ) from error

    def read(self, question: str, before: str, passages: Sequence[Passage]) -> list[Told]:
        """Every sentence of the passages that is read. `before`: the question of the turn before,
        where this one goes on from it. Raises `ModelError`."""
        sentences = [sentences_of(passage.text) for passage in passages]
        return [
            Told(place.passage, place.number, sentences[place.passage][place.number].strip(), one)
            for row in rows_of(question, before, passages, self._pieces)
            for place, one in zip(row.places, self._probabilities(row), strict=True)
        ]

    def _probabilities(self, row: Row) -> list[float]:
        ids = np.array([row.ids], np.int64)
        try:
            (logits,) = self._session.run(
                ("logits",), dict(zip(_INPUTS, (ids, np.ones_like(ids)), strict=True))
            )
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise ModelError(f"The reader failed on {len(row.ids)} tokens.") from error
        return [_probability(logits[0, place.begin : place.end]) for place in row.places]


def _probability(logits: NDArray[np.float32]) -> float:
    return float(1 / (1 + np.exp(-logits.mean(dtype=np.float64))))
