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
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib import resources
from importlib.resources.abc import Traversable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kefu.errors import ModelCorrupt
from kefu.inference.models.pairs.e5_file import E5File, Floats
from kefu.inference.models.pairs.layout import (
    GRAPH,
    MAX_TOKENS,
    PIECES,
    WEIGHTS,
    Tensor,
    gain,
    layout,
    quantised,
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


def shipped_graph() -> Traversable:
    """The network without its weights, in this package."""
    return resources.files(__package__) / "graph.onnx"


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
) -> None:
    """Each tensor at its place. Raises `ModelCorrupt` for one that does not fit there."""
    tensors = _tensors(base, kept)
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


def _tensors(base: E5File, kept: list[int]) -> dict[str, NDArray[Any]]:
    """By the names of the layout. Every token is of type 0, so its row joins the positions."""
    sizes = base.sizes
    codes, scales = base.blocks("emb.word", sizes.tokens, sizes.width)
    positions = base.numbers("emb.pos", sizes.positions, sizes.width)[:MAX_TOKENS]
    types = base.numbers("emb.type", sizes.types, sizes.width)
    tensors: dict[str, NDArray[Any]] = {
        "tokens.codes": _in_pairs(codes[kept]),
        "tokens.scales": scales[kept],
        "positions": positions + types[0],
    }
    tensors |= dict(_norm(base, "emb.ln", "norm"))
    for number in range(sizes.layers):
        tensors |= dict(_layer(base, number))
    return tensors


def _in_pairs(codes: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Two codes a byte as ONNX Runtime reads them: neighbours, the first in the low half."""
    return np.asarray(codes[:, 0::2] | codes[:, 1::2] << 4, np.uint8)


def _layer(base: E5File, number: int) -> Named:
    width, inner = base.sizes.width, base.sizes.inner
    old, new = f"l{number}", str(number)
    yield from _product(base, (f"{old}.q", f"{old}.k", f"{old}.v"), f"{new}.query_key_value", width)
    yield from _product(base, (f"{old}.ao",), f"{new}.attended", width)
    yield from _norm(base, f"{old}.aln", f"{new}.attention_norm")
    yield from _product(base, (f"{old}.fi",), f"{new}.inner", width, inner)
    yield from _product(base, (f"{old}.fo",), f"{new}.outer", inner, width)
    yield from _norm(base, f"{old}.oln", f"{new}.norm")


def _product(
    base: E5File, names: tuple[str, ...], new: str, inputs: int, outputs: int = 0
) -> Named:
    """One matrix and its bias; several names are stacked. `outputs` of each, if not `inputs`."""
    outputs = outputs or inputs
    weights = np.concatenate([base.matrix(f"{name}.w", outputs, inputs) for name in names])
    bias = np.concatenate([base.numbers(f"{name}.b", outputs) for name in names])
    yield from _product_tensors(new, weights, bias)


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
