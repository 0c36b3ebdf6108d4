"""From a fine-tuned folder to one without PyTorch."""

from __future__ import annotations

import json
import pickle
import shutil
import socket
from pathlib import Path

import numpy as np
import pytest

from kefu.bert.export import export
from kefu.bert.finetune import FineTuned, finetune, save
from kefu.bert.manifest import MANIFEST, MODEL, TOKENIZER
from kefu.bert.session import BertSession
from kefu.errors import InvalidInput, ModelCorrupt, ModelMissing
from tests.bert.small_models import EXAMPLES, VOCABULARY, make_bert, real_bert

TEXTS = [text for text, _ in EXAMPLES]


@pytest.fixture
def copy(classifier: Path, tmp_path: Path) -> Path:
    return shutil.copytree(classifier, tmp_path / "copy")


@pytest.mark.parametrize(("int8", "tolerance"), [(False, 1e-4), (True, 0.3)])
def test_answers_as_pytorch_does(
    classifier: Path, tuned: FineTuned, tmp_path: Path, int8: bool, tolerance: float
) -> None:
    report = export(classifier, tmp_path / "out", int8=int8, check_texts=TEXTS)
    assert report.labels == tuned.labels
    assert report.kind == ("int8" if int8 else "fp32")
    assert report.checked == len(TEXTS)
    assert report.max_logit_difference < 1e-4
    assert report.same_label > 0.9
    assert report.max_tokens == 64, "the model has no more positions"

    session = BertSession(tmp_path / "out", 1)
    assert (session.labels, session.kind) == (report.labels, report.kind)
    texts = [*TEXTS, "", "\ud800 refund", "how " * 500]
    np.testing.assert_allclose(session.logits(texts), tuned.logits(texts), atol=tolerance)


@pytest.mark.parametrize("kind", ["Roberta", "DistilBert", "Electra", "Albert"])
def test_its_kin_go_the_same_way(encoder: Path, tmp_path: Path, kind: str) -> None:
    import transformers

    sizes = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = getattr(transformers, f"{kind}Config")(
        vocab_size=len(VOCABULARY),
        max_position_embeddings=40,
        pad_token_id=0,
        embedding_size=32,
        **sizes | ({"dim": 32} if kind == "DistilBert" else {"intermediate_size": 64}),
    )
    source = tmp_path / "source"
    getattr(transformers, f"{kind}Model")(config).save_pretrained(str(source))
    for name in ("vocab.txt", "tokenizer_config.json"):
        shutil.copy(encoder / name, source)

    tuned = finetune(source, EXAMPLES, EXAMPLES, epochs=1, batch=8)
    save(tuned, tmp_path / "saved")
    report = export(tmp_path / "saved", tmp_path / "out", int8=False, check_texts=TEXTS)
    assert report.max_tokens == (39 if kind == "Roberta" else 40)
    texts = [*TEXTS, "", "how " * 200]
    found = BertSession(tmp_path / "out", 1).logits(texts)
    np.testing.assert_allclose(found, tuned.logits(texts), atol=1e-4)


