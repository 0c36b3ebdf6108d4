"""What is missing is named with the command that brings it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from kefu.bert import optional
from kefu.bert.export import export
from kefu.bert.finetune import finetune
from kefu.bert.optional import NotInstalled

EXAMPLES = [("a", "x"), ("b", "y")]


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Python without the optional packages."""
    for name in ("torch", "transformers", "onnx", "tokenizers", "matplotlib"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.mark.parametrize(
    ("require", "extra"),
    [
        (optional.require_torch, "train"),
        (optional.require_transformers, "train"),
        (optional.require_quantisation, "train"),
        (optional.require_tokenizers, "bert"),
        (optional.require_matplotlib, "bench"),
    ],
)
@pytest.mark.usefixtures("bare")
def test_says_what_to_install(require: Callable[[], object], extra: str) -> None:
    with pytest.raises(NotInstalled, match=rf"pip install 'kefu\[{extra}\]'"):
        require()


@pytest.mark.usefixtures("bare")
def test_training_and_export_say_so(tmp_path: Path) -> None:
    with pytest.raises(NotInstalled, match="PyTorch is not installed"):
        finetune(tmp_path, EXAMPLES, EXAMPLES)
    with pytest.raises(NotInstalled, match="PyTorch is not installed"):
        export(tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_importing_the_package_imports_none_of_them() -> None:
    names = "('torch', 'transformers', 'onnx', 'tokenizers', 'matplotlib')"
    code = (
        "import sys, kefu.bert.export, kefu.bert.finetune, kefu.bert.session\n"
        f"print([name for name in {names} if name in sys.modules])"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"
