"""Server-sent events: framing, heartbeat, and a reader that has gone away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any, TypeVar

from fastapi import Request
from fastapi.responses import StreamingResponse

T = TypeVar("T")

HEADERS = {
    "Cache-Control": "no-store",
    "X-Accel-Buffering": "no",  # nginx would hold the stream back otherwise
}
UNWATCHED_SECONDS = 0.1
HEARTBEAT = ": heartbeat\n\n"


def event(name: str, data: dict[str, Any], id_: int | None = None) -> str:
    """With an id, a browser that reconnects says it in `Last-Event-ID`."""
    numbered = "" if id_ is None else f"id: {id_}\n"
    return f"{numbered}event: {name}\ndata: {to_json(data)}\n\n"


def data_only(data: dict[str, Any]) -> str:
    return f"data: {to_json(data)}\n\n"


def to_json(data: dict[str, Any]) -> str:
    return json.dumps(data, ensure_ascii=False, separators=(",", ":"))


def event_stream(events: AsyncIterator[str], heartbeat_seconds: float) -> StreamingResponse:
    body = with_heartbeat(events, heartbeat_seconds)
    return StreamingResponse(body, media_type="text/event-stream", headers=HEADERS)


async def with_heartbeat(events: AsyncIterator[str], seconds: float) -> AsyncIterator[str]:
    """Pass `events` on, with a comment line whenever none came for `seconds`."""
    iterator = aiter(events)
    upcoming: asyncio.Future[str] | None = None
    try:
        while True:
            upcoming = asyncio.ensure_future(anext(iterator))
            while not (await asyncio.wait({upcoming}, timeout=seconds))[0]:
                yield HEARTBEAT
            try:
                yield upcoming.result()
            except StopAsyncIteration:
                return
    finally:
        if upcoming is not None and not upcoming.done():
            upcoming.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await upcoming
        if hasattr(iterator, "aclose"):
            await iterator.aclose()


class ClientGone(Exception):
    """The caller closed the connection before the answer was ready."""


async def unless_gone(request: Request, work: asyncio.Future[T]) -> T:
    """Wait for `work`, but stop as soon as the caller hangs up. Raises `ClientGone`."""
    watching: list[asyncio.Future[Any]] = []
    try:
        # Most replies are there before anybody could hang up; to watch for it costs a task.
        await asyncio.wait({work}, timeout=UNWATCHED_SECONDS)
        if not work.done():
            watching.append(asyncio.ensure_future(_disconnect(request)))
            await asyncio.wait([work, *watching], return_when=asyncio.FIRST_COMPLETED)
        if work.done():
            return work.result()
        raise ClientGone
    finally:
        for pending in (work, *watching):
            if not pending.done():
                pending.cancel()
                with suppress(asyncio.CancelledError):
                    await pending


async def _disconnect(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
