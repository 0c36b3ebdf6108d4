"""`/api/knowledge`: import a file, search, delete, count."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Query, Request

from kefu.errors import InvalidInput, NotFound
from kefu.http.access import AdminAccess, AdminScheme
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.knowledge.importing import read_entries
from kefu.knowledge.index import Match
from kefu.knowledge.match import Passages
from kefu.knowledge.service import Knowledge
from kefu.language import detect

router = APIRouter(
    prefix="/api/knowledge", tags=["knowledge"], dependencies=[AdminAccess, AdminScheme]
)


class KnowledgeServices(Protocol):
    """What these endpoints need of the open services."""

    @property
    def knowledge(self) -> Knowledge: ...
    @property
    def encoder(self) -> BatchedEncoder: ...


def services_of(request: Request) -> KnowledgeServices:
    services: KnowledgeServices = request.app.state.services
    return services


ServicesDep = Annotated[KnowledgeServices, Depends(services_of)]


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


@router.post(
    "/import",
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "text/csv": {"schema": {"type": "string"}},
                "application/x-ndjson": {"schema": {"type": "string"}},
            },
        }
    },
)
async def import_file(
    request: Request,
    services: ServicesDep,
    name: Annotated[str, Query(max_length=255, description="File name: .csv or .jsonl.")],
    dry_run: bool = False,
) -> dict[str, Any]:
    """Import a CSV or JSONL file sent as the body. All of it, or with a bad row nothing."""
    content = await request.body()
    if not content:
        raise InvalidInput("The body is empty; send the file as the body.")
    notes: list[str] = []
    entries = read_entries(content, name, notes.append)
    take = services.knowledge.compare if dry_run else services.knowledge.import_entries
    report = await take(entries)
    return {**asdict(report), "dry_run": dry_run, "notes": notes}


@router.get("/search")
async def search(
    services: ServicesDep,
    q: Annotated[str, Query(min_length=1, max_length=4000)],
    limit: Annotated[int, Query(ge=1, le=50)] = 5,
) -> dict[str, Any]:
    """The entries nearest to a question, with the score of each part and what kefu would do."""
    vector = await services.encoder.encode(q)
    matches = services.knowledge.search(q, vector, detect(q), limit)
    decision = services.knowledge.decide(q, matches)
    return {
        "decision": type(decision).__name__.lower(),
        "doubt": decision.doubt if isinstance(decision, Passages) else None,
        "matches": [_match(match) for match in matches],
    }


@router.delete("/{entry_id}", status_code=204)
async def delete(entry_id: str, services: ServicesDep) -> None:
    """Forget an entry."""
    if entry_id not in services.knowledge.entries:
        raise NotFound(f"There is no entry {entry_id[:128]!r}.")
    await services.knowledge.delete_entries([entry_id])


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
    }
