"""`/api/review`: what is held, what people decide, and who decided what."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal, Protocol

import structlog
from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from kefu.conversations.endpoints import TranscriptDep
from kefu.errors import KefuError
from kefu.http.access import AdminAccess, AdminActor, AdminScheme
from kefu.review.audit import AuditStore, csv_lines, json_lines, review_subject
from kefu.review.examples import examples_csv
from kefu.review.review import Review, ReviewStore, Status
from kefu.review.verdicts import MAX_NOTE, MAX_TEXT, Decision, decide, get_review

log = structlog.get_logger("kefu.review")

router = APIRouter(prefix="/api/review", tags=["review"], dependencies=[AdminAccess, AdminScheme])

# Of the conversation around a held message.
TURNS_BEFORE, TURNS_AFTER = 20, 5
MAX_PAGE = 200
MAX_SEQ = 2**63 - 1
CSV = "text/csv; charset=utf-8"

_DECIDED: dict[int | str, dict[str, Any]] = {
    409: {"description": "Somebody else, or the deadline, was first."}
}


class Deliverer(Protocol):
    """Whoever tells the customers."""

    async def deliver_due(self) -> None: ...


class ReviewServices(Protocol):
    """What these endpoints need of the open services."""

    @property
    def reviews(self) -> ReviewStore: ...
    @property
    def audit(self) -> AuditStore: ...
    @property
    def verdicts(self) -> Deliverer: ...


async def services_of(request: Request) -> ReviewServices:
    services: ReviewServices = request.app.state.services
    return services


ServicesDep = Annotated[ReviewServices, Depends(services_of)]
Note = Annotated[str, Field(max_length=MAX_NOTE, description="For the audit.")]


class DecisionBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    note: Note = ""


class EditBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    text: Annotated[str, Field(max_length=MAX_TEXT, description="What the customer is told.")]
    note: Note = ""
    is_bad: bool | None = Field(
        None,
        description="Whether the held text should have been stopped; left out, a customer's should "
        "not have been and a reply should.",
    )


@router.get("")
async def list_(
    services: ServicesDep,
    status: Annotated[Status | Literal["all"], Query()] = "pending",
    offset: Annotated[int, Query(ge=0, le=MAX_SEQ)] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE)] = 50,
) -> dict[str, Any]:
    """Held messages, the one whose deadline comes first at the top."""
    wanted = None if status == "all" else status
    found = await services.reviews.page(wanted, offset, limit)
    total = await services.reviews.count(wanted)
    return {"total": total, "reviews": [as_json(review) for review in found]}


@router.get("/export", response_class=Response, responses={200: {"content": {"text/csv": {}}}})
async def export(services: ServicesDep) -> Response:
    """What people decided, as `text,label,category` for `kefu moderation train`."""
    return Response(examples_csv(await services.reviews.examples()), media_type=CSV)


@router.get(
    "/audit",
    response_model=None,
    responses={200: {"content": {"application/x-ndjson": {}, "text/csv": {}}}},
)
async def audit(
    services: ServicesDep,
    after: Annotated[int, Query(ge=0, le=MAX_SEQ, description="The last `seq` you have.")] = 0,
    limit: Annotated[int, Query(ge=1, le=1000)] = 200,
    format_: Annotated[
        Literal["json", "jsonl", "csv"],
        Query(alias="format", description="jsonl and csv have all that follows `after`."),
    ] = "json",
) -> Response | dict[str, Any]:
    """Who decided what and when, oldest first."""
    if format_ == "csv":
        return StreamingResponse(csv_lines(services.audit, after), media_type=CSV)
    if format_ == "jsonl":
        lines = json_lines(services.audit, after)
        return StreamingResponse(lines, media_type="application/x-ndjson")
    records = await services.audit.after(after, limit)
    next_ = records[-1].seq if records else after
    return {"records": [asdict(record) for record in records], "next": next_}


@router.get("/{review_id}")
async def show(review_id: str, services: ServicesDep, transcript: TranscriptDep) -> dict[str, Any]:
    """A held message with the conversation around it and what was done about it."""
    review = await get_review(services.reviews, review_id)
    turns = await transcript.around(review.turn_id, TURNS_BEFORE, TURNS_AFTER)
    records = await services.audit.about(review_subject(review.id))
    return as_json(review) | {
        "conversation": [asdict(turn) for turn in turns],
        "audit": [asdict(record) for record in records],
    }


@router.post("/{review_id}/approve", responses=_DECIDED)
async def approve(
    review_id: str, body: DecisionBody, services: ServicesDep, actor: AdminActor
) -> dict[str, Any]:
    """Let it pass: the customer's words are answered, a held reply goes out as it is."""
    return await _decided(services, review_id, Decision("approved", note=body.note), actor)


@router.post("/{review_id}/edit", responses=_DECIDED)
async def edit(
    review_id: str, body: EditBody, services: ServicesDep, actor: AdminActor
) -> dict[str, Any]:
    """Tell the customer this instead."""
    decision = Decision("edited", body.text, body.note, body.is_bad)
    return await _decided(services, review_id, decision, actor)


@router.post("/{review_id}/reject", responses=_DECIDED)
async def reject(
    review_id: str, body: DecisionBody, services: ServicesDep, actor: AdminActor
) -> dict[str, Any]:
    """Tell the customer that this cannot be done."""
    return await _decided(services, review_id, Decision("rejected", note=body.note), actor)


async def _decided(
    services: ReviewServices, review_id: str, decision: Decision, actor: str
) -> dict[str, Any]:
    review = await decide(services.reviews, review_id, decision, actor)
    try:
        await services.verdicts.deliver_due()
    except KefuError as error:  # it is decided all the same, and the desk looks again in a second
        log.warning("verdict_not_delivered", review_id=review.id, reason=str(error))
    return as_json(review)


def as_json(review: Review) -> dict[str, Any]:
    """A review for programs."""
    held = review.held
    return {
        "id": review.id,
        "status": review.status,
        "direction": held.direction,
        "category": held.category,
        "text": held.text,
        "reasons": [asdict(reason) | {"summary": str(reason)} for reason in held.reasons],
        "uid": review.uid,
        "turn_id": review.turn_id,
        "created_at_ms": review.created_at_ms,
        "deadline_ms": review.deadline_ms,
        "decided_at_ms": review.decided_at_ms,
        "decided_by": review.decided_by,
        "edited_text": review.edited_text,
        "delivered_at_ms": review.delivered_at_ms,
    }
