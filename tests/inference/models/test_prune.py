from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import gguf
import numpy as np
import pytest

from kefu.errors import ModelCorrupt
from kefu.inference.models import prune
from kefu.inference.models.prune import Pruning, prune_vocabulary

from .making import KEPT, TOKENS, SmallGguf, write_gguf

SOURCE_SUM = "ab" * 32


def read(path: Path) -> tuple[dict[str, object], dict[str, gguf.ReaderTensor]]:
    reader = gguf.GGUFReader(path)
    values = {name: field.contents() for name, field in reader.fields.items()}
    return values, {tensor.name: tensor for tensor in reader.tensors}


def test_rows_are_exact_and_ids_follow(small_gguf: SmallGguf, tmp_path: Path) -> None:
    target, done = tmp_path / "pruned.gguf", []
    pruning = prune_vocabulary(
        small_gguf.path, target, SOURCE_SUM, lambda *numbers: done.append(numbers)
    )
    values, tensors = read(target)
    sizes = small_gguf.path.stat().st_size, target.stat().st_size
    assert pruning == Pruning(len(TOKENS), len(KEPT), *sizes)
    np.testing.assert_array_equal(tensors["token_embd.weight"].data, small_gguf.rows[KEPT])
    np.testing.assert_array_equal(tensors["output_norm.weight"].data, small_gguf.norm)
    assert values["tokenizer.ggml.tokens"] == [TOKENS[i][0] for i in KEPT]
    assert values["tokenizer.ggml.token_type"] == [TOKENS[i][1] for i in KEPT]
    assert values["tokenizer.ggml.scores"] == [-float(i) for i in KEPT]
    assert values["tokenizer.ggml.eot_token_id"] == KEPT.index(14)
    assert values["tokenizer.ggml.eos_token_id"] == 1
    assert values["gemma3.vocab_size"] == len(KEPT)
    assert values["kefu.pruned.version"] == prune.PRUNING_VERSION
    assert values["kefu.pruned.source_sha256"] == SOURCE_SUM
    assert values["general.tags"] == ["a", "b"]
    assert done[-1][0] == done[-1][1]


def test_all_other_metadata_stays(small_gguf: SmallGguf, tmp_path: Path) -> None:
    prune_vocabulary(small_gguf.path, tmp_path / "pruned.gguf", SOURCE_SUM)
    before, after = read(small_gguf.path)[0], read(tmp_path / "pruned.gguf")[0]
    changed = {key for key in before if before[key] != after[key]}
    vocabulary = {f"tokenizer.ggml.{name}" for name in ("tokens", "scores", "token_type")}
    assert changed == vocabulary | {
        "GGUF.kv_count",
        "gemma3.vocab_size",
        "tokenizer.ggml.eot_token_id",
    }


def test_best_ranked_ascii_stays(
    small_gguf: SmallGguf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(prune, "MOST_FREQUENT_ASCII", 0)
    prune_vocabulary(small_gguf.path, tmp_path / "pruned.gguf", SOURCE_SUM)
    tokens = read(tmp_path / "pruned.gguf")[0]["tokenizer.ggml.tokens"]
    assert tokens == [TOKENS[i][0] for i in KEPT if TOKENS[i][0] != "▁hello"]


def test_same_source_gives_same_bytes(small_gguf: SmallGguf, tmp_path: Path) -> None:
    for name in ("a", "b"):
        prune_vocabulary(small_gguf.path, tmp_path / name, SOURCE_SUM)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"model": "gpt2"}, "'gpt2' vocabulary"),
        ({"sep_token_id": 99}, "is 99, but there are 18 tokens"),
        ({"head_count_kv": [1] * len(TOKENS)}, "a value for each token; unknown"),
        ({"numbers": {"split.count": 2}}, "one part of a split"),
    ],
)
def test_other_vocabularies_are_refused(
    options: dict[str, object], said: str, tmp_path: Path
) -> None:
    path = write_gguf(tmp_path / "x.gguf", **options).path
    with pytest.raises(ModelCorrupt, match=said):
        prune_vocabulary(path, tmp_path / "pruned.gguf", SOURCE_SUM)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["x.gguf"]


def test_pruned_once_is_enough(small_gguf: SmallGguf, tmp_path: Path) -> None:
    prune_vocabulary(small_gguf.path, tmp_path / "a.gguf", SOURCE_SUM)
    with pytest.raises(ModelCorrupt, match="pruned already"):
        prune_vocabulary(tmp_path / "a.gguf", tmp_path / "b.gguf", SOURCE_SUM)


def test_every_truncation_is_a_clear_error(small_gguf: SmallGguf, tmp_path: Path) -> None:
    whole = small_gguf.path.read_bytes()
    cut = tmp_path / "cut.gguf"
    for length in (0, 3, 4, 20, 23, 24, 30, 100, 400, 700, 1000, len(whole) // 2, len(whole) - 33):
        cut.write_bytes(whole[:length])
        with pytest.raises(ModelCorrupt, match=r"cut\.gguf"):
            prune_vocabulary(cut, tmp_path / "pruned.gguf", SOURCE_SUM)
    assert not (tmp_path / "pruned.gguf").exists()


def test_random_damage_never_crashes(small_gguf: SmallGguf, tmp_path: Path) -> None:
    """Whatever one wrong byte in the head does, it is `ModelCorrupt` or a model that is read."""
    whole = small_gguf.path.read_bytes()
    bad = tmp_path / "bad.gguf"
    for position in range(0, 1400, 3):
        data = bytearray(whole)
        data[position] ^= 0xFF
        bad.write_bytes(data)
        with suppress(ModelCorrupt):
            prune_vocabulary(bad, tmp_path / "pruned.gguf", SOURCE_SUM)
