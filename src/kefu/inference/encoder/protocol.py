"""What the rest of kefu asks of a sentence encoder."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Vectors = NDArray[np.float32]


class SentenceEncoder(Protocol):
    """Turns sentences into vectors whose dot product is their likeness, -1 to 1.

    Blocking and safe to call from several threads. Any text is taken, the empty one too: a text
    that fails would fail the whole batch, and with it other customers' messages.
    """

    @property
    def id(self) -> str:
        """Names the vector space. Vectors of encoders with different ids must never be compared."""
        ...

    @property
    def dimensions(self) -> int: ...

    def encode(self, texts: Sequence[str]) -> Vectors:
        """(n, dimensions) float32 with rows of length 1. Raises `ModelError` where it fails."""
        ...
