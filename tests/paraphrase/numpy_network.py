"""The network in numpy, from the same `weights.bin`: what the graph should answer.

Products are in float32 here, so the answers differ by what the graph's activations lose in int8.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from scipy.special import erf

from kefu.inference.models.e5.e5_file import Sizes
from kefu.inference.models.e5.layout import LARGEST_CODE, LAYERS, WEIGHTS, Tensor, layout

SIZES = Sizes(
    width=384, layers=12, heads=12, inner=1536, tokens=250037, positions=512, types=2, epsilon=1e-12
)
"""Of multilingual-e5-small, for which the graph was made."""

PIECES = 100_390
"""Rows that the graph expects."""


def write_random_weights(folder: Path, tensors: Sequence[Tensor] | None = None) -> None:
    """Of the right shapes and sizes, so that states are neither all alike nor infinite."""
    chance = np.random.default_rng(11)
    with (folder / WEIGHTS).open("wb") as file:
        for tensor in tensors or layout(SIZES, PIECES):
            file.write(bytes(tensor.begin - file.tell()))
            if tensor.kind != "f4":
                lowest, highest = (-64, 65) if tensor.kind == "i1" else (0, 256)
                values = chance.integers(lowest, highest, tensor.shape, tensor.kind)
            elif tensor.name.endswith(".scales"):
                values = np.full(tensor.shape, _scale_of(tensor), np.float32)
            elif tensor.name.endswith(".gain"):
                values = np.full(tensor.shape, SIZES.width**0.5, np.float32)
            else:
                values = chance.standard_normal(tensor.shape, np.float32) * 0.1
            file.write(values.astype(tensor.kind).tobytes())


def _scale_of(tensor: Tensor) -> float:
    """A product is a quarter as large as what it is added to: the network is not chaotic."""
    if tensor.name == "tokens.scales":
        return 0.3
    inputs = SIZES.inner if ".outer." in tensor.name else SIZES.width
    return float(inputs**-0.5 / LARGEST_CODE / 2)


class NumpyNetwork:
    """One text at a time, slowly."""

    def __init__(self, folder: Path, tensors: Sequence[Tensor] | None = None) -> None:
        data = np.memmap(folder / WEIGHTS, np.uint8, "r")
        self._tensors = {
            tensor.name: data[tensor.begin : tensor.begin + tensor.size]
            .view(tensor.kind)
            .reshape(tensor.shape)
            for tensor in tensors or layout(SIZES, PIECES)
        }

    def states(self, ids: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """(layers, tokens, width) and (width,), all of length 1; tokens around the text too."""
        after = self._after(ids)
        return (
            np.stack([_direction(after[number]) for number in LAYERS]),
            _direction(after[SIZES.layers].mean(axis=0)),
        )

    def logits(self, ids: Sequence[int]) -> np.ndarray:
        """(tokens,), of a reader."""
        head = self._tensors["head.weights"][:, 0], self._tensors["head.bias"][0]
        return self._after(ids)[SIZES.layers] @ head[0] + head[1]

    def _after(self, ids: Sequence[int]) -> dict[int, np.ndarray]:
        """(tokens, width) after each layer."""
        get = self._tensors.__getitem__
        hidden = self._norm(self._rows(ids) + get("positions")[: len(ids)], "norm")
        after = {}
        for number in range(SIZES.layers):
            attended = self._attended(hidden, f"{number}.query_key_value")
            attended = self._product(attended, f"{number}.attended") + hidden
            hidden = self._norm(attended, f"{number}.attention_norm")
            inner = self._product(hidden, f"{number}.inner")
            inner = inner * (1 + erf(inner / np.sqrt(2))) / 2
            hidden = self._norm(self._product(inner, f"{number}.outer") + hidden, f"{number}.norm")
            after[number + 1] = hidden
        return after

    def _rows(self, ids: Sequence[int]) -> np.ndarray:
        pairs = self._tensors["tokens.codes"][list(ids)]
        codes = np.stack([pairs & 15, pairs >> 4], axis=2).reshape(len(ids), -1)
        scales = np.repeat(self._tensors["tokens.scales"][list(ids)], 32, axis=1)
        return (codes.astype(np.float32) - 8) * scales

    def _attended(self, hidden: np.ndarray, name: str) -> np.ndarray:
        shape = (len(hidden), 3, SIZES.heads, -1)
        packed = self._product(hidden, name).reshape(shape)
        query, key, value = packed.transpose(1, 2, 0, 3)
        scores = query @ key.transpose(0, 2, 1) / np.sqrt(query.shape[-1])
        shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
        shares /= shares.sum(axis=-1, keepdims=True)
        return (shares @ value).transpose(1, 0, 2).reshape(hidden.shape)

    def _product(self, hidden: np.ndarray, name: str) -> np.ndarray:
        codes = self._tensors[f"{name}.codes"].astype(np.float32)
        return hidden @ codes * self._tensors[f"{name}.scales"] + self._tensors[f"{name}.bias"]

    def _norm(self, hidden: np.ndarray, name: str) -> np.ndarray:
        normal = _direction(hidden - hidden.mean(axis=-1, keepdims=True))
        return normal * self._tensors[f"{name}.gain"] + self._tensors[f"{name}.bias"]


def _direction(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)
