"""`/livez`, `/readyz`, `/metrics`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request, Response
from fastapi.responses import PlainTextResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from kefu.errors import KefuError
from kefu.http.access import CustomerAccess
from kefu.telemetry import Metrics

router = APIRouter(tags=["operations"])

PING_SECONDS = 2.0

Ping = Callable[[], Awaitable[None]]


class Health:
    """Asks each part whether it works. Parts in `optional` may be down while FAQ answers go on."""

    def __init__(self, required: Mapping[str, Ping], optional: Mapping[str, Ping]) -> None:
        self._required = required
        self._optional = optional
        self.is_draining = False  # told to stop: whoever sends customers here should look elsewhere

    async def check(self) -> tuple[bool, dict[str, str]]:
        """Whether the desk can answer, and the state of each part: `ok` or what is wrong."""
        parts = {**self._required, **self._optional}
        states = await asyncio.gather(*(_state(ping) for ping in parts.values()))
        report = dict(zip(parts, states, strict=True))
        return all(report[name] == "ok" for name in self._required), report


async def _state(ping: Ping) -> str:
    try:
        async with asyncio.timeout(PING_SECONDS):
            await ping()
    except TimeoutError:
        return f"no answer within {PING_SECONDS:g} s"
    except KefuError as error:
        return str(error)
    return "ok"


async def health_of(request: Request) -> Health:
    health: Health = request.app.state.health
    return health


async def metrics_of(request: Request) -> Metrics:
    metrics: Metrics = request.app.state.metrics
    return metrics


@router.get("/livez")
async def livez() -> dict[str, str]:
    """The process runs. Nothing else is looked at."""
    return {"status": "ok"}


@router.get("/readyz", responses={503: {"description": "A part does not work, or the desk stops."}})
async def readyz(response: Response, health: Annotated[Health, Depends(health_of)]) -> Any:
    """Whether customers should be sent here. A generator that restarts leaves FAQ answers working."""
    ready, parts = await health.check()
    status = "ok" if ready else "unavailable"
    if health.is_draining:
        status = "draining"
    if status != "ok":
        response.status_code = 503
    return {"status": status, "parts": parts}


@router.get("/metrics", dependencies=[CustomerAccess], response_class=PlainTextResponse)
async def metrics(found: Annotated[Metrics, Depends(metrics_of)]) -> Response:
    """For Prometheus."""
    return Response(generate_latest(found.registry), media_type=CONTENT_TYPE_LATEST)
