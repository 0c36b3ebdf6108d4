"""What the chat endpoints need, opened once by `app.py`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request

from kefu.conversations.transcript import Transcript
from kefu.turn.context import Contexts
from kefu.turn.desk import Desk


@dataclass(frozen=True)
class TurnServices:
    desk: Desk
    contexts: Contexts
    transcript: Transcript
    heartbeat_seconds: float
    model_name: str


async def turn_services(request: Request) -> TurnServices:
    services: TurnServices = request.app.state.turn
    return services


TurnServicesDep = Annotated[TurnServices, Depends(turn_services)]
