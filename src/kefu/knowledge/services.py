"""What the endpoints of `/api/knowledge` need of the open services."""

from __future__ import annotations

from typing import Annotated, Protocol

from fastapi import Depends, Request

from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.knowledge.service import Knowledge


class KnowledgeServices(Protocol):
    @property
    def knowledge(self) -> Knowledge: ...
    @property
    def encoder(self) -> BatchedEncoder: ...


async def services_of(request: Request) -> KnowledgeServices:
    services: KnowledgeServices = request.app.state.services
    return services


ServicesDep = Annotated[KnowledgeServices, Depends(services_of)]
