"""multilingual-e5-small in PyTorch, from the 4-bit file, with adapters and a head for sentences."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from kefu.inference.models.e5.e5_file import E5File

PRODUCTS = ("query_key_value", "attended", "inner", "outer")


class Adapted(nn.Module):
    """A frozen product plus one of low rank that is learnt. Begins as the frozen one alone."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor, rank: int, scale: float) -> None:
        super().__init__()
        self.register_buffer("weight", weight)
        self.register_buffer("bias", bias)
        self.scale = scale
        self.a = nn.Parameter(torch.randn(rank, weight.shape[1]) / weight.shape[1] ** 0.5)
        self.b = nn.Parameter(torch.zeros(weight.shape[0], rank))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        low = nn.functional.linear(x, self.a.to(x.dtype))
        full = nn.functional.linear(x, self.weight, self.bias)
        return full + nn.functional.linear(low, (self.b * self.scale).to(x.dtype))


class Layer(nn.Module):
    def __init__(self, base: E5File, number: int, rank: int, scale: float) -> None:
        super().__init__()
        width, inner = base.sizes.width, base.sizes.inner
        self.heads = base.sizes.heads
        self.epsilon = base.sizes.epsilon

        def product(names: tuple[str, ...], inputs: int, outputs: int) -> Adapted:
            weights = [_tensor(base.matrix(f"l{number}.{n}.w", outputs, inputs)) for n in names]
            biases = [_tensor(base.numbers(f"l{number}.{n}.b", outputs)) for n in names]
            return Adapted(torch.cat(weights), torch.cat(biases), rank, scale)

        self.query_key_value = product(("q", "k", "v"), width, width)
        self.attended = product(("ao",), width, width)
        self.inner = product(("fi",), width, inner)
        self.outer = product(("fo",), inner, width)
        for name, old in (("attention_norm", "aln"), ("norm", "oln")):
            for part, end in (("gain", "w"), ("bias", "b")):
                values = _tensor(base.numbers(f"l{number}.{old}.{end}", width))
                self.register_buffer(f"{name}_{part}", values)

    def forward(self, x: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        rows, length, width = x.shape
        parts = self.query_key_value(x).view(rows, length, 3, self.heads, -1)
        query, key, value = parts.permute(2, 0, 3, 1, 4)
        seen = nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        seen = self.attended(seen.transpose(1, 2).reshape(rows, length, width))
        x = self._norm(x + seen, self.attention_norm_gain, self.attention_norm_bias)
        inner = nn.functional.gelu(self.inner(x))
        return self._norm(x + self.outer(inner), self.norm_gain, self.norm_bias)

    def _norm(self, x: torch.Tensor, gain: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        return nn.functional.layer_norm(x, x.shape[-1:], gain, bias, self.epsilon)


class ReaderNet(nn.Module):
    """Logits of tokens: their mean over a sentence says whether it answers."""

    def __init__(self, base: E5File, kept: list[int], rank: int, alpha: float) -> None:
        super().__init__()
        sizes = base.sizes
        words = base.matrix("emb.word", sizes.tokens, sizes.width)[kept]
        places = base.numbers("emb.pos", sizes.positions, sizes.width)
        types = base.numbers("emb.type", sizes.types, sizes.width)
        self.register_buffer("words", _tensor(words))
        self.register_buffer("places", _tensor(places + types[0]))
        self.register_buffer("gain", _tensor(base.numbers("emb.ln.w", sizes.width)))
        self.register_buffer("bias", _tensor(base.numbers("emb.ln.b", sizes.width)))
        self.epsilon = sizes.epsilon
        layers = [Layer(base, n, rank, alpha / rank) for n in range(sizes.layers)]
        self.layers = nn.ModuleList(layers)
        self.head = nn.Linear(sizes.width, 1)
        nn.init.normal_(self.head.weight, std=0.05)
        nn.init.constant_(self.head.bias, -2.0)  # few sentences answer

    def freeze_in_half_precision(self) -> None:
        """What is not learnt: half the bytes are twice as fast."""
        for name, buffer in list(self.named_buffers()):
            owner, _, leaf = name.rpartition(".")
            setattr(self.get_submodule(owner), leaf, buffer.to(torch.bfloat16))

    def learnt(self) -> dict[str, np.ndarray]:
        """As `assemble_reader` takes it: scale in `b`, in half precision."""
        arrays = {
            "head.weights": self.head.weight.detach().float().numpy().T,
            "head.bias": self.head.bias.detach().float().numpy(),
        }
        for number, layer in enumerate(self.layers):
            for name in PRODUCTS:
                product = getattr(layer, name)
                arrays[f"{number}.{name}.a"] = product.a.detach().numpy().astype(np.float16)
                b = product.b.detach().numpy() * product.scale
                arrays[f"{number}.{name}.b"] = b.astype(np.float16)
        return arrays

    def forward(self, ids: torch.Tensor, is_text: torch.Tensor) -> torch.Tensor:
        """(rows, length) ids and whether they are text -> (rows, length) logits."""
        x = self.words[ids] + self.places[: ids.shape[1]]
        x = nn.functional.layer_norm(x, x.shape[-1:], self.gain, self.bias, self.epsilon)
        mask = is_text[:, None, None, :]
        for layer in self.layers:
            x = layer(x, mask)
        return self.head(x.float())[..., 0]


def _tensor(values: object) -> torch.Tensor:
    return torch.tensor(values)
