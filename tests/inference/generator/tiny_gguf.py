"""A language model of 200 kB that llama.cpp loads in a blink: two random layers, real tokeniser.

It writes nonsense, but it writes it token by token, for as long as it is asked to, and the same
again for the same prompt. What tests of the child process need is nothing more.
"""

from pathlib import Path

import gguf
import numpy as np

WIDTH = 64
LAYERS = 2
HEADS = 4
HIDDEN = 128
CONTEXT = 65536
CHARACTERS = (
    "abcdefghijklmnopqrstuvwxyz ,.?！，。？"
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年"
)


def write_tiny_gguf(path: Path) -> Path:
    random = np.random.default_rng(7)
    tokens, scores, types = _vocabulary()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(HIDDEN)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_rope_dimension_count(WIDTH // HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_unk_token_id(0)
    for name, values in _tensors(random, len(tokens)):
        writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def _vocabulary():
    kinds = gguf.TokenType
    special = [("<unk>", kinds.UNKNOWN), ("<s>", kinds.CONTROL), ("</s>", kinds.CONTROL)]
    single_bytes = [(f"<0x{b:02X}>", kinds.BYTE) for b in range(256)]
    characters = [(c.replace(" ", "▁"), kinds.NORMAL) for c in CHARACTERS]
    vocabulary = special + single_bytes + characters
    tokens = [token for token, _ in vocabulary]
    return tokens, [0.0] * len(tokens), [int(kind) for _, kind in vocabulary]


def _tensors(random, n_tokens):
    def matrix(rows, columns):
        return (random.standard_normal((rows, columns)) * columns**-0.5).astype(np.float32)

    ones = np.ones(WIDTH, np.float32)
    output = matrix(n_tokens, WIDTH)
    output[: 3 + 256] = 0  # a character always beats the end of the text and loose bytes
    yield "token_embd.weight", matrix(n_tokens, WIDTH)
    yield "output_norm.weight", ones
    yield "output.weight", output
    for layer in range(LAYERS):
        block = f"blk.{layer}"
        yield f"{block}.attn_norm.weight", ones
        yield f"{block}.ffn_norm.weight", ones
        for name in ("attn_q", "attn_k", "attn_v", "attn_output"):
            yield f"{block}.{name}.weight", matrix(WIDTH, WIDTH)
        yield f"{block}.ffn_gate.weight", matrix(HIDDEN, WIDTH)
        yield f"{block}.ffn_up.weight", matrix(HIDDEN, WIDTH)
        yield f"{block}.ffn_down.weight", matrix(WIDTH, HIDDEN)
