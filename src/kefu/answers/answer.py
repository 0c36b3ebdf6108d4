"""An answer that is kept to be given again, and what it depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kefu.conversations.transcript import Citation
from kefu.knowledge.entry import Entry
from kefu.stamps import new_id, now_ms

Vector = NDArray[np.float32]
Hit = Literal["exact", "semantic"]

# 48 random bits: short enough to be typed, and no two of some ten thousand answers are alike.
_ID_DIGITS = 12


def new_answer_id() -> str:
    return new_id()[:_ID_DIGITS]


@dataclass(frozen=True)
class NewAnswer:
    """What the generator wrote, with all that decides whether it may be kept.

    `entries` are all that the generator read, cited or not, as they were in `knowledge_version`.
    `is_whole` is false for what was cut off or repaired. `vector` is the question's, of length 1.
    """

    question: str
    vector: Vector
    reply: str
    intent_label: str
    intent_score: float
    confidence: float
    citations: tuple[Citation, ...]
    entries: tuple[Entry, ...]
    knowledge_version: int
    is_whole: bool = True


@dataclass(frozen=True, eq=False)
class CachedAnswer:
    """`entry_hashes` has the content hash of each entry that was read, by id.

    A person wrote or confirmed the reply of an `edited` one, and every `pinned` one is `edited`.
    `key` is the SHA-256 of the question and of everything else that the answer depends on
    (`key.py`). `model` is "" where a person wrote the answer. `vector` is None until the desk has
    encoded the question.
    """

    key: str
    question: str
    language: str
    reply: str
    intent_label: str = ""
    intent_score: float = 0.0
    confidence: float = 1.0
    citations: tuple[Citation, ...] = ()
    entry_hashes: Mapping[str, str] = field(default_factory=dict)
    model: str = ""
    pinned: bool = False
    edited: bool = False
    encoder_id: str = ""
    vector: Vector | None = None
    exact_hits: int = 0
    semantic_hits: int = 0
    id: str = field(default_factory=new_answer_id)
    created_at_ms: int = field(default_factory=now_ms)
    last_hit_at_ms: int = field(default_factory=now_ms)

    @property
    def is_vouched(self) -> bool:
        """A person stands behind it: it stays when it is out of date, and is then not given."""
        return self.pinned or self.edited

    def after(self, hit: Hit, at_ms: int) -> CachedAnswer:
        """The same answer, given once more."""
        return replace(
            self,
            exact_hits=self.exact_hits + (hit == "exact"),
            semantic_hits=self.semantic_hits + (hit == "semantic"),
            last_hit_at_ms=at_ms,
        )
