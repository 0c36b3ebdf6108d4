"""Which tensor lies where in `weights.bin`.

The graphs name the same places (ONNX external data); `training/paraphrase/graph.py` writes them
from this table, and the folders are written by it, so neither can be changed alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray

from kefu.inference.models.e5.e5_file import BLOCK, Floats, Sizes

GRAPH = "model.onnx"
WEIGHTS = "weights.bin"
PIECES = "pieces.tsv"

ROWS = "pieces"
"""Key of the graph's metadata: how many pieces have a row."""

LAYERS = (4, 8, 12)
"""After which layers the states of the tokens are put out: words, phrases, what the whole means."""

MAX_TOKENS = 72
"""Of a text with what stands around it: as many positions are kept."""

READER_TOKENS = 400
"""The same of a question with a passage, for the reader."""

LARGEST_CODE = 64
"""7 of the 8 bits. Processors without VNNI add two products of int8 and uint8 in 16 bits, which
overflow with 8: 2 * 255 * 64 is the largest that fits."""

Shape = tuple[str, str, tuple[int, ...]]
"""Name, kind and dimensions of a tensor."""

# A page: the operating system then maps the tensor instead of reading it.
_ALIGNMENT = 4096


@dataclass(frozen=True)
class Tensor:
    """`kind` is a numpy type name without byte order; `begin` is in bytes of the file."""

    name: str
    kind: str
    shape: tuple[int, ...]
    begin: int

    @property
    def size(self) -> int:
        return prod(self.shape) * np.dtype(self.kind).itemsize


def layout(sizes: Sizes, pieces: int) -> tuple[Tensor, ...]:
    """All tensors of the model of pairs with `pieces` tokens, in the order of the file."""
    return _placed(_shapes(sizes, pieces, MAX_TOKENS))


def reader_layout(sizes: Sizes, pieces: int) -> tuple[Tensor, ...]:
    """The same of the reader, which has a head."""
    head = (("head.weights", "f4", (sizes.width, 1)), ("head.bias", "f4", (1,)))
    return _placed((*_shapes(sizes, pieces, READER_TOKENS), *head))


def _placed(shapes: Iterable[Shape]) -> tuple[Tensor, ...]:
    tensors: list[Tensor] = []
    begin = 0
    for name, kind, shape in shapes:
        tensors.append(Tensor(name, kind, shape, begin))
        begin += -(-tensors[-1].size // _ALIGNMENT) * _ALIGNMENT
    return tuple(tensors)


def _shapes(sizes: Sizes, pieces: int, positions: int) -> Iterator[Shape]:
    width = sizes.width
    yield "tokens.codes", "u1", (pieces, width // 2)
    yield "tokens.scales", "f4", (pieces, width // BLOCK)
    yield "positions", "f4", (positions, width)
    yield from _norm("norm", width)
    for number in range(sizes.layers):
        yield from _layer(sizes, number)


def _layer(sizes: Sizes, number: int) -> Iterator[Shape]:
    width, inner = sizes.width, sizes.inner
    yield from _product(f"{number}.query_key_value", width, 3 * width)
    yield from _product(f"{number}.attended", width, width)
    yield from _norm(f"{number}.attention_norm", width)
    yield from _product(f"{number}.inner", width, inner)
    yield from _product(f"{number}.outer", inner, width)
    yield from _norm(f"{number}.norm", width)


def _product(name: str, rows: int, columns: int) -> Iterator[Shape]:
    yield f"{name}.codes", "i1", (rows, columns)
    yield f"{name}.scales", "f4", (columns,)
    yield f"{name}.bias", "f4", (columns,)


def _norm(name: str, width: int) -> Iterator[Shape]:
    yield f"{name}.gain", "f4", (width,)
    yield f"{name}.bias", "f4", (width,)


def quantised(weights: Floats) -> tuple[NDArray[np.int8], Floats]:
    """(outputs, inputs) weights as codes (inputs, outputs), and a scale for each output."""
    scales = np.abs(weights).max(axis=1, keepdims=True) / np.float32(LARGEST_CODE)
    scales[scales == 0] = 1
    codes = np.rint(weights / scales).astype(np.int8)
    return np.ascontiguousarray(codes.T), scales[:, 0]


def gain(weights: Floats) -> Floats:
    """Of a layer norm, for a graph that makes vectors of length 1: those of variance 1 are longer."""
    return np.asarray(weights * np.sqrt(np.float32(len(weights))), np.float32)
