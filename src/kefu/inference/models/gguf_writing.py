"""The bytes of a GGUF file's head: what makes changed copies of a model writes them with these."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from typing import IO

from kefu.inference.models.gguf_file import ARRAY, STRING, GgufFile, Tensor

UINT32, INT32 = 4, 5
_CODES = {UINT32: "I", INT32: "i", 10: "Q", 11: "q"}


def write_head(
    file: IO[bytes], like: GgufFile, entries: Sequence[bytes], tensors: Sequence[Tensor]
) -> None:
    """Metadata and tensor table, in the version and alignment of the file that is copied.

    The tensors' data must follow in this order, each padded.
    """
    file.write(struct.pack("<4sIQQ", b"GGUF", like.version, len(tensors), len(entries)))
    file.write(b"".join(entries))
    file.write(b"".join(_tensor_table(tensors, like.alignment)))
    pad(file, like.alignment)


def pad(file: IO[bytes], alignment: int) -> None:
    file.write(bytes(-file.tell() % alignment))


def packed(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def scalar(key: str, kind: int, value: int) -> bytes:
    return packed(key.encode()) + struct.pack(f"<I{_CODES[kind]}", kind, value)


def string(key: str, value: str) -> bytes:
    return packed(key.encode()) + struct.pack("<I", STRING) + packed(value.encode())


def array(key: str, item_kind: int, count: int, items: bytes) -> bytes:
    return packed(key.encode()) + struct.pack("<IIQ", ARRAY, item_kind, count) + items


def _tensor_table(tensors: Sequence[Tensor], alignment: int) -> Iterator[bytes]:
    offset = 0
    for tensor in tensors:
        dims = struct.pack(f"<I{len(tensor.dims)}Q", len(tensor.dims), *tensor.dims)
        yield packed(tensor.name.encode()) + dims + struct.pack("<IQ", tensor.kind, offset)
        offset += -(-tensor.size // alignment) * alignment
