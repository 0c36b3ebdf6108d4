"""The same BERT, run in five ways, and kefu's own sentence encoder beside it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kefu.bert.graph import as_module, quantise, quietly, write_onnx
from kefu.bert.hugging_face import as_fast, open_encoder, open_tokenizer, positions_of
from kefu.bert.optional import NotInstalled, require_onnx, require_torch
from kefu.bert.session import open_onnx
from kefu.bert.tokens import TokenIds, Tokens
from kefu.errors import InvalidInput
from kefu.inference.encoder.protocol import SentenceEncoder

EAGER = "PyTorch eager"
OWN = "kefu's encoder"

# Common words: nearly all are one token to an English or multilingual BERT.
_SENTENCES = (
    "how do i return a coat that does not fit my order came late and the box was open can you "
    "send it again or give me the money back to my card please also tell me what the price of "
    "the blue one is and when it will be here if i pay for it today thank you very much"
)
_WORDS = _SENTENCES.split()

Answer = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Input:
    """One batch. `texts` have about as many tokens as a row of `ids`, for encoders that take text.

    Without padding: what is measured is a batch of this length, not how well lengths were sorted.
    """

    batch: int
    tokens: int
    texts: list[str]
    ids: TokenIds

    @property
    def mask(self) -> TokenIds:
        return np.ones_like(self.ids)


Run = Callable[[Input], Answer]


@dataclass(frozen=True)
class Variant:
    """`build` loads, exports or compiles, and may raise. `same_weights`: comparable with eager."""

    name: str
    build: Callable[[], Run]
    same_weights: bool = True


def variants_of(
    model: Path | None,
    own: Callable[[], SentenceEncoder],
    threads: int,
    longest: int,
    scratch: Path,
) -> list[Variant]:
    """All rows of the table, in its order. `model` is a Hugging Face folder, `longest` in tokens."""
    bert = _Bert(model, threads, longest, scratch)
    return [
        Variant(EAGER, bert.eager),
        Variant("torch.jit.trace", bert.traced),
        Variant("torch.compile", bert.compiled),
        Variant("ONNX fp32", bert.onnx_fp32),
        Variant("ONNX int8", bert.onnx_int8),
        Variant(OWN, lambda: _own(own()), same_weights=False),
    ]


def make_inputs(model: Path | None, batches: Sequence[int], tokens: Sequence[int]) -> list[Input]:
    """Every batch size with every length; zeros for ids where no tokeniser can be opened.

    Raises `ModelMissing` or `ModelCorrupt` where `model` is no such folder.
    """
    tokenizer = _find_tokenizer(model)
    inputs = []
    for length in tokens:
        for batch in batches:
            texts = [_text(number, length) for number in range(batch)]
            inputs.append(Input(batch, length, texts, _ids(tokenizer, texts, length)))
    return inputs


class _Bert:
    """One model's encoder in several forms. Each answers the mean of its token vectors."""

    def __init__(self, folder: Path | None, threads: int, longest: int, scratch: Path) -> None:
        self._folder = folder
        self._threads = threads
        self._longest = longest
        self._scratch = scratch

    def eager(self) -> Run:
        return self._torch_run(self._module)

    def traced(self) -> Run:
        jit = require_torch().jit
        example = tuple(require_torch().from_numpy(part) for part in _padded_example())
        with quietly(), require_torch().inference_mode():
            return self._torch_run(jit.freeze(jit.trace(self._module, example)))

    def compiled(self) -> Run:
        # One compilation for all lengths, as a server would need it, and not one for each.
        return self._torch_run(require_torch().compile(self._module, dynamic=True))

    def onnx_fp32(self) -> Run:
        return self._onnx_run(self._fp32_graph)

    def onnx_int8(self) -> Run:
        quantised = self._scratch / "int8.onnx"
        quantise(self._fp32_graph, quantised)
        return self._onnx_run(quantised)

    @cached_property
    def _module(self) -> Any:
        return as_module(self._open(), _mean_of_tokens)

    @cached_property
    def _fp32_graph(self) -> Path:
        model = self._open()
        require_onnx()
        model.set_attn_implementation("eager")  # as `export` does
        path = self._scratch / "fp32.onnx"
        write_onnx(as_module(model, _mean_of_tokens), _padded_example(), path)
        return path

    def _open(self) -> Any:
        require_torch()
        if self._folder is None:
            raise InvalidInput("no model was given: --model DIR, a Hugging Face BERT")
        model = open_encoder(self._folder)
        positions = positions_of(model)
        if positions is not None and positions < self._longest:
            raise InvalidInput(f"the model has {positions} positions: ask for fewer --tokens")
        return model

    def _torch_run(self, module: Any) -> Run:
        torch = require_torch()
        torch.set_num_threads(self._threads)

        def run(given: Input) -> Answer:
            with torch.inference_mode():
                answer = module(torch.from_numpy(given.ids), torch.from_numpy(given.mask))
                return np.asarray(answer.numpy(), np.float32)

        return run

    def _onnx_run(self, path: Path) -> Run:
        session = open_onnx(path, self._threads)

        def run(given: Input) -> Answer:
            inputs = {"input_ids": given.ids, "attention_mask": given.mask}
            return np.asarray(session.run(None, inputs)[0], np.float32)

        return run


def _mean_of_tokens(answer: Any, mask: Any) -> Any:
    weights = mask.unsqueeze(-1).to(answer.last_hidden_state.dtype)
    return (answer.last_hidden_state * weights).sum(1) / weights.sum(1)


def _padded_example() -> tuple[TokenIds, TokenIds]:
    ids = np.array([[1, 2, 3, 4], [1, 2, 0, 0]], np.int64)
    return ids, (ids > 0).astype(np.int64)


def _own(encoder: SentenceEncoder) -> Run:
    return lambda given: encoder.encode(given.texts)


def _text(number: int, words: int) -> str:
    """Row `number` begins at another word, so that no two rows of a batch are alike."""
    return " ".join(_WORDS[(number + i) % len(_WORDS)] for i in range(words))


def _find_tokenizer(model: Path | None) -> Any:
    try:
        return None if model is None else open_tokenizer(model)
    except NotInstalled:
        return None  # nor will any row need ids; each says what to install


def _ids(tokenizer: Any, texts: Sequence[str], length: int) -> TokenIds:
    """(texts, length): nothing is padded, because a text has at least `length` tokens."""
    if tokenizer is None:
        return np.zeros((len(texts), length), np.int64)
    tokens = Tokens(as_fast(tokenizer, length), length)
    return np.stack([np.resize(np.array(tokens.ids(text), np.int64), length) for text in texts])
