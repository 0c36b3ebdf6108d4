"""How kefu runs ONNX models: few threads that do not spin, in short runs of like length."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized
from pathlib import Path
from typing import Any

import onnxruntime


def open_session(path: Path, threads: int, custom_operators: Path | None = None) -> Any:
    """`threads` are the CPU threads of one run. Raises whatever ONNX Runtime does."""
    options = onnxruntime.SessionOptions()
    if custom_operators is not None:
        options.register_custom_ops_library(str(custom_operators))
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    # A spinning thread burns a core that the generator could use while nothing is encoded.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def runs_by_length(rows: Sequence[Sized], size: int) -> Iterator[list[int]]:
    """Indices of like length together: a run costs as much as its longest row for each of them."""
    order = sorted(range(len(rows)), key=lambda row: len(rows[row]))
    for start in range(0, len(order), size):
        yield order[start : start + size]
