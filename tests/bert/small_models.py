"""Models small enough to train in a test, made here: nothing is fetched."""

from __future__ import annotations

import importlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kefu.bert.manifest import MODEL, TOKENIZER, write_manifest

_ENGLISH = (
    "return refund money back parcel late where is my order ship deliver card pay price cost how "
    "do i the a to hello jacket broken want please soon today when will it arrive much"
)
WORDS = _ENGLISH.split()
HANZI = "怎么退货款钱运费多少发票开哪里我的订单到了"
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789"
VOCABULARY = (
    *("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "?", "!", ","),
    *dict.fromkeys((*WORDS, *HANZI, *LETTERS)),
    *(f"##{letter}" for letter in LETTERS),
)

RETURNS = "how do i return the jacket", "i want my money back", "refund please", "怎么退货", "退款"
PARCELS = "where is my parcel", "when will it arrive", "my order is late", "到了哪里", "我的订单"
PRICES = "how much is it", "what is the price", "cost to ship", "运费多少", "多少钱"
EXAMPLES = [
    (text, label)
    for label, texts in (("return", RETURNS), ("parcel", PARCELS), ("price", PRICES))
    for text in texts
]


def installed(*modules: str) -> None:
    """Skip the test, saying why, where an optional package is missing."""
    for module in modules:
        try:
            importlib.import_module(module)
        except ImportError:
            pytest.skip(f"{module} is not installed: pip install 'kefu[train]'")
    if "torch" in modules:
        # Beside other tests PyTorch's threads wait for each other by spinning: 15 times slower.
        importlib.import_module("torch").set_num_threads(1)


def real_bert(models_dir: Path) -> Path:
    """A real BERT that `.ci/run` fetches; tests that need it are skipped where nobody did."""
    installed("torch", "transformers", "onnx", "tokenizers")
    folder = models_dir / "all-minilm-l6-v2"
    if not folder.is_dir():
        pytest.skip("a real BERT is not here: kefu models pull all-minilm-l6-v2")
    return folder


def make_bert(folder: Path, **config: Any) -> Path:
    """A random BERT encoder (2 layers, 32 wide) in Hugging Face's layout, without a head."""
    from kefu.bert.optional import require_torch, require_transformers

    torch, transformers = require_torch(), require_transformers()
    folder.mkdir(parents=True)
    (folder / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n", "utf-8")
    about = {"tokenizer_class": "BertTokenizer", "do_lower_case": True, "model_max_length": 64}
    (folder / "tokenizer_config.json").write_text(json.dumps(about), "utf-8")
    shape = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes = {"intermediate_size": 64, "max_position_embeddings": 64}
    with torch.random.fork_rng():
        torch.manual_seed(3)
        chosen = transformers.BertConfig(vocab_size=len(VOCABULARY), **shape, **sizes, **config)
        transformers.BertModel(chosen).save_pretrained(str(folder))
    return folder


def make_session_folder(folder: Path, labels: tuple[str, ...] = ("a", "b", "c")) -> Path:
    """A folder as `export` writes it, without PyTorch: the logits are sums of rows of a table."""
    import onnx
    import tokenizers
    from onnx import TensorProto, helper, numpy_helper

    folder.mkdir(parents=True, exist_ok=True)
    words = tokenizers.models.WordLevel(
        {word: number for number, word in enumerate(VOCABULARY)}, unk_token="[UNK]"
    )
    tokenizer = tokenizers.Tokenizer(words)
    tokenizer.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    tokenizer.enable_padding(pad_id=0, pad_token="[PAD]")
    tokenizer.save(str(folder / TOKENIZER))

    rows = np.random.default_rng(5).normal(size=(len(VOCABULARY), len(labels)))
    table = numpy_helper.from_array(rows.astype(np.float32), "table")
    last = numpy_helper.from_array(np.array([2], np.int64), "last")
    middle = numpy_helper.from_array(np.array([1], np.int64), "middle")
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["rows"]),
        helper.make_node("Cast", ["attention_mask"], ["seen"], to=TensorProto.FLOAT),
        helper.make_node("Unsqueeze", ["seen", "last"], ["weights"]),
        helper.make_node("Mul", ["rows", "weights"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "middle"], ["output"], keepdims=0),
    ]
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    output = helper.make_tensor_value_info("output", TensorProto.FLOAT, ["texts", len(labels)])
    graph = helper.make_graph(nodes, "sums", inputs, [output], [table, last, middle])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save(model, str(folder / MODEL))
    write_manifest(folder, "fp32", list(labels), 16)
    return folder
