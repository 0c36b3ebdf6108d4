from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("module", ["kefu.inference.onnx_runtime", "onnxruntime"])
def test_only_without_kefu_does_onnx_runtime_note_who_we_are(module: str, tmp_path: Path):
    """It leaves the name that it gave the computer, and what it has not sent yet."""
    # Nothing of the environment: on machines that build or test it would hold back by itself.
    subprocess.run(
        [sys.executable, "-c", f"import {module}"],
        env={"HOME": str(tmp_path), "HTTPS_PROXY": "http://127.0.0.1:1"},
        check=True,
    )
    noted = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert bool(noted) == (module == "onnxruntime")
