"""`POST /chat`, plain and streamed, and `GET /chat/history`."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from dataclasses import asdict
from typing import Annotated, Any

import structlog
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, TypeAdapter

from kefu.answers.flights import InLine
from kefu.conversations.ratings import Thumb
from kefu.conversations.transcript import Citation
from kefu.errors import KefuError
from kefu.http.access import Access, CustomerAccess
from kefu.http.bodies import body_of, header_of
from kefu.http.problems import problem_of, unknown_problem
from kefu.http.sse import ClientGone, event, event_stream, unless_gone
from kefu.turn.live import LiveTurn
from kefu.turn.reply import Message
from kefu.turn.services import TurnServices, TurnServicesDep

log = structlog.get_logger("kefu.turn")

router = APIRouter(tags=["chat"])

MAX_HISTORY = 100
# What nginx writes in its log for a client that closed the connection; no one reads the body.
CLIENT_CLOSED_REQUEST = 499
_SURROGATE = re.compile("[\ud800-\udfff]")


def require_text(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty")
    if "\x00" in value:
        raise ValueError("contains a NUL character")
    if _SURROGATE.search(value):
        raise ValueError("contains half a character (a lone surrogate), which is not text")
    return value


Text = Annotated[str, AfterValidator(require_text)]
Uid = Annotated[Text, Field(min_length=1, max_length=128, description="The customer.")]
_KeyText = Annotated[str, Field(min_length=1, max_length=255)]
IdempotencyKey = Annotated[_KeyText | None, Header()]
_KEY: TypeAdapter[str | None] = TypeAdapter(_KeyText | None)


class ChatRequest(BaseModel):
    model_config = ConfigDict(extra="forbid")

    uid: Uid
    message: Annotated[Text, Field(min_length=1, max_length=4000)]
    max_tokens: Annotated[int, Field(ge=1, le=2048, strict=True)] = 256
    stream: Annotated[bool, Field(strict=True)] = False


class IntentBody(BaseModel):
    label: str
    score: float


class CitationBody(BaseModel):
    id: str
    title: str
    score: float


class ChoiceBody(BaseModel):
    id: str
    title: str


class ChatReply(BaseModel):
    reply: str
    intent: IntentBody
    source: str
    citations: list[CitationBody]
    confidence: float
    choices: list[ChoiceBody] = Field(description="Questions to send instead: did you mean.")
    conversation_id: str
    turn_id: str
    timings_ms: dict[str, float]


class HistoryTurn(BaseModel):
    turn_id: str
    question: str
    reply: str
    source: str
    confidence: float
    citations: list[CitationBody]
    choices: list[ChoiceBody]
    rating: Thumb | None = Field(description="What the customer thought of the reply.")
    created_at: int = Field(description="Milliseconds since 1970, UTC.")


class History(BaseModel):
    turns: list[HistoryTurn]


@router.post(
    "/chat",
    response_model=ChatReply,
    dependencies=[CustomerAccess],
    responses={200: {"content": {"text/event-stream": {}}}},
)
async def chat(
    body: ChatRequest,
    request: Request,
    services: TurnServicesDep,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Answer a customer. With `stream`, server-sent events: `delta`s, then `done` or `error`.

    Send an `Idempotency-Key` to make a retry safe: the same key and message joins the running
    turn or gets the finished reply; it is never answered twice.
    """
    message = Message(
        uid=body.uid,
        text=body.message,
        max_tokens=body.max_tokens,
        idempotency_key=idempotency_key,
    )
    turn = services.desk.take(message)
    if body.stream:
        return event_stream(chat_events(turn), services.heartbeat_seconds)
    try:
        reply = await unless_gone(request, asyncio.ensure_future(turn.reply()))
    except ClientGone:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    return JSONResponse(reply.as_json())


async def chat_directly(request: Request) -> Response:
    """`chat`, called as FastAPI describes it and would call it: finding out how took FastAPI a third of
    the time of a kept answer (decision 18)."""
    access: Access = request.app.state.access
    access.require_customer(request.headers.get("authorization"))
    services: TurnServices = request.app.state.turn
    key = header_of(request, "idempotency-key", _KEY)
    return await chat(await body_of(request, ChatRequest), request, services, key)


async def chat_events(turn: LiveTurn) -> AsyncIterator[str]:
    """The events of one turn. An error after the first byte can only be told as an event."""
    try:
        async for piece in turn.pieces():
            if isinstance(piece, InLine):
                yield event("queue", {"position": piece.position})
            else:
                yield event("delta", {"text": piece})
        reply = await turn.reply()
        yield event("done", reply.as_json())
    except KefuError as error:
        yield event("error", problem_of(error))
    except Exception:  # the response has begun: only an event can say so
        log.exception("turn_crashed", turn_id=turn.message.turn_id)
        yield event("error", unknown_problem())


@router.get("/chat/history", response_model=History, dependencies=[CustomerAccess])
async def history(
    uid: Annotated[Uid, Query()],
    services: TurnServicesDep,
    limit: Annotated[int, Query(ge=1, le=MAX_HISTORY)] = 20,
) -> Any:
    """The answered turns of the conversation this customer is in, oldest first."""
    talk = await services.contexts.get(uid)
    turns = await services.transcript.last_turns(uid, limit)
    return {
        "turns": [
            {
                "turn_id": turn.turn_id,
                "question": turn.question,
                "reply": turn.reply,
                "source": turn.source,
                "confidence": turn.confidence,
                "citations": [_citation(citation) for citation in turn.citations],
                "choices": [asdict(choice) for choice in turn.choices],
                "rating": turn.rating.value if turn.rating else None,
                "created_at": turn.created_at_ms,
            }
            for turn in turns
            if turn.conversation_id == talk.id and turn.status == "answered"
        ]
    }


def _citation(citation: Citation) -> dict[str, Any]:
    return {"id": citation.id, "title": citation.title, "score": citation.score}
