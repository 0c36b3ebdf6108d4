"""Sentence encoders whose ONNX graph takes plain strings, in process.

Made for the Universal Sentence Encoder multilingual v3 (Yang et al. 2019, "Multilingual Universal
Sentence Encoder for Semantic Retrieval"), int8, whose tokeniser is part of the graph.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from typing import Any

import numpy as np

from kefu.errors import ModelCorrupt, ModelError, ModelMissing
from kefu.inference.encoder.protocol import Vectors
from kefu.inference.models.files import sha256_of
from kefu.inference.onnx_runtime import open_session, runs_by_length

# Attention costs the square of the length: 512 characters take 8 ms, 4,000 take 200 ms (one
# thread). A knowledge question has at most 500 characters, and what follows in a longer message
# is rarely what it asks.
MAX_CHARACTERS = 512

# One run of 8 sentences is the cheapest per sentence (0.39 ms; 0.98 alone, 0.48 in runs of 32).
SENTENCES_PER_RUN = 8

_SMALLEST_NORM = 1e-12


class OnnxEncoder:
    """A string-input ONNX graph. `path` is the model file, `threads` the CPU threads of one run.

    The int8 graph scales its activations by the largest one of the run, so a sentence's vector
    depends a little on its neighbours: cosine 0.9985 on average and 0.993 at worst between a
    sentence alone and the same in a mixed run of 32. Sorting by length does not lessen that; it is
    done because a run costs as much as its longest sentence for every one of them.

    Raises `ModelMissing` or `ModelCorrupt`.
    """

    def __init__(self, path: Path, threads: int) -> None:
        self._session = _open_session(path, threads)
        self._input = str(self._session.get_inputs()[0].name)
        self.id = id_of(sha256_of(path))
        self.dimensions = self._run([""]).shape[1]

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, dimensions) float32 with rows of length 1; (0, dimensions) for no texts.

        Only the first `MAX_CHARACTERS` of a text count.
        """
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        cut = [cleaned(text) for text in texts]
        for rows in runs_by_length(cut, SENTENCES_PER_RUN):
            vectors[rows] = self._run([cut[row] for row in rows])
        return vectors

    def _run(self, texts: list[str]) -> Vectors:
        try:
            raw = self._session.run(None, {self._input: np.array(texts, dtype=object)})[0]
        except Exception as error:  # ONNX Runtime's errors share no base class
            raise ModelError(f"The sentence encoder failed on {len(texts)} texts.") from error
        norms = np.linalg.norm(raw, axis=1, keepdims=True)
        return np.asarray(raw / np.maximum(norms, _SMALLEST_NORM), np.float32)


def id_of(sha256: str) -> str:
    """Names the vectors of the model file with this sum."""
    return f"onnx-{sha256[:16]}-{MAX_CHARACTERS}"


def cleaned(text: str) -> str:
    """As much of it as counts, without lone surrogates: they cannot be written as UTF-8 and would
    fail the sentences beside them."""
    return text[:MAX_CHARACTERS].encode("utf-8", "replace").decode("utf-8")


def _open_session(path: Path, threads: int) -> Any:
    if not path.is_file():
        raise ModelMissing(f"No sentence encoder at {path}. Fetch it with `kefu models pull`.")
    try:
        return open_session(path, threads, _tokeniser_library())
    except Exception as error:  # ONNX Runtime's errors share no base class
        raise ModelCorrupt(
            f"{path} is not an ONNX sentence encoder that can be loaded: {error}. "
            "Fetch it again with `kefu models pull`."
        ) from error


def _tokeniser_library() -> Path:
    """The library of onnxruntime-extensions, without importing the package.

    Where `onnx` is installed its import brings PyTorch and transformers in: two seconds and
    220 MB in every process.
    """
    spec = importlib.util.find_spec("onnxruntime_extensions")
    folders = spec.submodule_search_locations if spec else None
    for folder in folders or ():
        for suffix in EXTENSION_SUFFIXES:
            if (library := Path(folder) / f"_extensions_pydll{suffix}").is_file():
                return library
    raise ModelError("onnxruntime-extensions is not installed whole. Install kefu again.")
