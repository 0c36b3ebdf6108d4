"""Makes a generator that has learnt: adds a LoRA adapter to its weights and quantises them again.

llama.cpp can apply an adapter while it runs; that adds two small products to each of 126 large ones
and took 16% of the speed of Gemma 3 270M. Merged it costs nothing.

`W + alpha / rank * B A` (Hu et al. 2021) is computed in double precision, so that the file has the
same bytes whatever order a computer's linear algebra adds in. Quantising is llama.cpp's own, in the
`gguf` package. That has no writer for K-quants: their matrices become the plain kind that is nearest
in speed (training/generator/README.md has the figures).
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize, quant_shape_to_byte_shape, quantize

from kefu.errors import ModelCorrupt
from kefu.inference.models.files import replace_durably
from kefu.inference.models.gguf_file import GgufFile, Tensor, open_gguf
from kefu.inference.models.gguf_writing import UINT32, pad, scalar, string, write_head

MERGING_VERSION = 2
"""Raise when the arithmetic or the layout changes: the catalogue's SHA-256 changes with it."""

_KEPT_KINDS = (Kind.F32, Kind.F16, Kind.Q4_0, Kind.Q4_1, Kind.Q5_0, Kind.Q5_1, Kind.Q8_0)
_BECOMES = {Kind.Q2_K: Kind.Q4_0, Kind.Q3_K: Kind.Q4_0, Kind.Q4_K: Kind.Q4_0, Kind.Q5_K: Kind.Q5_0}
_A, _B = ".lora_a", ".lora_b"
OnProgress = Callable[[int, int], None]
"""Told the bytes written and the bytes to write."""


@dataclass(frozen=True)
class Merging:
    """What came of it."""

    matrices: int
    bytes_before: int
    bytes_after: int


def merge_adapter(
    source: Path, adapter: Path, target: Path, on_progress: OnProgress | None = None
) -> Merging:
    """Write `source` with `adapter` in its weights to `target`, whole or not at all.

    The same files give the same bytes. Raises `ModelCorrupt` where one is damaged, or the adapter
    is not for this model.
    """
    partial = target.with_name(target.name + ".partial")
    try:
        with open_gguf(source) as model, open_gguf(adapter) as learnt:
            changes = _changes(model, learnt)
            _write(model, changes, partial, on_progress or (lambda done, total: None))
        replace_durably(partial, target)
    except (struct.error, ValueError, KeyError, TypeError) as error:
        raise ModelCorrupt(f"{source} and {adapter} do not go together ({error!r}).") from error
    finally:
        partial.unlink(missing_ok=True)
    return Merging(len(changes), source.stat().st_size, target.stat().st_size)


@dataclass(frozen=True)
class _Change:
    """Scale · b·a is added to a matrix of (outputs, inputs): a (rank, inputs), b (outputs, rank)."""

    a: npt.NDArray[np.float64]
    b: npt.NDArray[np.float64]
    scale: float

    def applied_to(self, weights: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
        return (weights.astype(np.float64) + self.scale * (self.b @ self.a)).astype(np.float32)


def _changes(model: GgufFile, adapter: GgufFile) -> dict[str, _Change]:
    """By the name of the matrix each is for."""
    if adapter.find("adapter.type") != "lora":
        raise ModelCorrupt(f"{adapter.path} is not a LoRA adapter.")
    architectures = [file.find("general.architecture") for file in (model, adapter)]
    if architectures[0] != architectures[1]:
        raise ModelCorrupt(f"{adapter.path} is for a {architectures[1]}, not {architectures[0]}.")
    alpha = float(adapter.find("adapter.lora.alpha"))
    parts = {tensor.name: _numbers(adapter, tensor) for tensor in adapter.tensors}
    matrices = {tensor.name: tensor for tensor in model.tensors}
    changes = {}
    for name in (name.removesuffix(_A) for name in parts if name.endswith(_A)):
        a, b = (parts[name + part].astype(np.float64) for part in (_A, _B))
        dims = matrices[name].dims if name in matrices else ()
        if dims != (a.shape[1], b.shape[0]) or a.shape[0] != b.shape[1]:
            raise ModelCorrupt(f"{adapter.path} changes {name}, which {model.path} has otherwise.")
        changes[name] = _Change(a, b, alpha / a.shape[0])
    if not changes:
        raise ModelCorrupt(f"{adapter.path} changes nothing.")
    return changes


def _write(
    model: GgufFile, changes: dict[str, _Change], path: Path, on_progress: OnProgress
) -> None:
    entries = [*map(model.raw, model.entries), *_record(model, changes)]
    tensors = [_merged(tensor) if tensor.name in changes else tensor for tensor in model.tensors]
    with path.open("wb") as file:
        write_head(file, model, entries, tensors)
        done, total = 0, sum(tensor.size for tensor in tensors)
        for old, new in zip(model.tensors, tensors, strict=True):
            if change := changes.get(old.name):
                weights = change.applied_to(_numbers(model, old))
                file.write(quantize(weights, Kind(new.kind)).tobytes())
            else:
                file.write(_stored(model, old).data)
            pad(file, model.alignment)
            done += new.size
            on_progress(done, total)


def _merged(tensor: Tensor) -> Tensor:
    """The matrix as it will be stored."""
    old = Kind(tensor.kind)
    kind = old if old in _KEPT_KINDS else _BECOMES.get(old, Kind.Q8_0)
    shape = quant_shape_to_byte_shape if kind not in (Kind.F32, Kind.F16) else _plain_shape
    return replace(tensor, kind=int(kind), size=int(np.prod(shape(tensor.dims[::-1], kind))))


def _plain_shape(shape: tuple[int, ...], kind: Kind) -> tuple[int, ...]:
    return (*shape, 4 if kind is Kind.F32 else 2)


def _numbers(gguf: GgufFile, tensor: Tensor) -> npt.NDArray[Any]:
    """(rows, columns) of a matrix."""
    rows = _stored(gguf, tensor).reshape(tensor.rows, -1)
    kind = Kind(tensor.kind)
    if kind in (Kind.F32, Kind.F16):
        return rows.view("<f4" if kind is Kind.F32 else "<f2")
    numbers: npt.NDArray[np.float32] = dequantize(rows, kind)
    return numbers


def _stored(gguf: GgufFile, tensor: Tensor) -> npt.NDArray[np.uint8]:
    data = np.memmap(gguf.path, dtype=np.uint8, mode="r")
    return data[tensor.begin : tensor.begin + tensor.size]


def _record(model: GgufFile, changes: dict[str, _Change]) -> list[bytes]:
    """Says in the file what was done to it, as the licences of most models ask."""
    notice = f"Modified by kefu: a LoRA adapter was added to {len(changes)} matrices."
    known = [key for key in ("kefu.merged.version", "kefu.merged.notice") if key in model.entries]
    if known:
        raise ModelCorrupt(f"{model.path} has an adapter in it already. Merge into the original.")
    return [
        scalar("kefu.merged.version", UINT32, MERGING_VERSION),
        string("kefu.merged.notice", notice),
    ]
