from __future__ import annotations

from pathlib import Path

import gguf
import pytest

from kefu.errors import ModelCorrupt
from kefu.inference.models.gguf_file import open_gguf

from .making import TOKENS, SmallGguf


def test_reads_what_the_gguf_package_reads(small_gguf: SmallGguf) -> None:
    reader = gguf.GGUFReader(small_gguf.path)
    with open_gguf(small_gguf.path) as opened:
        assert list(opened.entries) == [key for key in reader.fields if key[:5] != "GGUF."]
        assert opened.find("gemma3.vocab_size") == len(TOKENS)
        assert opened.find("general.name") == "Small"
        assert opened.find("general.tags") == [b"a", b"b"]
        assert opened.find("missing", "else") == "else"
        places = [(tensor.name, tensor.begin, tensor.size) for tensor in opened.tensors]
    assert places == [(t.name, t.data_offset, t.n_bytes) for t in reader.tensors]


def test_another_file_is_no_gguf(tmp_path: Path) -> None:
    path = tmp_path / "model.onnx"
    path.write_bytes(b"onnx")
    with pytest.raises(ModelCorrupt, match="is not a GGUF file"), open_gguf(path):
        pass
