"""How much memory a generator needs: its weights, what it remembers of each chat, and work space.

llama.cpp keeps two vectors (key and value) per token and layer in half precision, for every chat its
full context: `2 · layers · heads · width · 2 bytes` per token. Work space is what one batch of
tokens needs at the output layer, in single precision, and some for everything else. Measured (two
CPUs, four chats of 3,072 tokens): 391 MB for Gemma 3 270M where this says 389, 428 for SmolLM2 135M
where this says 425.
"""

from __future__ import annotations

from dataclasses import dataclass

from kefu.inference.generator.llama_child import BATCH_TOKENS_PER_THREAD, MOST_BATCH_TOKENS
from kefu.inference.models.catalogue import Footprint
from kefu.inference.models.gguf_file import GgufFile
from kefu.settings import GeneratorSettings

_HALF_BYTES, _SINGLE_BYTES = 2, 4
# Runtime, threads' stacks, buffers of the layers.
_BASE_BYTES = 20_000_000


@dataclass(frozen=True)
class MemoryNeed:
    """With settings: bytes of each part."""

    weights: int
    context: int
    work: int

    @property
    def total(self) -> int:
        return self.weights + self.context + self.work


def footprint_of(gguf: GgufFile) -> Footprint:
    """Read from a model's file. Raises `KeyError` where it does not say what it is made of."""
    architecture = gguf.find("general.architecture")

    def number(key: str, default: int | None = None) -> int:
        value = gguf.find(f"{architecture}.{key}", default)
        if value is None:
            raise KeyError(f"{architecture}.{key}")
        return max(value) if isinstance(value, list) else int(value)

    layers = number("block_count")
    heads = number("attention.head_count")
    width = number("embedding_length") // heads
    widths = number("attention.key_length", width) + number("attention.value_length", width)
    per_token = layers * number("attention.head_count_kv", heads) * widths * _HALF_BYTES
    return Footprint(
        weights_bytes=sum(tensor.size for tensor in gguf.tensors),
        context_bytes_per_token=per_token,
        layers=layers,
        vocabulary=gguf.entries["tokenizer.ggml.tokens"].count,
    )


def need_of(footprint: Footprint, settings: GeneratorSettings, *, on_gpu: bool) -> MemoryNeed:
    tokens = settings.detected_parallel * settings.chat_context_tokens
    batch = MOST_BATCH_TOKENS if on_gpu else BATCH_TOKENS_PER_THREAD * settings.detected_threads
    work = _BASE_BYTES + batch * footprint.vocabulary * _SINGLE_BYTES
    return MemoryNeed(footprint.weights_bytes, tokens * footprint.context_bytes_per_token, work)


def layers_that_fit(footprint: Footprint, need: MemoryNeed, free: int) -> int:
    """How many layers a device of `free` bytes takes; the embeddings are counted as one more."""
    per_layer = (need.weights + need.context) / (footprint.layers + 1)
    return max(0, min(footprint.layers, int((free - need.work) / per_layer)))
