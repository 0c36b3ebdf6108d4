"""`/api/conversations`: what was said, for the people of the company."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request

from kefu.conversations.transcript import Transcript
from kefu.errors import NotFound
from kefu.http.access import AdminAccess, AdminScheme

router = APIRouter(
    prefix="/api/conversations",
    tags=["conversations"],
    dependencies=[AdminAccess, AdminScheme],
)


async def transcript_of(request: Request) -> Transcript:
    transcript: Transcript = request.app.state.turn.transcript
    return transcript


TranscriptDep = Annotated[Transcript, Depends(transcript_of)]


@router.get("")
async def conversations(
    transcript: TranscriptDep,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before_ms: Annotated[
        int | None, Query(ge=0, le=2**53, description="`last_at_ms` of the page before.")
    ] = None,
    waiting: Annotated[bool, Query(description="Only those in which a person is needed.")] = False,
) -> dict[str, Any]:
    """Conversations, the most recently active first."""
    found = await transcript.conversations(limit, before_ms, waiting)
    return {"conversations": [asdict(summary) for summary in found]}


@router.get("/{uid:path}")
async def conversation(
    uid: str,
    transcript: TranscriptDep,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
) -> dict[str, Any]:
    """The newest turns of a customer, oldest first, unanswered ones included."""
    turns = await transcript.last_turns(uid, limit)
    if not turns:
        raise NotFound(f"No conversation of the customer {uid[:128]!r} is kept.")
    return {"uid": uid, "turns": [asdict(turn) for turn in turns]}
