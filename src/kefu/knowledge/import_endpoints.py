"""`/api/knowledge/import`, `/import-url` and `/sources`: knowledge from files and pages."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from kefu.errors import InvalidInput
from kefu.knowledge.documents.kinds import kind_of
from kefu.knowledge.entry import MAX_SOURCE
from kefu.knowledge.fetching import fetch
from kefu.knowledge.listing import count_sources, plan_as_json
from kefu.knowledge.plan import ImportPlan
from kefu.knowledge.service import Knowledge
from kefu.knowledge.services import ServicesDep
from kefu.knowledge.sources import Source, SourceFile, read_source

router = APIRouter()

_OFFICE = "application/vnd.openxmlformats-officedocument"
_TEXT: dict[str, Any] = {"schema": {"type": "string"}}
_BINARY: dict[str, Any] = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "required": True,
    "content": {
        "text/csv": _TEXT,
        "application/x-ndjson": _TEXT,
        "text/markdown": _TEXT,
        "text/html": _TEXT,
        "text/plain": _TEXT,
        "application/pdf": _BINARY,
        f"{_OFFICE}.wordprocessingml.document": _BINARY,
        f"{_OFFICE}.spreadsheetml.sheet": _BINARY,
    },
}


class UrlBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    url: str = Field(min_length=1, max_length=MAX_SOURCE)
    dry_run: bool = False
    replace: bool = False


@router.post("/import", openapi_extra={"requestBody": _BODY})
async def import_file(
    request: Request,
    services: ServicesDep,
    name: Annotated[
        str,
        Query(
            min_length=1,
            max_length=255,
            description="File name; its ending says what it is: .csv, .jsonl, .xlsx, .md, .html, "
            ".txt, .pdf or .docx. The entries are known as this source's.",
        ),
    ],
    dry_run: Annotated[bool, Query(description="Only say what would change.")] = False,
    replace: Annotated[
        bool, Query(description="Delete entries of this source that a table no longer has.")
    ] = False,
) -> Response:
    """Import a table or a document sent as the body. All of it, or with a bad row nothing."""
    content = await request.body()
    if not content:
        raise InvalidInput("The body is empty; send the file as the body.")
    file = SourceFile(name, kind_of(name), content)
    return await _import(services.knowledge, file, dry_run, replace)


@router.post("/import-url")
async def import_url(body: UrlBody, services: ServicesDep) -> Response:
    """Import a page or a document of the public internet."""
    file = await fetch(body.url)
    return await _import(services.knowledge, file, body.dry_run, body.replace)


@router.get("/sources")
async def sources(services: ServicesDep) -> dict[str, Any]:
    """Files and pages that entries came from, with their numbers."""
    known = list(services.knowledge.entries.values())
    return {"sources": await asyncio.to_thread(count_sources, known)}


@router.delete("/sources")
async def delete_source(
    services: ServicesDep, name: Annotated[str, Query(min_length=1, max_length=MAX_SOURCE)]
) -> dict[str, Any]:
    """Forget every entry of a source."""
    return {"removed": await services.knowledge.delete_source(name)}


async def _import(
    knowledge: Knowledge, file: SourceFile, dry_run: bool, replace_rows: bool
) -> Response:
    source = await asyncio.to_thread(read_source, file)
    take = knowledge.plan_import if dry_run else knowledge.import_sources
    plan = await take([source], replace_rows)
    report = await asyncio.to_thread(_report, plan, source, dry_run, knowledge.version)
    return Response(report, media_type="application/json")


def _report(plan: ImportPlan, source: Source, dry_run: bool, version: int) -> str:
    """Written apart from the event loop: a preview may have all of a book."""
    report = plan_as_json(plan, source.notes, (), dry_run)
    return json.dumps({**report, "version": version}, ensure_ascii=False)
