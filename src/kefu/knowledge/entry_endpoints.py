"""`/api/knowledge/entries`: what is known, entry by entry."""

from __future__ import annotations

import asyncio
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Query, Response
from pydantic import BaseModel, ConfigDict, Field

from kefu.errors import NotFound
from kefu.knowledge.entry import (
    MAX_ALTERNATIVES,
    MAX_ANSWER,
    MAX_QUESTION,
    MAX_TAG,
    MAX_TAGS,
    Entry,
    Kind,
)
from kefu.knowledge.listing import EntryFilter, entry_as_json, select_entries
from kefu.knowledge.service import Knowledge
from kefu.knowledge.services import ServicesDep
from kefu.language import Language

router = APIRouter(prefix="/entries")

Question = Annotated[str, Field(min_length=1, max_length=MAX_QUESTION)]
Answer = Annotated[str, Field(min_length=1, max_length=MAX_ANSWER)]
Alternatives = Annotated[tuple[Question, ...], Field(max_length=MAX_ALTERNATIVES)]
Tag = Annotated[str, Field(min_length=1, max_length=MAX_TAG)]
Tags = Annotated[tuple[Tag, ...], Field(max_length=MAX_TAGS)]


class EntryBody(BaseModel):
    """A whole entry. Without a language its text decides."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    question: Question
    answer: Answer
    alternatives: Alternatives = ()
    tags: Tags = ()
    language: Language | None = None
    enabled: bool = True
    valid_from: date | None = None
    valid_until: date | None = None


class EntryChanges(BaseModel):
    """Fields that are left out stay as they are."""

    model_config = ConfigDict(extra="forbid", str_strip_whitespace=True)

    question: Question = ""
    answer: Answer = ""
    alternatives: Alternatives = ()
    tags: Tags = ()
    language: Language = "zh"
    enabled: bool = True
    valid_from: date | None = None
    valid_until: date | None = None


@router.get("")
async def entries(
    services: ServicesDep,
    source: Annotated[str | None, Query(description='"" are entries that people made.')] = None,
    kind: Kind | None = None,
    tag: str | None = None,
    language: Language | None = None,
    enabled: bool | None = None,
    text: Annotated[str | None, Query(max_length=MAX_QUESTION)] = None,
    offset: Annotated[int, Query(ge=0)] = 0,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> dict[str, Any]:
    """Entries by source and id, a page at a time; `total` counts all that fit."""
    wanted = EntryFilter(source, kind, tag, language, enabled, text)
    known = list(services.knowledge.entries.values())
    found = await asyncio.to_thread(select_entries, known, wanted)
    page = [entry_as_json(entry) for entry in found[offset : offset + limit]]
    return {"total": len(found), "offset": offset, "entries": page}


@router.get("/{entry_id}")
async def entry(entry_id: str, services: ServicesDep) -> dict[str, Any]:
    """One entry, whole."""
    return entry_as_json(_known(services.knowledge, entry_id))


_CREATED = {"description": "The entry is new.", "content": {"application/json": {}}}


@router.put("/{entry_id}", responses={201: _CREATED})
async def put_entry(
    entry_id: str, body: EntryBody, services: ServicesDep, response: Response
) -> dict[str, Any]:
    """Add a question with its answer, or replace what the entry says. It keeps its source."""
    fields = {**body.model_dump(), "language": body.language or ""}
    if await services.knowledge.put_entry(Entry(entry_id, **fields)):
        response.status_code = 201
    return entry_as_json(_known(services.knowledge, entry_id))


@router.patch("/{entry_id}")
async def edit_entry(entry_id: str, body: EntryChanges, services: ServicesDep) -> dict[str, Any]:
    """Change some fields. The next import of its source may change an entry of a file back."""
    changes = body.model_dump(exclude_unset=True)
    return entry_as_json(await services.knowledge.edit_entry(entry_id, **changes))


@router.delete("/{entry_id}", status_code=204)
async def delete_entry(entry_id: str, services: ServicesDep) -> None:
    """Forget an entry."""
    _known(services.knowledge, entry_id)
    await services.knowledge.delete_entries([entry_id])


def _known(knowledge: Knowledge, entry_id: str) -> Entry:
    found = knowledge.entries.get(entry_id)
    if found is None:
        raise NotFound(f"There is no entry {entry_id[:128]!r}.")
    return found
