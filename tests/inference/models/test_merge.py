from __future__ import annotations

import hashlib
from pathlib import Path

import gguf
import numpy as np
import pytest
from gguf import GGMLQuantizationType as Kind
from gguf.quants import dequantize, quantize

from kefu.errors import ModelCorrupt, ModelMissing
from kefu.inference.models.catalogue import load_catalogue
from kefu.inference.models.merge import MERGING_VERSION, merge_adapter
from kefu.inference.models.pull import ensure
from kefu.settings import Settings

from .making import Watcher

INPUTS, OUTPUTS, RANK, ALPHA = 256, 96, 4, 8.0
KINDS = {
    "blk.0.attn_q.weight": Kind.Q5_0,
    "blk.0.attn_v.weight": Kind.Q8_0,
    "blk.0.ffn_up.weight": Kind.F16,
}


def matrix(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)


def stored(values: np.ndarray, kind: Kind) -> np.ndarray:
    return values.astype(np.float16) if kind is Kind.F16 else quantize(values, kind)


def loaded(path: Path) -> dict[str, np.ndarray]:
    tensors = gguf.GGUFReader(path).tensors
    return {t.name: dequantize(t.data, t.tensor_type) for t in tensors}


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_name("Small")
    for seed, (name, kind) in enumerate(KINDS.items()):
        raw = stored(matrix(seed, OUTPUTS, INPUTS), kind)
        writer.add_tensor(name, raw, raw_dtype=kind)
    writer.add_tensor("output_norm.weight", matrix(9, INPUTS))
    _finish(writer)
    return path


def write_adapter(
    path: Path,
    *names: str,
    inputs: int = INPUTS,
    kind: str = "lora",
    architecture: str = "gemma3",
) -> Path:
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_string("adapter.type", kind)
    writer.add_float32("adapter.lora.alpha", ALPHA)
    for seed, name in enumerate(names, 20):
        writer.add_tensor(f"{name}.lora_a", matrix(seed, RANK, inputs).astype(np.float16))
        writer.add_tensor(f"{name}.lora_b", matrix(seed + 50, OUTPUTS, RANK).astype(np.float16))
    _finish(writer)
    return path


def _finish(writer: gguf.GGUFWriter) -> None:
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def test_what_was_learnt_is_in_the_weights(model: Path, tmp_path: Path):
    adapter = write_adapter(tmp_path / "adapter.gguf", *KINDS)
    target, done = tmp_path / "merged.gguf", []
    merging = merge_adapter(model, adapter, target, lambda *numbers: done.append(numbers))
    assert merging.matrices == 3
    assert merging.bytes_after == target.stat().st_size
    assert done[-1][0] == done[-1][1] > 0
    before, after, parts = loaded(model), loaded(target), loaded(adapter)
    for name, kind in KINDS.items():
        learnt = ALPHA / RANK * parts[f"{name}.lora_b"] @ parts[f"{name}.lora_a"]
        step = {Kind.Q5_0: 1 / 16, Kind.Q8_0: 1 / 127, Kind.F16: 1 / 1024}[kind]
        wanted = before[name] + learnt
        assert np.abs(after[name] - wanted).max() <= step * np.abs(wanted).max()
        assert np.abs(after[name] - before[name]).max() > 1
    np.testing.assert_array_equal(after["output_norm.weight"], before["output_norm.weight"])


def test_k_quants_become_plain_ones(tmp_path: Path):
    """No library here writes them, so blocks are made by hand: scales, then random numbers."""
    sizes = {Kind.Q4_K: 144, Kind.Q6_K: 210}
    writer = gguf.GGUFWriter(tmp_path / "model.gguf", "gemma3")
    for kind, size in sizes.items():
        blocks = np.random.default_rng(size).integers(0, 256, (OUTPUTS, size), dtype=np.uint8)
        scale = np.frombuffer(np.float16(0.001).tobytes(), np.uint8)
        at = [(0, 2), (2, 4)] if kind is Kind.Q4_K else [(208, 210)]
        for begin, end in at:
            blocks[:, begin:end] = scale
        writer.add_tensor(f"blk.0.{kind.name}.weight", blocks, raw_dtype=kind)
    _finish(writer)
    names = [f"blk.0.{kind.name}.weight" for kind in sizes]
    adapter = write_adapter(tmp_path / "adapter.gguf", *names)
    merge_adapter(tmp_path / "model.gguf", adapter, tmp_path / "merged.gguf")
    kinds = {t.name: t.tensor_type for t in gguf.GGUFReader(tmp_path / "merged.gguf").tensors}
    assert [kinds[name] for name in names] == [Kind.Q4_0, Kind.Q8_0]
    before, after, parts = (
        loaded(tmp_path / file) for file in ("model.gguf", "merged.gguf", "adapter.gguf")
    )
    for name, step in zip(names, (1 / 8, 1 / 127), strict=True):
        wanted = before[name] + ALPHA / RANK * parts[f"{name}.lora_b"] @ parts[f"{name}.lora_a"]
        assert np.abs(after[name] - wanted).max() <= step * np.abs(wanted).max()


