"""`GET /chat/updates`: replies that came later than their turn, each of them once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, Field

from kefu.http.access import CustomerAccess
from kefu.http.sse import ClientGone, event, event_stream, unless_gone
from kefu.review.review import Delivery, DeliveryStore
from kefu.settings import ConversationSettings
from kefu.stamps import now_ms
from kefu.turn.doorbell import Doorbell, rung_within
from kefu.turn.endpoints import CLIENT_CLOSED_REQUEST, ChoiceBody, CitationBody, Uid

router = APIRouter(tags=["chat"])

MOST_AT_ONCE = 100
_DAY_MS = 24 * 3600 * 1000
LONGEST_WAIT_SECONDS = 30
# A seq is a row id of the database.
MAX_SEQ = 2**63 - 1


class Updates:
    """Later replies of a desk, for customers who ask for them."""

    def __init__(
        self, store: DeliveryStore, settings: ConversationSettings, heartbeat_seconds: float
    ) -> None:
        self._store = store
        self._recent_ms = max(_DAY_MS, round(settings.idle_seconds * 1000))
        self.heartbeat_seconds = heartbeat_seconds
        self.doorbell = Doorbell()

    async def after(self, uid: str, seq: int) -> list[Delivery]:
        """Those that follow `seq`; from 0 those of the last day, or of a talk that is kept longer.

        A page that slept over the verdict, and maybe over the end of the talk, is told of it.
        """
        since_ms = 0 if seq else now_ms() - self._recent_ms
        return await self._store.deliveries(uid, seq, since_ms, MOST_AT_ONCE)

    async def wait(self, uid: str, seq: int, seconds: float) -> list[Delivery]:
        """The same, but where there are none wait for one so long."""
        with self.doorbell.listening(uid) as rung:
            found = await self.after(uid, seq)
            if found or not seconds:
                return found
            await rung_within(rung, seconds)
        return await self.after(uid, seq)

    async def events(self, uid: str, seq: int) -> AsyncIterator[str]:
        """A server-sent event each, until the desk stops."""
        while not self.doorbell.is_closed:
            for delivery in await self.wait(uid, seq, self.heartbeat_seconds):
                yield event("update", _as_json(delivery), delivery.seq)
                seq = delivery.seq


async def updates_of(request: Request) -> Updates:
    updates: Updates = request.app.state.updates
    return updates


UpdatesDep = Annotated[Updates, Depends(updates_of)]
Seq = Annotated[int, Query(ge=0, le=MAX_SEQ, description="The last `seq` you have.")]


class Update(BaseModel):
    seq: int
    turn_id: str = Field(description="The turn whose holding reply this takes the place of.")
    reply: str
    source: str
    confidence: float
    citations: list[CitationBody]
    choices: list[ChoiceBody]
    created_at: int = Field(description="Milliseconds since 1970, UTC.")


class UpdatesBody(BaseModel):
    updates: list[Update]
    next: int = Field(description="Give it as `after` the next time.")


@router.get(
    "/chat/updates",
    response_model=UpdatesBody,
    dependencies=[CustomerAccess],
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def updates(
    uid: Annotated[Uid, Query()],
    request: Request,
    updates: UpdatesDep,
    after: Seq = 0,
    wait: Annotated[
        float, Query(ge=0, le=LONGEST_WAIT_SECONDS, description="Seconds to wait for one.")
    ] = 0,
    stream: Annotated[bool, Query(description="Server-sent events instead.")] = False,
    last_event_id: Annotated[int | None, Header(ge=0, le=MAX_SEQ)] = None,
) -> Response:
    """Replies that a person's verdict, or a deadline, brought after their turn was answered.

    With `wait`, the answer comes as soon as there is one. With `stream`, events `update` whose `id`
    is their `seq`; `Last-Event-ID` counts for more than `after`.
    """
    since = after if last_event_id is None else last_event_id
    if stream:
        return event_stream(updates.events(uid, since), updates.heartbeat_seconds)
    try:
        waiting = asyncio.ensure_future(updates.wait(uid, since, wait))
        found = await unless_gone(request, waiting)
    except ClientGone:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    next_ = found[-1].seq if found else since
    return JSONResponse({"updates": [_as_json(one) for one in found], "next": next_})


def _as_json(delivery: Delivery) -> dict[str, Any]:
    turn = delivery.turn
    return {
        "seq": delivery.seq,
        "turn_id": turn.turn_id,
        "reply": turn.reply,
        "source": turn.source,
        "confidence": turn.confidence,
        "citations": [asdict(citation) for citation in turn.citations],
        "choices": [asdict(choice) for choice in turn.choices],
        "created_at": delivery.created_at_ms,
    }
