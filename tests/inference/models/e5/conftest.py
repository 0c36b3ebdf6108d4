"""A small base, and a graph for it."""

from __future__ import annotations

from pathlib import Path

import pytest

from .small_e5 import SmallE5, write_e5


@pytest.fixture
def small(tmp_path: Path) -> SmallE5:
    return write_e5(tmp_path / "small.bin")


@pytest.fixture
def graph(tmp_path: Path) -> Path:
    path = tmp_path / "graph.onnx"
    path.write_bytes(b"a graph")
    return path
