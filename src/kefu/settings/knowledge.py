"""`[knowledge]`: from which score an entry is an answer."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from kefu.settings.section import Section


class KnowledgeSettings(Section):
    # Chosen on the sample shop's labelled questions: docs/knowledge.md.
    sure_score: float = Field(
        0.62, ge=0, le=1, description="Score of a sure answer that has all words; new words add."
    )
    sure_margin: float = Field(0.06, ge=0, le=1, description="Lead over the next other answer.")
    passage_score: float = Field(
        0.27, ge=0, le=1, description="Relevance from which an entry is given to the generator."
    )
    max_passages: int = Field(3, ge=1, le=10, description="Passages given to the generator.")
    search: Literal["memory", "pgvector"] = Field(
        "memory",
        description="Where it is searched: in the desk's memory (12 KB an entry), or in the PostgreSQL "
        "of `database`, with pgvector.",
    )
