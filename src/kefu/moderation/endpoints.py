"""`/api/moderation`: what is looked for, what becomes of a text, and the operator's words."""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Annotated, Any, Literal, Protocol

from fastapi import APIRouter, Depends, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from kefu.http.access import AdminAccess, AdminActor, AdminScheme
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.moderation.categories import Category, Direction
from kefu.moderation.lexicon import MAX_WORD, Listing, checked, severity_of
from kefu.moderation.listing import (
    explanation_as_json,
    phrase_as_json,
    select_phrases,
    select_words,
    word_as_json,
)
from kefu.moderation.service import Moderation

router = APIRouter(
    prefix="/api/moderation", tags=["moderation"], dependencies=[AdminAccess, AdminScheme]
)

MAX_TEXT = 4000
MAX_PAGE = 500


class ModerationServices(Protocol):
    """What these endpoints need of the open services."""

    @property
    def moderation(self) -> Moderation: ...
    @property
    def encoder(self) -> BatchedEncoder: ...


async def services_of(request: Request) -> ModerationServices:
    services: ModerationServices = request.app.state.services
    return services


ServicesDep = Annotated[ModerationServices, Depends(services_of)]
Listed = Annotated[str, Field(min_length=1, max_length=2 * MAX_WORD)]
Force = Annotated[bool, Query(description="Also where it is very short.")]
Words = Annotated[str, Query(max_length=MAX_WORD, description="Only those with this in them.")]
Offset = Annotated[int, Query(ge=0, le=1_000_000)]
Limit = Annotated[int, Query(ge=1, le=MAX_PAGE)]


class CheckBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(min_length=1, max_length=MAX_TEXT)]
    direction: Direction = Direction.CUSTOMER
    meaning: Annotated[bool, Field(strict=True, description="Also what the text means.")] = True


class WordBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    category: Category
    severity: Annotated[
        Literal["high", "medium", "low", "off"],
        Field(description="off: do not look for a word that comes with kefu."),
    ] = "medium"


@router.get("")
async def overview(services: ServicesDep) -> dict[str, Any]:
    """What is in use; `problems` say why something newer is not."""
    moderation = services.moderation
    lexicon, head = moderation.lexicon, moderation.head
    counts = await asyncio.to_thread(
        Counter, (word.category.value for word in lexicon.words.values())
    )
    return {
        "enabled": moderation.is_enabled,
        "version": max(0, lexicon.own.version),
        "words": len(lexicon.words),
        "own_words": len(lexicon.own.words),
        "taken_out": len(lexicon.own.off),
        "allowed_phrases": len(lexicon.allowed),
        "by_category": {category: counts[category] for category in Category},
        "head": head.version or None,
        "problems": moderation.problems,
    }


@router.post("/check")
async def check(body: CheckBody, services: ServicesDep) -> dict[str, Any]:
    """What would become of a text, and why. Nothing is kept of it."""
    checker = services.moderation.checker
    looks_at_meaning = body.meaning and checker.head is not None
    vector = await services.encoder.encode(body.text) if looks_at_meaning else None
    found = await asyncio.to_thread(checker.explain, body.text, vector, body.direction)
    return explanation_as_json(found)


@router.get("/words")
async def words(
    services: ServicesDep,
    q: Words = "",
    category: Category | None = None,
    source: Literal["kefu", "own"] | None = None,
    offset: Offset = 0,
    limit: Limit = 50,
) -> dict[str, Any]:
    """The words that are looked for, those that come with kefu first; then those taken out."""
    lexicon = services.moderation.lexicon
    found = await asyncio.to_thread(select_words, lexicon, q, category, source)
    page = [word_as_json(lexicon, item) for item in found[offset : offset + limit]]
    return {"total": len(found), "offset": offset, "words": page}


_CREATED = {"description": "It is new.", "content": {"application/json": {}}}


# A word may have slashes, which servers decode before the path is matched.
@router.put("/words/{word:path}", responses={201: _CREATED})
async def put_word(
    word: Listed,
    body: WordBody,
    services: ServicesDep,
    actor: AdminActor,
    response: Response,
    force: Force = False,
) -> dict[str, Any]:
    """Look for a word from now on, or for one that is listed already in another way."""
    severity = severity_of(body.severity)
    moderation = services.moderation
    if await moderation.add_word(word, body.category, severity, actor, force=force):
        response.status_code = 201
    listing = Listing(checked(word, force=force), body.category, severity)
    return word_as_json(moderation.lexicon, listing)


@router.delete("/words/{word:path}", status_code=204)
async def delete_word(word: Listed, services: ServicesDep, actor: AdminActor) -> None:
    """Look for a word no longer, be it your own or one that comes with kefu."""
    await services.moderation.remove_word(word, actor)


@router.get("/allowed")
async def allowed(
    services: ServicesDep, q: Words = "", offset: Offset = 0, limit: Limit = 50
) -> dict[str, Any]:
    """The innocent phrases that beat a listed word inside them."""
    lexicon = services.moderation.lexicon
    found = await asyncio.to_thread(select_phrases, lexicon, q)
    page = [phrase_as_json(lexicon, phrase) for phrase in found[offset : offset + limit]]
    return {"total": len(found), "offset": offset, "allowed": page}


@router.put("/allowed/{phrase:path}", responses={201: _CREATED})
async def put_phrase(
    phrase: Listed,
    services: ServicesDep,
    actor: AdminActor,
    response: Response,
    force: Force = False,
) -> dict[str, Any]:
    """Let a phrase pass from now on, whatever listed word is in it."""
    moderation = services.moderation
    if await moderation.allow(phrase, actor, force=force):
        response.status_code = 201
    return phrase_as_json(moderation.lexicon, checked(phrase, force=force))


@router.delete("/allowed/{phrase:path}", status_code=204)
async def delete_phrase(phrase: Listed, services: ServicesDep, actor: AdminActor) -> None:
    """Allow a phrase of your own no longer."""
    await services.moderation.disallow(phrase, actor)
