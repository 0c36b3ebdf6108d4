"""Texts as the states of their tokens in a network that reads them: what the judge compares.

A sentence vector says what a question is about, hardly what it asks. The states of the tokens, taken
after several layers, show which part of one question has no counterpart in the other.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kefu.errors import ModelCorrupt, ModelError, ModelMissing
from kefu.inference.models.e5.layout import GRAPH, LAYERS, MAX_TOKENS, PIECES, ROWS, WEIGHTS
from kefu.inference.models.files import sha256_of
from kefu.inference.onnx_runtime import open_session
from kefu.paraphrase.pieces import BEGIN, END, read_pieces

TASK = "query: "
"""What the network was trained to see before a question."""

KEPT_BYTES = 64_000_000
"""Of states that are kept: about 2,000 questions of 14 tokens."""

_INPUTS = ("input_ids", "attention_mask")


@dataclass(frozen=True)
class TextStates:
    """A text as the network sees it.

    `pieces`: the n it was split into, without what stands around it. `layers`: (layers, n, width)
    float16, each state of length 1. `vector`: (width,) float32 of length 1, the mean of the last
    layer.
    """

    pieces: tuple[str, ...]
    layers: NDArray[np.float16]
    vector: NDArray[np.float32]

    @property
    def nbytes(self) -> int:
        return self.layers.nbytes + self.vector.nbytes


class TokenStates:
    """The folder that `kefu models pull` makes. `threads` are those of one run.

    Blocking, safe from several threads. One text is one run: in int8 a text's states would depend a
    little on its neighbours in a run, and the same two questions must get the same answer always.

    Raises `ModelMissing` or `ModelCorrupt`.
    """

    def __init__(self, folder: Path, threads: int = 1, kept_bytes: int = KEPT_BYTES) -> None:
        for name in (GRAPH, WEIGHTS, PIECES):
            if not (folder / name).is_file():
                raise ModelMissing(
                    f"No {name} in {folder}. Fetch the model: kefu models pull {folder.name}"
                )
        self.pieces = read_pieces(folder / PIECES)
        self._task = self.pieces.ids(TASK, MAX_TOKENS)
        self._session = _open(folder / GRAPH, threads)
        self._check_fits(folder)
        self._kept = _Kept(kept_bytes)
        self.id = _sum(folder)[:16]

    def of(self, texts: Sequence[str]) -> list[TextStates]:
        """Of each text its first 60 tokens or more. Any text is taken. Raises `ModelError`."""
        return [self._of(text) for text in texts]

    def _of(self, text: str) -> TextStates:
        found = self._kept.find(text)
        if found is None:
            found = self._run(self.pieces.ids(text, MAX_TOKENS - len(self._task) - 2))
            self._kept.add(text, found)
        return found

    def _run(self, ids: list[int]) -> TextStates:
        row = np.array([[BEGIN, *self._task, *ids, END]], np.int64)
        try:
            states, vectors = self._session.run(
                ("states", "vector"), dict(zip(_INPUTS, (row, np.ones_like(row)), strict=True))
            )
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise ModelError(f"The model of tokens failed on {len(ids)} tokens.") from error
        begin = 1 + len(self._task)
        layers = states[0, :, begin : begin + len(ids)].astype(np.float16)
        return TextStates(tuple(map(self.pieces.piece, ids)), layers, vectors[0])

    def _check_fits(self, folder: Path) -> None:
        """Each piece must have a row, and a text finite states of the right shape."""
        names = tuple(given.name for given in self._session.get_inputs())
        if names != _INPUTS:
            raise _damaged(folder / GRAPH, f"its inputs are {list(names)}")
        rows = self._session.get_modelmeta().custom_metadata_map.get(ROWS)
        if rows != str(self.pieces.count):
            what = f"it has {self.pieces.count} pieces, the graph expects {rows}"
            raise _damaged(folder / PIECES, what)
        try:
            found = self._run([self.pieces.count - 1])
        except ModelError as error:
            raise _damaged(folder / GRAPH, f"it does not run ({error.__cause__})") from error
        width = len(found.vector)
        is_whole = np.isfinite(found.layers).all() and np.isfinite(found.vector).all()
        if found.layers.shape != (len(LAYERS), 1, width) or not is_whole:
            raise _damaged(folder / WEIGHTS, "the states of a text are no numbers")


class _Kept:
    """The states of the texts used last, as many as fit."""

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._bytes = 0
        self._by_text: OrderedDict[str, TextStates] = OrderedDict()
        self._lock = Lock()

    def find(self, text: str) -> TextStates | None:
        with self._lock:
            if text in self._by_text:
                self._by_text.move_to_end(text)
            return self._by_text.get(text)

    def add(self, text: str, states: TextStates) -> None:
        with self._lock:
            if text in self._by_text:  # two threads met the text at once
                return
            self._by_text[text] = states
            self._bytes += _size(text, states)
            while self._bytes > self._most_bytes:
                self._bytes -= _size(*self._by_text.popitem(last=False))


def _size(text: str, states: TextStates) -> int:
    return 4 * len(text) + states.nbytes


def _open(path: Path, threads: int) -> Any:
    try:
        return open_session(path, threads)
    except Exception as error:  # ONNX Runtime's errors share no base class
        raise _damaged(path, f"ONNX Runtime cannot load it ({error})") from error


def _damaged(path: Path, what: str) -> ModelCorrupt:
    return ModelCorrupt(
        f"{path} is not a model of tokens that can be used: {what}. Delete {path.parent} and run: "
        f"kefu models pull {path.parent.name}"
    )


def _sum(folder: Path) -> str:
    sums = "".join(sha256_of(folder / name) for name in (GRAPH, WEIGHTS, PIECES))
    return hashlib.sha256(sums.encode()).hexdigest()
