"""What a Triton server runs: `kefu models export-triton` copies this file into its repository.

It imports nothing of kefu. The server's Python needs numpy, onnxruntime and onnxruntime-extensions.
What it computes is what `OnnxEncoder` computes, on the same file: same cut, same runs of like
length, rows of length 1. A test holds the one against the other.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")  # as in kefu/__init__.py

import onnxruntime
import onnxruntime_extensions
import triton_python_backend_utils as pb_utils

_SMALLEST_NORM = 1e-12


class TritonPythonModel:
    """One instance: a process of its own, which Triton starts.

    Requests come with a batch of texts, TYPE_STRING (n, 1) in UTF-8, and get as many rows of
    TYPE_FP32 (n, dimensions) back.
    """

    def initialize(self, args: dict[str, str]) -> None:
        """Raises where the file is not the one that the model's name promises."""
        config = json.loads(args["model_config"])
        parameters = {name: value["string_value"] for name, value in config["parameters"].items()}
        self._input: str = config["input"][0]["name"]
        self._output: str = config["output"][0]["name"]
        self._max_characters = int(parameters["max_characters"])
        self._texts_per_run = int(parameters["texts_per_run"])
        path = Path(args["model_repository"], args["model_version"], "model.onnx")
        _require_file(path, args["model_name"], self._max_characters)
        self._session = _open_session(path, int(parameters["threads"]))
        self._graph_input = self._session.get_inputs()[0].name
        self._vectors_of([b""])  # the first run prepares memory: no customer need wait for that

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """All requests that Triton has put together, as one batch; an answer for each."""
        asked = [_texts_of(request, self._input) for request in requests]
        try:
            vectors = self._vectors_of([text for texts in asked for text in texts])
        except Exception as error:  # noqa: BLE001 - ONNX Runtime's errors share no base class
            return [_failed(error) for _ in requests]
        ends = np.cumsum([len(texts) for texts in asked])
        return [self._answer(rows) for rows in np.split(vectors, ends[:-1])]

    def _answer(self, rows: Any) -> Any:
        return pb_utils.InferenceResponse([pb_utils.Tensor(self._output, rows)])

    def _vectors_of(self, texts: Sequence[bytes]) -> Any:
        """(n, dimensions) float32 with rows of length 1."""
        cut = [text.decode("utf-8", "replace")[: self._max_characters] for text in texts]
        found: list[Any] = [None] * len(cut)
        for rows in _runs_by_length(cut, self._texts_per_run):
            raw = self._session.run(
                None, {self._graph_input: np.array([cut[row] for row in rows], dtype=object)}
            )[0]
            norms = np.maximum(np.linalg.norm(raw, axis=1, keepdims=True), _SMALLEST_NORM)
            for row, vector in zip(rows, raw / norms, strict=True):
                found[row] = vector
        return np.asarray(found, np.float32)


def _texts_of(request: Any, name: str) -> list[bytes]:
    return list(pb_utils.get_input_tensor_by_name(request, name).as_numpy().ravel())


def _failed(error: Exception) -> Any:
    return pb_utils.InferenceResponse(
        [], pb_utils.TritonError(f"The sentence encoder failed: {error}")
    )


def _runs_by_length(texts: Sequence[str], size: int) -> Iterator[list[int]]:
    order = sorted(range(len(texts)), key=lambda row: len(texts[row]))
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _require_file(path: Path, model_name: str, max_characters: int) -> None:
    """A desk trusts the name to say which vectors it gets."""
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    if not model_name.endswith(f"-{sha256[:16]}-{max_characters}"):
        raise RuntimeError(
            f"{path} (SHA-256 {sha256}, cut at {max_characters} characters) is not the file of "
            f"the model {model_name}. Write the model anew with `kefu models export-triton`."
        )


def _open_session(path: Path, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.register_custom_ops_library(onnxruntime_extensions.get_library_path())
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # As in a desk: a spinning thread burns a core that another instance could use.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
