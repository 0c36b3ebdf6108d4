"""`/v1/chat/completions` and `/v1/models`: the desk in the shapes of OpenAI's API.

`user` is the uid, and kefu remembers the conversation, so only the last message is read. Without
`user` the caller keeps the talk itself and sends all of it. `usage` counts the tokens that the
generator read and wrote: an answer from the knowledge costs none. What moderation blocked or holds
ends with the `finish_reason` content_filter.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Annotated, Any, Literal

import structlog
from fastapi import APIRouter, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from kefu.errors import InvalidInput, KefuError, NotFound
from kefu.http.access import CustomerAccess
from kefu.http.problems import openai_error, problem_of, unknown_problem
from kefu.http.sse import ClientGone, data_only, event_stream, unless_gone
from kefu.stamps import new_id
from kefu.turn.endpoints import CLIENT_CLOSED_REQUEST, IdempotencyKey, require_text
from kefu.turn.live import LiveTurn
from kefu.turn.reply import Message, Reply, Round
from kefu.turn.services import TurnServicesDep

log = structlog.get_logger("kefu.turn")

router = APIRouter(prefix="/v1", tags=["openai"], dependencies=[CustomerAccess])

MAX_MESSAGES = 200
MAX_MESSAGE = 4000
DONE = "data: [DONE]\n\n"
# Sources whose text stands in the place of an answer that moderation keeps back.
KEPT_BACK = frozenset({"blocked", "held"})


class TextPart(BaseModel):
    type: Literal["text"]
    text: str


class ChatMessage(BaseModel):
    role: Literal["system", "developer", "user", "assistant"]
    content: str | list[TextPart] | None = None

    @property
    def text(self) -> str:
        if isinstance(self.content, list):
            return "".join(part.text for part in self.content)
        return self.content or ""


class StreamOptions(BaseModel):
    include_usage: bool = False


class CompletionRequest(BaseModel):
    """Fields of OpenAI's API that kefu has no use for (temperature, ...) are accepted and ignored:
    how an answer is written is the operator's choice."""

    model_config = ConfigDict(extra="ignore")

    model: str = ""
    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MAX_MESSAGES)]
    user: Annotated[str | None, Field(min_length=1, max_length=128)] = None
    stream: bool | None = False
    stream_options: StreamOptions | None = None
    max_tokens: Annotated[int | None, Field(ge=1)] = None
    max_completion_tokens: Annotated[int | None, Field(ge=1)] = None
    n: Annotated[int | None, Field(ge=1, le=1)] = None


@router.get("/models")
async def models(services: TurnServicesDep) -> dict[str, Any]:
    """The one model there is: the desk."""
    return {"object": "list", "data": [_model(services.model_name)]}


@router.get("/models/{name}")
async def model(name: str, services: TurnServicesDep) -> dict[str, Any]:
    if name != services.model_name:
        raise NotFound(f"There is no model of that name; this desk is {services.model_name!r}.")
    return _model(name)


@router.post("/chat/completions", response_model=None)
async def completions(
    body: CompletionRequest,
    request: Request,
    services: TurnServicesDep,
    idempotency_key: IdempotencyKey = None,
) -> Response:
    """Answer like OpenAI's chat completions, streaming included."""
    turn = services.desk.take(_message(body, idempotency_key))
    name = services.model_name
    if body.stream:
        usage = body.stream_options is not None and body.stream_options.include_usage
        return event_stream(_chunks(turn, name, usage), services.heartbeat_seconds)
    try:
        reply = await unless_gone(request, asyncio.ensure_future(turn.reply()))
    except ClientGone:
        return Response(status_code=CLIENT_CLOSED_REQUEST)
    return JSONResponse(_completion(turn, reply, name))


def _message(body: CompletionRequest, idempotency_key: str | None) -> Message:
    asked = body.messages[-1]
    if asked.role != "user":
        raise InvalidInput("The last of the messages must be the customer's (role user).")
    try:
        text = require_text(asked.text)
        uid = None if body.user is None else require_text(body.user)
    except ValueError as error:
        raise InvalidInput(f"The last message, or the user, {error}.") from error
    if len(text) > MAX_MESSAGE:
        raise InvalidInput(f"The message has {len(text)} characters; {MAX_MESSAGE} are allowed.")
    wanted = body.max_completion_tokens or body.max_tokens or 256
    return Message(
        uid=uid or f"anonymous-{new_id()}",
        text=text,
        max_tokens=min(wanted, 2048),
        idempotency_key=idempotency_key,
        history=None if uid else _rounds(body.messages[:-1]),
    )


def _rounds(messages: list[ChatMessage]) -> tuple[Round, ...]:
    """Pairs of a customer's message and the answer that follows it; the rest is left out."""
    return tuple(
        Round(asked.text, answer.text)
        for asked, answer in pairwise(messages)
        if (asked.role, answer.role) == ("user", "assistant")
    )


def _model(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "kefu"}


def _usage(reply: Reply) -> dict[str, int]:
    read = reply.usage.prompt_tokens if reply.usage else 0
    written = reply.usage.completion_tokens if reply.usage else 0
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
    }


def _completion(turn: LiveTurn, reply: Reply, model: str) -> dict[str, Any]:
    return {
        "id": f"chatcmpl-{reply.turn_id}",
        "object": "chat.completion",
        "created": turn.message.received_at_ms // 1000,
        "model": model,
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": reply.text, "refusal": None},
                "logprobs": None,
                "finish_reason": _finish_reason(reply),
            }
        ],
        "usage": _usage(reply),
        "kefu": _extra(reply),
    }


def _finish_reason(reply: Reply) -> str:
    return "content_filter" if reply.source in KEPT_BACK else "stop"


def _extra(reply: Reply) -> dict[str, Any]:
    """What `/chat` says besides the text; OpenAI's clients keep fields they do not know."""
    return {key: value for key, value in reply.as_json().items() if key != "reply"}


async def _chunks(turn: LiveTurn, model: str, include_usage: bool) -> AsyncIterator[str]:
    head = {
        "id": f"chatcmpl-{turn.message.turn_id}",
        "object": "chat.completion.chunk",
        "created": turn.message.received_at_ms // 1000,
        "model": model,
    }

    def chunk(delta: dict[str, str], finish: str | None = None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        return data_only({**head, "choices": [choice]})

    try:
        yield chunk({"role": "assistant", "content": ""})
        async for piece in turn.pieces():
            if isinstance(piece, str):  # a position in line has no place in this protocol
                yield chunk({"content": piece})
        reply = await turn.reply()
        yield chunk({}, _finish_reason(reply))
        if include_usage:
            yield data_only({**head, "choices": [], "usage": _usage(reply), "kefu": _extra(reply)})
        yield DONE
    except KefuError as error:
        yield data_only(openai_error(problem_of(error)))
    except Exception:  # the response has begun: only an event can say so
        log.exception("turn_crashed", turn_id=turn.message.turn_id)
        yield data_only(openai_error(unknown_problem()))
