"""From a PyTorch module to an ONNX graph, and from float32 to int8."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from kefu.bert.optional import require_onnx, require_quantisation, require_torch
from kefu.bert.tokens import TokenIds
from kefu.errors import ModelError

# The first with LayerNormalization as one operator.
OPSET = 17


def as_module(model: Any, pick: Callable[[Any, Any], Any]) -> Any:
    """A module of ids and mask whose output is `pick(what the model answers, mask)`."""
    base: Any = require_torch().nn.Module

    class Picked(base):  # type: ignore[misc]  # PyTorch is not here when types are checked
        def __init__(self) -> None:
            super().__init__()
            self.model = model

        def forward(self, ids: Any, mask: Any) -> Any:
            return pick(self.model(input_ids=ids, attention_mask=mask), mask)

    return Picked().eval()


def write_onnx(module: Any, example: tuple[TokenIds, TokenIds], path: Path) -> None:
    """Write `module(ids, mask)` with free batch and sequence axes. Raises `ModelError`.

    `example` must have two or more texts of unlike length: the exporter records what it sees, and
    of a batch without padding some models leave the mask out.
    """
    torch = require_torch()
    require_onnx()
    both = {0: "texts", 1: "tokens"}
    try:
        with quietly(), torch.inference_mode():
            torch.onnx.export(
                module,
                tuple(torch.from_numpy(part) for part in example),
                str(path),
                input_names=["input_ids", "attention_mask"],
                output_names=["output"],
                dynamic_axes={"input_ids": both, "attention_mask": both, "output": {0: "texts"}},
                opset_version=OPSET,
                # The newer exporter needs one more package and, for BERT, writes no better graph.
                dynamo=False,
            )
    except Exception as error:  # the exporter raises whatever the model's code raises
        raise ModelError(
            f"This model cannot be written as ONNX: {error}. BERT, RoBERTa, DistilBERT and their "
            "kin can."
        ) from error


def quantise(source: Path, target: Path) -> None:
    """int8 weights per channel, activations scaled at each run (dynamic quantisation).

    Weights take 7 of the 8 bits (`reduce_range`): processors without VNNI add two products in 16
    bits, which overflow with 8.
    """
    quantisation = require_quantisation()
    with quietly():
        quantisation.quantize_dynamic(
            str(source),
            str(target),
            per_channel=True,
            reduce_range=True,
            weight_type=quantisation.QuantType.QInt8,
        )


@contextmanager
def quietly() -> Iterator[None]:
    """Without PyTorch's and the quantiser's remarks on what neither we nor users can change."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        root.setLevel(level)
