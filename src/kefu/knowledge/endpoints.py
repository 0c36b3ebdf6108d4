"""`/api/knowledge`: count, search, and what `entry_endpoints` and `import_endpoints` add."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from kefu.courtesies import without_courtesies
from kefu.http.access import AdminAccess, AdminScheme
from kefu.knowledge import entry_endpoints, import_endpoints
from kefu.knowledge.index import Match
from kefu.knowledge.match import Passages
from kefu.knowledge.services import ServicesDep
from kefu.language import detect

router = APIRouter(
    prefix="/api/knowledge", tags=["knowledge"], dependencies=[AdminAccess, AdminScheme]
)
router.include_router(import_endpoints.router)
router.include_router(entry_endpoints.router)


@router.get("")
async def overview(services: ServicesDep) -> dict[str, Any]:
    """How much is known, by language, and the version that every change raises."""
    entries = services.knowledge.entries.values()
    languages = sorted({entry.language for entry in entries})
    return {
        "version": services.knowledge.version,
        "entries": len(entries),
        "by_language": {
            language: sum(entry.language == language for entry in entries) for language in languages
        },
    }


@router.get("/search")
async def search(
    services: ServicesDep,
    q: Annotated[str, Query(min_length=1, max_length=4000)],
    limit: Annotated[int, Query(ge=1, le=50)] = 5,
) -> dict[str, Any]:
    """The entries nearest to a question, with the score of each part and what kefu would do."""
    question = without_courtesies(q)
    vector = await services.encoder.encode(question)
    matches = await services.knowledge.search(question, vector, detect(q), limit)
    decision = services.knowledge.decide(question, matches)
    return {
        "decision": type(decision).__name__.lower(),
        "doubt": decision.doubt if isinstance(decision, Passages) else None,
        "matches": [_match(match) for match in matches],
    }


@router.delete("/{entry_id}", status_code=204, include_in_schema=False)
async def delete(entry_id: str, services: ServicesDep) -> None:
    """Where entries were deleted before they had a path of their own; kept for old callers."""
    await entry_endpoints.delete_entry(entry_id, services)


def _match(match: Match) -> dict[str, Any]:
    return {
        "id": match.entry.id,
        "question": match.question,
        "answer": match.entry.answer,
        "language": match.entry.language,
        "relevance": round(match.relevance, 4),
        "score": round(match.score, 4),
        "lead": round(match.lead, 4),
        "cosine": round(match.cosine, 4),
        "lexical": round(match.lexical, 4),
        "mean": round(match.mean, 4),
        "text": round(match.text, 4),
        "answer_cosine": round(match.answer_cosine, 4),
    }
