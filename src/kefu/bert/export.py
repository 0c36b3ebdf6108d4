"""A fine-tuned Hugging Face folder becomes one that kefu runs without PyTorch, checked."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from kefu.bert.graph import as_module, quantise, write_onnx
from kefu.bert.hugging_face import (
    as_fast,
    logits_of,
    max_tokens_of,
    open_classifier,
    open_tokenizer,
)
from kefu.bert.manifest import MANIFEST, MAX_TOKENS, MODEL, TOKENIZER, Kind, write_manifest
from kefu.bert.session import BertSession, Logits
from kefu.bert.tokens import Tokens
from kefu.errors import ModelError
from kefu.inference.models.whole_folder import written_whole
from kefu.limits import usable_cpus

CHECK_TEXTS = (
    "",
    "Hello!",
    "How do I return a jacket that does not fit?",
    "I ordered two lamps last week, one arrived broken; can I have my money back for that one?",
    "怎么退货？",
    "我上周买的台灯坏了一个，能只退那一个的钱吗？还有，运费是谁出？",
)

# Of the largest logit. What is left by another order of additions is a thousand times less.
_LARGEST_DIFFERENCE = 1e-3


@dataclass(frozen=True)
class ExportReport:
    """What was written, held against PyTorch on `checked` texts.

    `max_logit_difference` is of the float32 graph, before it was quantised; `same_label` is the
    share of texts that what was written gives the same first label as PyTorch.
    """

    labels: tuple[str, ...]
    kind: Kind
    max_tokens: int
    checked: int
    max_logit_difference: float
    same_label: float
    fp32_bytes: int
    written_bytes: int
    seconds: float


def export(
    source: Path,
    target: Path,
    *,
    int8: bool = True,
    max_tokens: int = MAX_TOKENS,
    check_texts: Sequence[str] = CHECK_TEXTS,
) -> ExportReport:
    """Write `target` for `BertSession`: whole or not at all. An older export there is replaced.

    Raises `ModelMissing`, `ModelCorrupt` or `InvalidInput` (of `source` or `target`), `ModelError`
    where the graph does not answer as PyTorch does, and `NotInstalled`.
    """
    start = time.perf_counter()
    texts = tuple(check_texts) or CHECK_TEXTS
    tokenizer = open_tokenizer(source)
    model, labels = open_classifier(source)
    length = max_tokens_of(model, tokenizer, max_tokens)
    fast = as_fast(tokenizer, length)
    with written_whole(target, MANIFEST) as made:
        fast.save(str(made / TOKENIZER))
        tokens = Tokens(fast, length)
        _check_tokens(tokens, tokenizer, texts, length)
        expected = logits_of(model, tokens, texts)
        write_onnx(_logits_module(model), _example(tokens), made / MODEL)
        fp32_bytes = (made / MODEL).stat().st_size
        found = _answers(made, "fp32", labels, length, texts)
        difference = _checked_difference(found, expected, source)
        if int8:
            quantise(made / MODEL, made / "int8")
            (made / "int8").replace(made / MODEL)
            found = _answers(made, "int8", labels, length, texts)
        written_bytes = (made / MODEL).stat().st_size
    return ExportReport(
        labels=labels,
        kind="int8" if int8 else "fp32",
        max_tokens=length,
        checked=len(texts),
        max_logit_difference=difference,
        same_label=float(np.mean(found.argmax(1) == expected.argmax(1))),
        fp32_bytes=fp32_bytes,
        written_bytes=written_bytes,
        seconds=time.perf_counter() - start,
    )


def _logits_module(model: Any) -> Any:
    """`model` as a function of ids and mask. Its attention changes to the form that exports best.

    ONNX Runtime recognises attention that is written out and runs it as one operator; PyTorch's
    fused form leaves a check for NaN in every layer.
    """
    model.set_attn_implementation("eager")
    return as_module(model, lambda answer, _: answer.logits)


def _example(tokens: Tokens) -> Any:
    return tokens.padded([tokens.ids("one two three four"), tokens.ids("one")])


def _answers(
    folder: Path, kind: Kind, labels: Sequence[str], max_tokens: int, texts: Sequence[str]
) -> Logits:
    """What a desk that opens this folder gets."""
    write_manifest(folder, kind, list(labels), max_tokens)
    return BertSession(folder, usable_cpus()).logits(texts)


def _checked_difference(found: Logits, expected: Logits, source: Path) -> float:
    difference = float(np.abs(found - expected).max())
    if not difference <= _LARGEST_DIFFERENCE * max(1.0, float(np.abs(expected).max())):
        raise ModelError(
            f"{source}: as ONNX the model answers otherwise than in PyTorch (logits differ by "
            f"{difference:.3g}). Nothing was written; this kind of model cannot be exported."
        )
    return difference


def _check_tokens(tokens: Tokens, tokenizer: Any, texts: Sequence[str], max_tokens: int) -> None:
    """The same ids as transformers gives, also where it does things of its own around the file."""
    for text in texts:
        clean = text.encode("utf-8", "replace").decode("utf-8")
        expected = tokenizer(clean, truncation=True, max_length=max_tokens)["input_ids"]
        if tokens.ids(text) != list(expected or tokens.ids("")):
            raise ModelError(
                f"The tokeniser {type(tokenizer).__name__} does not survive as {TOKENIZER}: it "
                "splits a text differently. Nothing was written."
            )
