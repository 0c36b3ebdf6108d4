"""`/api/cache`: the kept answers, what they were worth, and what an operator does with them."""

from __future__ import annotations

from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from kefu.answers.answer import CachedAnswer
from kefu.answers.cache import AnswerCache
from kefu.answers.people import MAX_QUESTION, MAX_REPLY
from kefu.errors import InvalidInput
from kefu.http.access import AdminAccess, AdminScheme
from kefu.language import Language
from kefu.stamps import now_ms
from kefu.terms import fold

router = APIRouter(prefix="/api/cache", tags=["cache"], dependencies=[AdminAccess, AdminScheme])

MAX_PAGE = 200
MAX_ENTRY_ID = 128
_MOST_ENTRIES = 10


class CacheServices(Protocol):
    """What these endpoints need of the open services."""

    @property
    def answers(self) -> AnswerCache: ...


async def services_of(request: Request) -> CacheServices:
    services: CacheServices = request.app.state.services
    return services


ServicesDep = Annotated[CacheServices, Depends(services_of)]
EntryId = Annotated[str, Field(min_length=1, max_length=MAX_ENTRY_ID)]


class PinBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    question: Annotated[str, Field(min_length=1, max_length=MAX_QUESTION)]
    reply: Annotated[str, Field(min_length=1, max_length=MAX_REPLY)]
    language: Language | None = None
    entry_ids: Annotated[
        list[EntryId],
        Field(max_length=_MOST_ENTRIES, description="Give it only while these stay as they are."),
    ] = []


class RevisionBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    reply: Annotated[str, Field(min_length=1, max_length=MAX_REPLY)] | None = None
    pinned: Annotated[bool, Field(strict=True)] | None = None


@router.get("")
async def overview(
    services: ServicesDep,
    q: Annotated[str, Query(max_length=500, description="Words of the question or reply.")] = "",
    pinned: bool | None = None,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
    offset: Annotated[int, Query(ge=0)] = 0,
) -> dict[str, Any]:
    """The kept answers, the one used last first, and how lookups since the start ended."""
    cache = services.answers
    found = select(cache.answers[::-1], q, pinned)
    return {
        "total": len(found),
        "lookups": cache.lookups,
        "answers": [_body(cache, answer) for answer in found[offset : offset + limit]],
    }


@router.put("")
async def pin(body: PinBody, services: ServicesDep) -> dict[str, Any]:
    """Give this answer to this question, and to others that ask the same, from now on."""
    cache = services.answers
    answer = await cache.pin(body.question, body.reply, body.entry_ids, body.language)
    return _body(cache, answer)


@router.delete("")
async def clear(
    services: ServicesDep,
    entry_id: Annotated[
        EntryId | None, Query(description="Only answers that were written from this entry.")
    ] = None,
    keep_pinned: bool = False,
) -> dict[str, int]:
    """Drop all kept answers, or those of one entry; how many there were."""
    dropped = await services.answers.clear(entry_id=entry_id, keep_pinned=keep_pinned)
    return {"dropped": dropped}


@router.get("/{answer_id}")
async def show(answer_id: str, services: ServicesDep) -> dict[str, Any]:
    """One kept answer."""
    return _body(services.answers, services.answers.get(answer_id))


@router.patch("/{answer_id}")
async def revise(answer_id: str, body: RevisionBody, services: ServicesDep) -> dict[str, Any]:
    """Give it other words, or pin it. Either confirms it with its entries as they are now."""
    if body.reply is None and body.pinned is None:
        raise InvalidInput("Nothing to change. Give reply, pinned or both.")
    answer = await services.answers.revise(answer_id, reply=body.reply, pinned=body.pinned)
    return _body(services.answers, answer)


@router.delete("/{answer_id}", status_code=204)
async def drop(answer_id: str, services: ServicesDep) -> None:
    """Forget one answer; the question is answered anew when it is asked again."""
    await services.answers.drop(answer_id)


def select(
    answers: list[CachedAnswer], words: str = "", pinned: bool | None = None
) -> list[CachedAnswer]:
    """Those that have the words in question or reply, whatever their case and width."""
    wanted = fold(words).strip()
    return [
        answer
        for answer in answers
        if (pinned is None or answer.pinned == pinned)
        and (not wanted or wanted in fold(f"{answer.question}\n{answer.reply}"))
    ]


def as_json(answer: CachedAnswer, doubt: str | None) -> dict[str, Any]:
    """An answer for programs. `doubt` says why it is not given at the moment."""
    return {
        "id": answer.id,
        "question": answer.question,
        "language": answer.language,
        "reply": answer.reply,
        "intent": {"label": answer.intent_label, "score": round(answer.intent_score, 4)},
        "confidence": round(answer.confidence, 4),
        "citations": [
            {"id": c.id, "title": c.title, "score": round(c.score, 4)} for c in answer.citations
        ],
        "entry_ids": list(answer.entry_hashes),
        "model": answer.model,
        "pinned": answer.pinned,
        "edited": answer.edited,
        "doubt": doubt,
        "hits": {"exact": answer.exact_hits, "semantic": answer.semantic_hits},
        "age_seconds": max(0, now_ms() - answer.created_at_ms) // 1000,
        "created_at": answer.created_at_ms,
        "last_hit_at": answer.last_hit_at_ms,
    }


def _body(cache: AnswerCache, answer: CachedAnswer) -> dict[str, Any]:
    return as_json(answer, cache.doubt(answer))
