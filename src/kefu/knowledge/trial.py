"""Knowledge as it would be: searched as the desk's is, never saved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kefu.knowledge.index import Match
from kefu.knowledge.match import Decision, decide
from kefu.knowledge.searching import MATCHES, Search
from kefu.settings import KnowledgeSettings


@dataclass(frozen=True)
class Trial:
    """The knowledge with changes that nobody has made yet."""

    searched: Search
    settings: KnowledgeSettings

    async def search(
        self, text: str, vector: NDArray[np.float32], language: str, limit: int = MATCHES
    ) -> list[Match]:
        return await self.searched.search(text, vector, language, limit)

    def decide(self, text: str, matches: Sequence[Match]) -> Decision:
        return decide(text, matches, self.settings)
