"""`POST /chat/rating`: the customer says whether a reply was of use."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Request
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from kefu.conversations.ratings import MAX_REASON, Rating, Thumb
from kefu.errors import NotFound
from kefu.http.access import CustomerAccess
from kefu.telemetry import Metrics
from kefu.turn.endpoints import Text, Uid, require_text
from kefu.turn.services import TurnServicesDep

router = APIRouter(tags=["chat"])

WITHDRAWN = "withdrawn"


def _text_or_nothing(value: str) -> str:
    return require_text(value).strip() if value.strip() else ""


class RatingRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    uid: Uid
    turn_id: Annotated[Text, Field(max_length=64)]
    rating: Annotated[Thumb | None, Field(description="null takes the rating back.")]
    reason: Annotated[str, AfterValidator(_text_or_nothing), Field(max_length=MAX_REASON)] = ""


@router.post("/chat/rating", status_code=204, dependencies=[CustomerAccess])
async def rate(body: RatingRequest, request: Request, services: TurnServicesDep) -> None:
    """Rate a reply of this customer's; the last rating counts."""
    rating = Rating(body.rating, body.reason) if body.rating else None
    if not await services.transcript.rate(body.uid, body.turn_id, rating):
        raise NotFound(f"This customer has no answered turn {body.turn_id!r}.")
    metrics: Metrics = request.app.state.metrics
    metrics.ratings.labels(body.rating or WITHDRAWN).inc()
