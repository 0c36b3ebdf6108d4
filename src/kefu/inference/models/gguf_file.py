"""Reads the head of a GGUF file: metadata and tensor table, every length checked.

A malformed GGUF can crash llama.cpp, and it is read at every start, so kefu looks before it hands
one over. The `gguf` package makes one numpy object per array element, which takes five seconds for
a vocabulary of 262,144 tokens; walking the bytes takes a tenth of one.

Format: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, versions 2 and 3, little-endian.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

from kefu.errors import ModelCorrupt

MAGIC = b"GGUF"
STRING = 8
ARRAY = 9
_SCALARS = {
    0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d",
}  # fmt: skip
_MAX_DIMS = 4  # GGML_MAX_DIMS
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


@dataclass(frozen=True)
class Entry:
    """One metadata value: where it lies in the file. `item_kind` and `count` are for arrays."""

    key: str
    kind: int
    begin: int
    value_begin: int
    end: int
    item_kind: int = -1
    count: int = 0


@dataclass(frozen=True)
class Tensor:
    """One tensor: `dims` fastest first as in the file, `begin` and `size` in bytes of the file."""

    name: str
    dims: tuple[int, ...]
    kind: int
    begin: int
    size: int

    @property
    def rows(self) -> int:
        """Rows along the second dimension: of a token embedding, its tokens."""
        return self.dims[1] if len(self.dims) > 1 else 1


class GgufFile:
    """The head of an open GGUF. Values are decoded when asked for."""

    def __init__(self, path: Path, data: mmap.mmap) -> None:
        self.path = path
        self._data = data
        self.version, tensor_count, entry_count = struct.unpack_from("<IQQ", data, 4)
        if self.version not in (2, 3):
            raise ValueError(f"version {self.version} is not 2 or 3, little-endian")
        at = 24
        self.entries: dict[str, Entry] = {}
        for _ in range(entry_count):
            entry = _read_entry(data, at)
            self.entries[entry.key] = entry
            at = entry.end
        self.alignment = int(self.find("general.alignment", 32))
        if self.alignment <= 0 or self.alignment & (self.alignment - 1):
            raise ValueError(f"alignment {self.alignment} is not a power of two")
        table = [_TableReader(data, at)]
        infos = [table[0].next() for _ in range(tensor_count)]
        self.data_begin = _padded(table[0].at, self.alignment)
        self.tensors = tuple(self._placed(*info) for info in infos)

    def _placed(self, name: str, dims: tuple[int, ...], kind: int, offset: int) -> Tensor:
        tensor = Tensor(name, dims, kind, self.data_begin + offset, _tensor_bytes(dims, kind))
        if tensor.begin + tensor.size > len(self._data):
            raise ValueError(f"the file ends inside tensor {name}")
        return tensor

    def find(self, key: str, default: Any = None) -> Any:
        """A scalar, string or list by key, or `default`."""
        entry = self.entries.get(key)
        if entry is None:
            return default
        if entry.kind == ARRAY:
            return self.strings(key) if entry.item_kind == STRING else self.numbers(key)
        if entry.kind == STRING:
            return bytes(self._data[entry.value_begin + 8 : entry.end]).decode(errors="replace")
        return struct.unpack_from(_SCALARS[entry.kind], self._data, entry.value_begin)[0]

    def strings(self, key: str) -> list[bytes]:
        """An array of strings, as the bytes in the file."""
        entry = self.entries[key]
        at, found = entry.value_begin + 12, []
        for _ in range(entry.count):
            length = _U64.unpack_from(self._data, at)[0]
            found.append(self._data[at + 8 : at + 8 + length])
            at += 8 + length
        return found

    def numbers(self, key: str) -> list[Any]:
        """An array of numbers."""
        entry = self.entries[key]
        code = f"<{entry.count}{_SCALARS[entry.item_kind][1]}"
        return list(struct.unpack_from(code, self._data, entry.value_begin + 12))

    def raw(self, key: str) -> bytes:
        """Key, type and value exactly as they stand in the file."""
        entry = self.entries[key]
        return self._data[entry.begin : entry.end]


@contextmanager
def open_gguf(path: Path) -> Iterator[GgufFile]:
    """Open and check a GGUF. Raises `ModelCorrupt` that says what does not fit."""
    with _mapped(path) as data:
        try:
            opened = GgufFile(path, data)
        except (struct.error, ValueError, KeyError, OverflowError, MemoryError) as error:
            raise ModelCorrupt(
                f"{path} is damaged or cut short ({error}). Fetch the file again."
            ) from error
        yield opened


@contextmanager
def _mapped(path: Path) -> Iterator[mmap.mmap]:
    with path.open("rb") as file:
        if file.read(4) != MAGIC:
            raise ModelCorrupt(
                f"{path} is not a GGUF file: it does not begin with {MAGIC.decode()}. "
                "kefu needs a model converted for llama.cpp."
            )
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            yield data


class _TableReader:
    """Walks the tensor table: name, dimensions, type, offset."""

    def __init__(self, data: mmap.mmap, at: int) -> None:
        self._data = data
        self.at = at

    def next(self) -> tuple[str, tuple[int, ...], int, int]:
        name, at = _read_string(self._data, self.at)
        count = _U32.unpack_from(self._data, at)[0]
        if not 1 <= count <= _MAX_DIMS:
            raise ValueError(f"tensor {name} has {count} dimensions")
        dims = struct.unpack_from(f"<{count}Q", self._data, at + 4)
        kind, offset = struct.unpack_from("<IQ", self._data, at + 4 + 8 * count)
        self.at = at + 16 + 8 * count
        return name, dims, kind, offset


def _tensor_bytes(dims: tuple[int, ...], kind: int) -> int:
    block, block_bytes = GGML_QUANT_SIZES[GGMLQuantizationType(kind)]
    return prod(dims) * int(block_bytes) // int(block)


def _padded(at: int, alignment: int) -> int:
    return -(-at // alignment) * alignment


def _read_string(data: mmap.mmap, at: int) -> tuple[str, int]:
    length = _U64.unpack_from(data, at)[0]
    end = at + 8 + length
    if end > len(data):
        raise ValueError("the file ends inside a name")
    return data[at + 8 : end].decode(), end


def _read_entry(data: mmap.mmap, begin: int) -> Entry:
    key, at = _read_string(data, begin)
    kind = _U32.unpack_from(data, at)[0]
    at += 4
    if kind == ARRAY:
        item_kind, count = struct.unpack_from("<IQ", data, at)
        end = _array_end(data, at + 12, item_kind, count)
        return Entry(key, kind, begin, at, _inside(data, end, key), item_kind, count)
    return Entry(key, kind, begin, at, _inside(data, _array_end(data, at, kind, 1), key))


def _array_end(data: mmap.mmap, at: int, kind: int, count: int) -> int:
    """End of `count` values of one kind. An array in an array is legal but used by no model."""
    if kind == STRING:
        unpack = _U64.unpack_from
        for _ in range(count):
            at += 8 + unpack(data, at)[0]
        return at
    return at + count * struct.calcsize(_SCALARS[kind])


def _inside(data: mmap.mmap, end: int, key: str) -> int:
    if end > len(data):
        raise ValueError(f"the file ends inside {key}")
    return end