def test_the_file_says_what_was_done_and_keeps_the_rest(model: Path, tmp_path: Path):
    adapter = write_adapter(tmp_path / "adapter.gguf", "blk.0.attn_q.weight")
    merge_adapter(model, adapter, tmp_path / "merged.gguf")
    before = gguf.GGUFReader(model).fields
    after = gguf.GGUFReader(tmp_path / "merged.gguf").fields
    assert after["general.name"].contents() == before["general.name"].contents()
    assert after["kefu.merged.version"].contents() == MERGING_VERSION
    assert "1 matrices" in after["kefu.merged.notice"].contents()
    with pytest.raises(ModelCorrupt, match="already"):
        merge_adapter(tmp_path / "merged.gguf", adapter, tmp_path / "twice.gguf")


def test_the_same_files_give_the_same_bytes(model: Path, tmp_path: Path):
    adapter = write_adapter(tmp_path / "adapter.gguf", *KINDS)
    sums = set()
    for name in ("one.gguf", "two.gguf"):
        merge_adapter(model, adapter, tmp_path / name)
        sums.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(sums) == 1


@pytest.mark.parametrize(
    ("names", "options", "message"),
    [
        (["blk.0.attn_q.weight"], {"inputs": INPUTS * 2}, "has otherwise"),
        (["blk.7.attn_q.weight"], {}, "has otherwise"),
        ([], {}, "changes nothing"),
        (["blk.0.attn_q.weight"], {"kind": "ia3"}, "not a LoRA"),
        (["blk.0.attn_q.weight"], {"architecture": "llama"}, "is for a llama"),
    ],
)
def test_an_adapter_of_another_model_is_refused(
    model: Path, tmp_path: Path, names: list[str], options: dict[str, object], message: str
):
    adapter = write_adapter(tmp_path / "adapter.gguf", *names, **options)
    with pytest.raises(ModelCorrupt, match=message):
        merge_adapter(model, adapter, tmp_path / "merged.gguf")
    assert not list(tmp_path.glob("merged*"))


CATALOGUE = """
[[model]]
name = "base"
task = "generator"
title = "fetched"
[[model.files]]
path = "base.gguf"
sources = ["file:model.gguf"]

[[model]]
name = "taught"
task = "generator"
title = "made"
prompt = "trained"
derive = {model = "base", step = "merge-adapter", adapter = "adapter.gguf"}
[[model.files]]
path = "taught.gguf"
"""


def test_a_model_is_taught_when_it_is_pulled(model: Path, tmp_path: Path):
    write_adapter(tmp_path / "adapter.gguf", *KINDS)
    (tmp_path / "catalogue.toml").write_text(CATALOGUE, "utf-8")
    watcher = Watcher()
    found = ensure(Settings(data_dir=tmp_path), "taught", progress=watcher)
    assert load_catalogue(tmp_path).get("taught").prompt == "trained"
    assert "kefu.merged.version" in gguf.GGUFReader(found.path).fields
    assert any(step.startswith("taught the model: 3 matrices") for step in watcher.steps)
    assert not (tmp_path / "models" / "base").exists()


def test_no_half_model_remains_where_the_adapter_is_missing(model: Path, tmp_path: Path):
    (tmp_path / "catalogue.toml").write_text(CATALOGUE, "utf-8")
    with pytest.raises(ModelMissing, match=r"adapter\.gguf of the model taught is missing"):
        ensure(Settings(data_dir=tmp_path), "taught")
    assert not (tmp_path / "models" / "taught").exists()
