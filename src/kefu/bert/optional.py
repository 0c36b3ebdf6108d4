"""The only place that imports what kefu runs without: PyTorch, transformers, onnx, tokenizers.

Called when they are needed and never at import, so that a desk neither has them nor waits for them.
"""

from __future__ import annotations

import importlib
import os
from typing import Any

from kefu.errors import KefuError

_PYTORCH_IS_LARGE = (
    ". On Linux a plain PyTorch pulls gigabytes for graphics cards; for a computer without one "
    "install its CPU build first, as pytorch.org tells"
)

_OFFLINE = "HF_HUB_OFFLINE"


class NotInstalled(KefuError):
    """A package of one of kefu's extras is not here."""

    code = "not_installed"


def require_torch() -> Any:
    return _require("torch", "PyTorch", "train", _PYTORCH_IS_LARGE)


def require_transformers() -> Any:
    """transformers, told to stay off the network and to leave the terminal alone."""
    require_torch()  # transformers imports without it and fails later, less clearly
    # Read at import. Every path we give is a local folder; nothing may be looked up on the Hub.
    before = os.environ.get(_OFFLINE)
    os.environ[_OFFLINE] = "1"
    try:
        transformers = _require("transformers", "transformers", "train")
    finally:
        # Programs that this one starts (and tests) decide for themselves.
        os.environ.pop(_OFFLINE) if before is None else os.environ.update({_OFFLINE: before})
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    return transformers


def require_onnx() -> Any:
    """onnx, which PyTorch's exporter and ONNX Runtime's quantiser import by themselves."""
    return _require("onnx", "onnx", "train")


def require_quantisation() -> Any:
    """ONNX Runtime's quantiser. It comes with ONNX Runtime and itself needs onnx."""
    require_onnx()
    return importlib.import_module("onnxruntime.quantization")


def require_tokenizers() -> Any:
    return _require("tokenizers", "tokenizers", "bert")


def require_matplotlib() -> Any:
    """matplotlib with `matplotlib.figure`; pyplot, which looks for a screen, is left alone."""
    matplotlib = _require("matplotlib", "matplotlib", "bench")
    importlib.import_module("matplotlib.figure")
    return matplotlib


def _require(module: str, name: str, extra: str, advice: str = "") -> Any:
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise NotInstalled(
            f"{name} is not installed: pip install 'kefu[{extra}]'{advice}"
        ) from error