def test_leaves_three_files_and_replaces_an_older_export(classifier: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    fp32 = export(classifier, out, int8=False)
    int8 = export(classifier, out)
    assert sorted(path.name for path in out.iterdir()) == [MANIFEST, MODEL, TOKENIZER]
    assert int8.fp32_bytes == fp32.written_bytes
    assert (out / MODEL).stat().st_size == int8.written_bytes
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_never_writes_over_other_things(classifier: Path, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(InvalidInput, match="other things"):
        export(classifier, tmp_path)
    with pytest.raises(InvalidInput, match="other things"):
        export(classifier, classifier)


def test_an_encoder_without_a_head_is_refused(encoder: Path, tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="without a trained classifier"):
        export(encoder, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_one_label_is_refused(copy: Path, tmp_path: Path) -> None:
    config = json.loads((copy / "config.json").read_text("utf-8"))
    config |= {"id2label": {"0": "only"}, "label2id": {"only": 0}, "num_labels": 1}
    (copy / "config.json").write_text(json.dumps(config), "utf-8")
    with pytest.raises((InvalidInput, ModelCorrupt)):
        export(copy, tmp_path / "out")


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(copy: Path, tmp_path: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(ModelMissing, match=name):
        export(copy, tmp_path / "out")


def test_a_missing_tokeniser_is_named(copy: Path, tmp_path: Path) -> None:
    (copy / "tokenizer.json").unlink()
    with pytest.raises(ModelMissing, match="has no tokeniser"):
        export(copy, tmp_path / "out")


def test_truncated_weights_are_corrupt(copy: Path, tmp_path: Path) -> None:
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ModelCorrupt, match="cannot be loaded"):
        export(copy, tmp_path / "out")
    assert list(tmp_path.iterdir()) == [copy]


def test_weights_of_another_model_are_corrupt(copy: Path, tmp_path: Path) -> None:
    other = make_bert(tmp_path / "other", num_labels=3)
    config = json.loads((copy / "config.json").read_text("utf-8"))
    (copy / "config.json").write_text(json.dumps(config | {"num_hidden_layers": 3}), "utf-8")
    with pytest.raises(ModelCorrupt, match="not those of the model"):
        export(copy, tmp_path / "out")
    assert other.is_dir()


def test_nobody_asks_the_network(
    encoder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(socket, "getaddrinfo", lambda *where, **_: asked.append(where))
    tuned = finetune(encoder, EXAMPLES, EXAMPLES, epochs=1, batch=8)
    save(tuned, tmp_path / "saved")
    export(tmp_path / "saved", tmp_path / "out")
    assert not asked


class Burglar:
    def __init__(self, loot: Path) -> None:
        self.loot = loot

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return Path.write_text, (self.loot, "stolen")


def test_a_pickle_is_never_run(copy: Path, tmp_path: Path) -> None:
    (copy / "model.safetensors").unlink()
    (copy / "pytorch_model.bin").write_bytes(pickle.dumps(Burglar(tmp_path / "loot"), protocol=2))
    with pytest.raises(ModelCorrupt, match="cannot be loaded"):
        export(copy, tmp_path / "out")
    assert not (tmp_path / "loot").exists()


def test_a_pickle_of_tensors_is_read(copy: Path, tuned: FineTuned, tmp_path: Path) -> None:
    import torch

    (copy / "model.safetensors").unlink()
    torch.save(tuned.model.state_dict(), copy / "pytorch_model.bin")
    export(copy, tmp_path / "out", int8=False)
    found = BertSession(tmp_path / "out", 1).logits(TEXTS)
    np.testing.assert_allclose(found, tuned.logits(TEXTS), atol=1e-4)


def test_code_in_the_folder_is_never_run(copy: Path, tmp_path: Path) -> None:
    config = json.loads((copy / "config.json").read_text("utf-8"))
    config |= {"model_type": "burglar", "auto_map": {"AutoConfig": "burglar.Burglar"}}
    (copy / "config.json").write_text(json.dumps(config), "utf-8")
    loot = tmp_path / "loot"
    (copy / "burglar.py").write_text(f"open({str(loot)!r}, 'w').write('stolen')")
    with pytest.raises(ModelCorrupt, match="cannot be loaded"):
        export(copy, tmp_path / "out")
    assert not loot.exists()


@pytest.mark.models
def test_a_real_encoder(models_dir: Path, tmp_path: Path) -> None:
    tuned = finetune(real_bert(models_dir), EXAMPLES, EXAMPLES, epochs=8, batch=8, max_tokens=32)
    save(tuned, tmp_path / "saved")
    report = export(tmp_path / "saved", tmp_path / "out", check_texts=TEXTS)
    assert report.max_logit_difference < 1e-4
    assert report.same_label > 0.9
    assert report.max_tokens == 32
    np.testing.assert_allclose(
        BertSession(tmp_path / "out", 1).logits(TEXTS), tuned.logits(TEXTS), atol=0.3
    )
