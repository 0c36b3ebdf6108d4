"""Knowledge as it would be: searched as the desk's is, never saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kefu.knowledge.index import Index, Match
from kefu.knowledge.match import Decision, decide
from kefu.settings import KnowledgeSettings


@dataclass(frozen=True)
class Trial:
    """A snapshot with changes that nobody has made yet."""

    index: Index
    settings: KnowledgeSettings

    def search(
        self, text: str, vector: NDArray[np.float32], language: str, limit: int = 5
    ) -> list[Match]:
        return self.index.search(text, vector, language, limit)

    def decide(self, text: str, matches: Sequence[Match]) -> Decision:
        return decide(text, matches, self.settings)
