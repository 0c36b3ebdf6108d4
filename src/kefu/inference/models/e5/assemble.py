"""Makes the model from the 4-bit file: fewer pieces, and layers that processors multiply fast.

Of the 250,002 pieces those stay that Chinese and English are written with. Accented letters and
other scripts go, ASCII pieces all stay: of the words of English customers (BANKING77, CLINC150,
StackFAQ) 7 to 8% would be split otherwise if only the best 32,000 of 83,000 stayed, and in 4 bits
a row costs 240 bytes. Rows and their scales are copied as they are, so no token is changed.

The layers go from 4 bits in blocks of 32 to 7 bits with one scale for each output, which is what
processors multiply fastest. Nothing is trained.
"""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kefu.errors import ModelCorrupt
from kefu.inference.models.e5.e5_file import E5File, Floats
from kefu.inference.models.e5.layout import (
    GRAPH,
    PIECES,
    WEIGHTS,
    Tensor,
    gain,
    layout,
    quantised,
    reader_layout,
)

SPECIAL = ("<s>", "<pad>", "</s>", "<unk>")
"""The first four pieces, whatever their ids were."""

_NO_TEXT = (*SPECIAL, "<mask>")
_KEPT = re.compile(
    "["
    "\u2581"  # SentencePiece's space
    "\u0020-\u007e"  # ASCII
    "\u00a0-\u00bf\u00d7\u00f7"  # signs of Latin-1: § ° ± · » ½
    "\u2000-\u206f"  # general punctuation
    "\u3000-\u303f"  # CJK punctuation
    "\u4e00-\u9fff"  # CJK ideographs
    "\uff00-\uffef"  # full-width forms
    "]+"
)

OnProgress = Callable[[int, int], None]
"""Told the bytes written and the bytes to write."""

Named = Iterator[tuple[str, NDArray[Any]]]


@dataclass(frozen=True)
class Assembled:
    """What came of it."""

    pieces_before: int
    pieces_after: int


def assemble_pairs(
    source: Path,
    folder: Path,
    on_progress: OnProgress | None = None,
    graph: Traversable | None = None,
) -> Assembled:
    """Write `model.onnx`, `weights.bin` and `pieces.tsv` into `folder`, which must be there.

    `graph` is the one of this package, unless a test brings its own. The same source gives the same
    bytes everywhere. Raises `ModelCorrupt`.
    """
    base = E5File(source)
    kept = choose_pieces(base)
    places = layout(base.sizes, len(kept))
    write_tensors(places, base, kept, folder / WEIGHTS, on_progress or (lambda done, total: None))
    write_pieces(base, kept, folder / PIECES)
    (folder / GRAPH).write_bytes((graph or shipped_graph()).read_bytes())
    return Assembled(len(base.pieces), len(kept))


def assemble_reader(
    source: Path, folder: Path, learnt: Path, on_progress: OnProgress | None = None
) -> Assembled:
    """The same with what the reader has learnt (training/generator) in the weights, and its head."""
    base = E5File(source)
    kept = choose_pieces(base)
    places = reader_layout(base.sizes, len(kept))
    adapter = Adapter.load(learnt)
    progress = on_progress or (lambda done, total: None)
    write_tensors(places, base, kept, folder / WEIGHTS, progress, adapter)
    write_pieces(base, kept, folder / PIECES)
    (folder / GRAPH).write_bytes(shipped_graph("reader").read_bytes())
    return Assembled(len(base.pieces), len(kept))


def shipped_graph(name: str = "pairs") -> Traversable:
    """The network without its weights, in this package."""
    return resources.files(__package__) / f"{name}.onnx"


@dataclass(frozen=True)
class Adapter:
    """What was learnt: for each product `a` (rank, inputs) and `b` (outputs, rank), scale included
    (Hu et al. 2021, "LoRA"), and a head. Without arrays it changes nothing.

    Sums are in double precision: the same bytes whatever order a computer adds in.
    """

    arrays: dict[str, NDArray[Any]] = field(default_factory=dict)

    @classmethod
    def load(cls, path: Path) -> Adapter:
        """Raises `ModelCorrupt`."""
        try:
            with np.load(path) as stored:
                return cls({name: stored[name] for name in stored.files})
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise ModelCorrupt(
                f"{path} is not an adapter ({error}). Install kefu again."
            ) from error

    def changed(self, name: str, weights: Floats) -> Floats:
        if f"{name}.a" not in self.arrays:
            return weights
        a, b = (self.arrays[f"{name}.{part}"].astype(np.float64) for part in "ab")
        if (b.shape[0], a.shape[1]) != weights.shape or b.shape[1] != a.shape[0]:
            raise ModelCorrupt(
                f"What was learnt for {name} is {b.shape} by {a.shape}, the weights are "
                f"{weights.shape}. Install kefu again."
            )
        return np.asarray(weights + b @ a, np.float32)

    def head(self) -> Named:
        for name in ("head.weights", "head.bias"):
            if name in self.arrays:
                yield name, self.arrays[name].astype(np.float32)


