"""A fine-tuned BERT at work: ONNX Runtime and a tokeniser, without PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kefu.bert.manifest import MODEL, TOKENIZER, damaged, read_manifest
from kefu.bert.tokens import TokenIds, open_tokens
from kefu.errors import ModelError
from kefu.inference.onnx_runtime import open_session, runs_by_length

Logits = NDArray[np.float32]

# As in `OnnxEncoder`: larger runs cost the same per text and hold the thread longer.
TEXTS_PER_RUN = 8


class BertSession:
    """A folder that `export` wrote. `threads` are the CPU threads of one run.

    The int8 model scales activations by the largest of the run, so a text's logits depend a little
    on its neighbours (docs/bert.md). Raises `ModelMissing`, `ModelCorrupt` or `NotInstalled`.
    """

    def __init__(self, folder: Path, threads: int) -> None:
        manifest = read_manifest(folder)
        self.kind = manifest.kind
        self.labels = tuple(manifest.labels)
        self.max_tokens = manifest.max_tokens
        self.id = f"bert-{manifest.sha256[MODEL][:16]}-{self.max_tokens}"
        self._tokens = open_tokens(folder / TOKENIZER, self.max_tokens)
        self._session = open_onnx(folder / MODEL, threads)
        self._check_fits(folder)

    def logits(self, texts: Sequence[str]) -> Logits:
        """(n, labels) float32; (0, labels) for no texts. Blocking, safe from several threads.

        Any text is taken, the empty one too; what is past `max_tokens` does not count. Raises
        `ModelError`.
        """
        found = np.zeros((len(texts), len(self.labels)), np.float32)
        rows_of_ids = [self._tokens.ids(text) for text in texts]
        for rows in runs_by_length(rows_of_ids, TEXTS_PER_RUN):
            found[rows] = self._run(*self._tokens.padded([rows_of_ids[row] for row in rows]))
        return found

    def _run(self, ids: TokenIds, mask: TokenIds) -> Logits:
        try:
            inputs = {"input_ids": ids, "attention_mask": mask}
            return np.asarray(self._session.run(None, inputs)[0], np.float32)
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise ModelError(f"The classifier failed on {len(ids)} texts.") from error

    def _check_fits(self, folder: Path) -> None:
        """The sums are right, so this finds folders that somebody put together by hand."""
        names = {given.name for given in self._session.get_inputs()}
        if names != {"input_ids", "attention_mask"}:
            raise damaged(folder / MODEL, f"its inputs are {sorted(names)}")
        # Two texts of unlike length: fixed axes and a vocabulary that is too large show here.
        try:
            shape = self._run(
                *self._tokens.padded([self._tokens.ids(t) for t in ("", "a b")])
            ).shape
        except ModelError as error:
            raise damaged(folder / MODEL, f"it does not run ({error.__cause__})") from error
        if shape != (2, len(self.labels)):
            raise damaged(
                folder / MODEL, f"it answers {shape} for two texts and {len(self.labels)} labels"
            )


def open_onnx(path: Path, threads: int) -> Any:
    """An ONNX Runtime session as kefu runs them. Raises `ModelCorrupt`."""
    try:
        return open_session(path, threads)
    except Exception as error:  # ONNX Runtime's errors share no base class
        raise damaged(path, f"ONNX Runtime cannot load it ({error})") from error
