"""Low-rank adapters (Hu et al. 2021, "LoRA") on the linear layers of a model, and as a GGUF file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np
import torch
from torch import nn

# Names of a Hugging Face Gemma layer, and of the same matrices in a GGUF file.
GGUF_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


class LoraLinear(nn.Module):
    """`base` (frozen) plus `scale` times b·a of a low rank. Begins as `base` alone: b is 0."""

    def __init__(self, base: nn.Linear, rank: int, alpha: float, chance: torch.Generator) -> None:
        super().__init__()
        self.base = base
        self.scale = alpha / rank
        self.a = nn.Parameter(
            torch.randn(rank, base.in_features, generator=chance) / base.in_features**0.5
        )
        self.b = nn.Parameter(torch.zeros(base.out_features, rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = nn.functional.linear(x, self.a.to(x.dtype))
        return self.base(x) + nn.functional.linear(low, (self.b * self.scale).to(x.dtype))


def add_adapters(model: nn.Module, rank: int, alpha: float, seed: int) -> dict[str, LoraLinear]:
    """Freeze the model and put an adapter on every linear layer of its blocks; by GGUF name."""
    model.requires_grad_(False)
    chance = torch.Generator().manual_seed(seed)
    found = {}
    for number, layer in enumerate(model.model.layers):
        for path, name in GGUF_NAMES.items():
            parent, _, attribute = path.rpartition(".")
            owner = layer.get_submodule(parent)
            adapter = LoraLinear(getattr(owner, attribute), rank, alpha, chance)
            setattr(owner, attribute, adapter)
            found[f"blk.{number}.{name}.weight"] = adapter
    return found


def parameters(adapters: dict[str, LoraLinear]) -> Iterator[nn.Parameter]:
    for adapter in adapters.values():
        yield adapter.a
        yield adapter.b


def write_gguf(
    adapters: dict[str, LoraLinear], path: Path, alpha: float, about: dict[str, str]
) -> None:
    """An adapter file that llama.cpp applies, in half precision."""
    writer = gguf.GGUFWriter(path, "gemma3")
    writer.add_type(gguf.GGUFType.ADAPTER)
    writer.add_string("adapter.type", "lora")
    writer.add_float32("adapter.lora.alpha", alpha)
    for key, value in about.items():
        writer.add_string(key, value)
    for name, adapter in adapters.items():
        for part, values in (("lora_a", adapter.a), ("lora_b", adapter.b)):
            writer.add_tensor(f"{name}.{part}", values.detach().float().numpy().astype(np.float16))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
