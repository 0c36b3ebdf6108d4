"""What the tests of models make for themselves: entries, wheels and GGUF files."""

from __future__ import annotations

import base64
import hashlib
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import gguf
import numpy as np


class Watcher:
    """Keeps everything a pull said."""

    def __init__(self) -> None:
        self.licences: list[str] = []
        self.steps: list[str] = []
        self.advances: list[tuple[str, int, int]] = []

    def licence(self, model: Any) -> None:
        self.licences.append(model.name)

    def step(self, text: str) -> None:
        self.steps.append(text)

    def advance(self, label: str, done: int, total: int) -> None:
        self.advances.append((label, done, total))


def entry(name: str, *sources: str, content: bytes | None = None, size_bytes: int = 0) -> str:
    """One catalogue entry with one file; each source is TOML. `content` gives sum and size."""
    sha256 = hashlib.sha256(content).hexdigest() if content is not None else ""
    size = len(content) if content is not None else size_bytes
    return f"""
[[model]]
name = "{name}"
task = "generator"
title = "for a test"
licence = "MIT"
[[model.files]]
path = "model.bin"
sha256 = "{sha256}"
size_bytes = {size}
sources = [{", ".join(sources)}]
"""


def make_wheel(shelf: Path, name: str, members: dict[str, bytes], *, lie: bool = False) -> Path:
    """A wheel of version 1.0. `lie`: RECORD has the sums of other bytes."""
    info = f"{name}-1.0.dist-info"
    files = {
        **members,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"
        "Requires-Dist: never-to-be-fetched\n".encode(),
        f"{info}/WHEEL": b"Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    lines = [
        f"{path},{_record_sum(b'?' if lie else data)},{len(data)}" for path, data in files.items()
    ]
    files[f"{info}/RECORD"] = "\n".join([*lines, f"{info}/RECORD,,"]).encode()
    path = shelf / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
        for member, data in files.items():
            wheel.writestr(member, data)
    return path


def _record_sum(data: bytes) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"sha256={digest}"


@dataclass
class Hub:
    """An HTTP server that speaks what both hubs' libraries ask for one file.

    The first `failures` GETs of the file break off in the middle.
    """

    content: bytes
    url: str = ""
    failures: int = 0
    requests: list[tuple[str, str, str | None]] = field(default_factory=list)


TOKENS: list[tuple[str, int]] = [
    ("<pad>", 3), ("<eos>", 3), ("<bos>", 3), ("<unk>", 2), ("<unused0>", 3), ("<0x0A>", 6),
    ("привет", 1), ("▁hello", 1), ("你好", 1), ("の", 1), ("，", 1), ("▁的", 1), ("é", 1),
    ("a", 1), ("<start_of_turn>", 4), ("😀", 1), ("人間の", 1), ("℃", 1),
]  # fmt: skip
KEPT = [0, 1, 2, 3, 5, 7, 8, 10, 11, 13, 14, 15, 17]
WIDTH = 64


@dataclass(frozen=True)
class SmallGguf:
    path: Path
    rows: np.ndarray
    norm: np.ndarray


def write_gguf(
    path: Path,
    *,
    model: str = "llama",
    numbers: dict[str, int] | None = None,
    texts: dict[str, str] | None = None,
    **extra: Any,
) -> SmallGguf:
    """A GGUF of a tiny vocabulary, Q8_0 embeddings, written by the `gguf` package."""
    random = np.random.default_rng(7)
    values = random.standard_normal((len(TOKENS), WIDTH), dtype=np.float32)
    rows = gguf.quants.quantize(values, gguf.GGMLQuantizationType.Q8_0)
    norm = random.standard_normal(WIDTH, dtype=np.float32)
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_name("Small")
    writer.add_vocab_size(len(TOKENS))
    writer.add_array("general.tags", ["a", "b"])
    writer.add_tokenizer_model(model)
    writer.add_token_list([text for text, _ in TOKENS])
    writer.add_token_scores([-float(index) for index in range(len(TOKENS))])
    writer.add_token_types([kind for _, kind in TOKENS])
    writer.add_bos_token_id(2)
    writer.add_eos_token_id(1)
    writer.add_unk_token_id(3)
    writer.add_pad_token_id(0)
    writer.add_eot_token_id(14)
    for key, number in (numbers or {}).items():
        writer.add_uint32(key, number)
    for key, text in (texts or {}).items():
        writer.add_string(key, text)
    for key, value in extra.items():
        getattr(writer, f"add_{key}")(value)
    writer.add_tensor("output_norm.weight", norm)
    writer.add_tensor("token_embd.weight", rows, raw_dtype=gguf.GGMLQuantizationType.Q8_0)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return SmallGguf(path, rows, norm)
