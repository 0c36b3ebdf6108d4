"""`/api/intents`: what the desk recognises, what it does about it, and which model is in use."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import Annotated, Any, Protocol

from fastapi import APIRouter, Depends, Query, Request
from pydantic import BaseModel, ConfigDict, Field

from kefu.errors import NotFound
from kefu.http.access import AdminAccess, AdminScheme
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.intent.actions import MAX_REPLY, MAX_URL, Action, Kind
from kefu.intent.classifier import Prediction
from kefu.intent.service import Intents
from kefu.intent.versions import Version

router = APIRouter(prefix="/api/intents", tags=["intents"], dependencies=[AdminAccess, AdminScheme])


class IntentServices(Protocol):
    """What these endpoints need of the open services."""

    @property
    def intents(self) -> Intents: ...
    @property
    def encoder(self) -> BatchedEncoder: ...


async def services_of(request: Request) -> IntentServices:
    services: IntentServices = request.app.state.services
    return services


ServicesDep = Annotated[IntentServices, Depends(services_of)]
Label = Annotated[str, Field(min_length=1, max_length=64)]


class ActionBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    kind: Kind
    reply_zh: str = Field("", max_length=MAX_REPLY)
    reply_en: str = Field("", max_length=MAX_REPLY)
    url: str = Field("", max_length=MAX_URL)


@router.get("")
async def overview(services: ServicesDep) -> dict[str, Any]:
    """The labels with their figures and actions; `problem` says why a chosen model was refused."""
    intents = services.intents
    about = intents.about
    tested = {f.label: asdict(f) for f in about.figures.labels} if about and about.figures else {}
    labels = sorted({*(about.labels if about else ()), *intents.actions})
    return {
        "version": intents.version,
        "problem": intents.problem or None,
        "labels": [
            {
                "label": label,
                "known": about is not None and label in about.labels,
                "figures": tested.get(label),
                "action": asdict(intents.actions[label]) if label in intents.actions else None,
            }
            for label in labels
        ],
    }


@router.get("/predict")
async def predict(
    services: ServicesDep, q: Annotated[str, Query(min_length=1, max_length=4000)]
) -> dict[str, Any]:
    """What the model in use says of a message, and the action it would lead to."""
    vector = await services.encoder.compare(q)
    found = await services.intents.classify(q, vector)
    action = services.intents.action_for(found)
    return {**as_json(found), "action": asdict(action) if action else None}


@router.get("/versions")
async def versions(services: ServicesDep) -> dict[str, Any]:
    """The trained models that are kept, newest first."""
    found = await asyncio.to_thread(services.intents.versions.all)
    return {"versions": [version_as_json(version) for version in found]}


@router.post("/versions/{version}/use", status_code=204)
async def use(version: str, services: ServicesDep) -> None:
    """Serve with that version from now on. A damaged one is refused and nothing changes."""
    await services.intents.use(version)


# A label may have slashes, which servers decode before the path is matched.
@router.put("/{label:path}/action", status_code=204)
async def set_action(label: Label, body: ActionBody, services: ServicesDep) -> None:
    """What is done when a message has this intent."""
    await services.intents.set_action(label, Action(**body.model_dump()))


@router.delete("/{label:path}/action", status_code=204)
async def remove_action(label: Label, services: ServicesDep) -> None:
    """Do nothing special for this intent."""
    if not await services.intents.remove_action(label):
        raise NotFound(f"{label[:64]!r} has no action.")


def as_json(found: Prediction) -> dict[str, Any]:
    """A prediction for programs."""
    return {
        "label": found.label,
        "score": round(found.score, 4),
        "out_of_scope": round(found.out_of_scope, 4),
        "ranking": [{"label": label, "score": round(score, 4)} for label, score in found.ranking],
    }


def version_as_json(version: Version) -> dict[str, Any]:
    about = version.about
    return {
        "version": version.id,
        "active": version.active,
        "kind": about.kind if about else None,
        "created_at": about.created_at if about else None,
        "labels": len(about.labels) if about else None,
        "examples": about.examples if about else None,
        "accuracy": round(about.figures.accuracy, 4) if about and about.figures else None,
        "problem": version.problem or None,
    }