def choose_pieces(base: E5File) -> list[int]:
    """Ids to keep, in their new order: the special ones first."""
    special = base.special
    first = [special.begin, special.padding, special.end, special.unknown]
    rest = (
        number
        for number, piece in enumerate(base.pieces)
        if number not in first and piece not in _NO_TEXT and _KEPT.fullmatch(piece)
    )
    return [*first, *rest]


def write_tensors(
    places: tuple[Tensor, ...],
    base: E5File,
    kept: list[int],
    path: Path,
    on_progress: OnProgress,
    adapter: Adapter = Adapter(),
) -> None:
    """Each tensor at its place. Raises `ModelCorrupt` for one that does not fit there."""
    positions = next(place.shape[0] for place in places if place.name == "positions")
    tensors = _tensors(base, kept, positions, adapter)
    total = places[-1].begin + places[-1].size
    with path.open("wb") as file:
        for place in places:
            file.write(bytes(place.begin - file.tell()))
            file.write(_fitting(place, tensors.get(place.name)))
            on_progress(place.begin + place.size, total)


def write_pieces(base: E5File, kept: list[int], path: Path) -> None:
    """A line for each id: the piece, a tab, its score so that float32 reads it back exactly."""
    names = chain(SPECIAL, (base.pieces[number] for number in kept[len(SPECIAL) :]))
    lines = (f"{name}\t{base.scores[number]!s}\n" for name, number in zip(names, kept, strict=True))
    path.write_text("".join(lines), "utf-8", newline="\n")


def _tensors(
    base: E5File, kept: list[int], count: int, adapter: Adapter
) -> dict[str, NDArray[Any]]:
    """By the names of the layout. Every token is of type 0, so its row joins the positions."""
    sizes = base.sizes
    codes, scales = base.blocks("emb.word", sizes.tokens, sizes.width)
    positions = base.numbers("emb.pos", sizes.positions, sizes.width)[:count]
    types = base.numbers("emb.type", sizes.types, sizes.width)
    tensors: dict[str, NDArray[Any]] = {
        "tokens.codes": _in_pairs(codes[kept]),
        "tokens.scales": scales[kept],
        "positions": positions + types[0],
    }
    tensors |= dict(_norm(base, "emb.ln", "norm"))
    for number in range(sizes.layers):
        tensors |= dict(_layer(base, number, adapter))
    return tensors | dict(adapter.head())


def _in_pairs(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two codes a byte as ONNX Runtime reads them: neighbours, the first in the low half."""
    return np.asarray(codes[:, 0::2] | codes[:, 1::2] << 4, np.uint8)


def _layer(base: E5File, number: int, adapter: Adapter) -> Named:
    width, inner = base.sizes.width, base.sizes.inner
    products = (
        ("query_key_value", ("q", "k", "v"), width, width),
        ("attended", ("ao",), width, width),
        ("inner", ("fi",), width, inner),
        ("outer", ("fo",), inner, width),
    )
    for new, names, inputs, outputs in products:
        weights, bias = _product(base, [f"l{number}.{name}" for name in names], inputs, outputs)
        name = f"{number}.{new}"
        yield from _product_tensors(name, adapter.changed(name, weights), bias)
    yield from _norm(base, f"l{number}.aln", f"{number}.attention_norm")
    yield from _norm(base, f"l{number}.oln", f"{number}.norm")


def _product(base: E5File, names: list[str], inputs: int, outputs: int) -> tuple[Floats, Floats]:
    """One matrix and its bias; several names, each of `outputs`, are stacked."""
    weights = np.concatenate([base.matrix(f"{name}.w", outputs, inputs) for name in names])
    return weights, np.concatenate([base.numbers(f"{name}.b", outputs) for name in names])


def _product_tensors(name: str, weights: Floats, bias: Floats) -> Named:
    """A matrix (outputs, inputs) and its bias under the names of the layout."""
    codes, scales = quantised(weights)
    yield f"{name}.codes", codes
    yield f"{name}.scales", scales
    yield f"{name}.bias", bias


def _norm(base: E5File, old: str, new: str) -> Named:
    yield f"{new}.gain", gain(base.numbers(f"{old}.w", base.sizes.width))
    yield f"{new}.bias", base.numbers(f"{old}.b", base.sizes.width)


def _fitting(place: Tensor, values: NDArray[Any] | None) -> bytes:
    """The bytes of a tensor, little-endian, if it is what the graph expects."""
    kind = np.dtype(place.kind)
    if values is None or values.shape != place.shape or values.dtype != kind:
        found = "missing" if values is None else f"{values.dtype} {values.shape}"
        raise ModelCorrupt(
            f"The model cannot be made: tensor {place.name} is {found} instead of "
            f"{kind} {place.shape}. Install kefu again, then pull the model again."
        )
    return values.astype(kind.newbyteorder("<")).tobytes()
