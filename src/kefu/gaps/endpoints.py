"""`/api/knowledge/gaps`, `/golden` and `/promote`: from a question in vain to a vetted answer.

Include this router before the one of `knowledge/endpoints.py`, whose `/{entry_id}` takes any name.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated, Any, Protocol, Self

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field, model_validator

from kefu.conversations.endpoints import TranscriptDep
from kefu.conversations.transcript import Transcript
from kefu.errors import NotFound
from kefu.gaps.golden import (
    MAX_GOLDEN,
    Change,
    GoldenQuestion,
    GoldenStore,
    Outcome,
    Standing,
    check,
    require_golden,
    require_room,
)
from kefu.gaps.promotion import Draft, PromotionReport, promote
from kefu.gaps.report import find_gaps
from kefu.http.access import AdminAccess, AdminScheme
from kefu.http.problems import problem, problem_response
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.intent.service import Intents
from kefu.knowledge.service import Knowledge

router = APIRouter(
    prefix="/api/knowledge", tags=["knowledge"], dependencies=[AdminAccess, AdminScheme]
)


class GapServices(Protocol):
    """What these endpoints need of the open services."""

    @property
    def knowledge(self) -> Knowledge: ...
    @property
    def encoder(self) -> BatchedEncoder: ...
    @property
    def intents(self) -> Intents: ...
    @property
    def golden(self) -> GoldenStore: ...


async def services_of(request: Request) -> GapServices:
    services: GapServices = request.app.state.services
    return services


ServicesDep = Annotated[GapServices, Depends(services_of)]
Texts = Annotated[list[str], Field(max_length=100)]


class GoldenBody(BaseModel):
    model_config = ConfigDict(extra="forbid")

    question: str
    entry_id: str = Field(description="The entry that answers; empty where none may.")


class GoldenSet(BaseModel):
    model_config = ConfigDict(extra="forbid")

    questions: Annotated[list[GoldenBody], Field(max_length=MAX_GOLDEN)]


class PromotionBody(BaseModel):
    """Either a question, or the turn in which a customer asked it."""

    model_config = ConfigDict(extra="forbid")

    question: str = ""
    turn_id: str = ""
    answer: str
    alternatives: Texts = []
    tags: Texts = []
    language: str = ""
    id: str = ""
    dry_run: bool = False
    force: bool = False

    @model_validator(mode="after")
    def _names_one_question(self) -> Self:
        if bool(self.question.strip()) == bool(self.turn_id):
            raise ValueError("give either a question or a turn_id")
        return self


@router.get("/gaps")
async def gaps(
    services: ServicesDep,
    transcript: TranscriptDep,
    days: Annotated[float, Query(gt=0, le=3650)] = 7,
    limit: Annotated[int, Query(ge=1, le=200)] = 20,
) -> dict[str, Any]:
    """Groups of questions that were not answered, or badly, those of most customers first."""
    report = await find_gaps(
        transcript,
        services.knowledge,
        services.encoder,
        services.intents,
        days=days,
        limit=limit,
    )
    return asdict(report)


@router.get("/golden")
async def golden(services: ServicesDep) -> dict[str, Any]:
    """The questions that are asked before a change."""
    found = await asyncio.to_thread(services.golden.all)
    return {"questions": [asdict(one) for one in found]}


@router.put("/golden")
async def add_golden(body: GoldenSet, services: ServicesDep) -> dict[str, Any]:
    """Add golden questions, or give those of the same words another entry. All, or none."""
    questions = [GoldenQuestion(one.question.strip(), one.entry_id) for one in body.questions]
    require_golden(questions, services.knowledge.entries)
    kept = await asyncio.to_thread(services.golden.all)
    require_room(kept, questions)
    await asyncio.to_thread(services.golden.save, questions)
    return {"saved": len(questions)}


@router.delete("/golden", status_code=204)
async def remove_golden(
    question: Annotated[str, Query(min_length=1, max_length=500)], services: ServicesDep
) -> None:
    """Ask this question no more."""
    if not await asyncio.to_thread(services.golden.remove, question):
        raise NotFound(f"{question[:128]!r} is no golden question.")


@router.get("/golden/check")
async def check_golden(services: ServicesDep) -> dict[str, Any]:
    """Ask them all: which are not served rightly today?"""
    questions = await asyncio.to_thread(services.golden.all)
    outcomes = await check(questions, services.knowledge, services.encoder)
    return check_as_json(questions, outcomes)


@router.post(
    "/promote",
    responses={409: {"description": "It would break golden questions: nothing was saved."}},
)
async def promote_(
    body: PromotionBody, request: Request, services: ServicesDep, transcript: TranscriptDep
) -> Response:
    """Make a FAQ entry of a question and a person's answer.

    The golden set is asked first with the entry in place. Where a golden question would be served
    worse, nothing is saved and the answer is 409 with the same report, unless `force` is set.
    """
    draft = Draft(
        question=body.question or await question_of(body.turn_id, transcript),
        answer=body.answer,
        alternatives=tuple(body.alternatives),
        tags=tuple(body.tags),
        language=body.language,
        id=body.id,
    )
    report = await promote(
        draft,
        services.knowledge,
        services.encoder,
        services.golden,
        dry_run=body.dry_run,
        force=body.force,
    )
    shown = promotion_as_json(report) | {"dry_run": body.dry_run}
    if report.saved or body.dry_run:
        return JSONResponse(shown)
    return problem_response(request, problem(409, "golden_broken", refusal(report)) | shown)


async def question_of(turn_id: str, transcript: Transcript) -> str:
    """What the customer asked in that turn. Raises `NotFound`."""
    turn = await transcript.find_turn(turn_id)
    if turn is None:
        raise NotFound(
            f"No turn {turn_id[:64]!r} is kept. It may have been deleted with its conversation: "
            "give the question instead."
        )
    return turn.meaning


def refusal(report: PromotionReport) -> str:
    """Why a draft was not saved."""
    reasons = []
    if report.broken:
        reasons.append(f"{len(report.broken)} of {report.replayed} golden questions would break")
    if report.doubt:
        reasons.append(f"the question would still not be answered word for word ({report.doubt})")
    return f"Nothing was saved: {'; '.join(reasons)}. Word it otherwise, or force it."


def promotion_as_json(report: PromotionReport) -> dict[str, Any]:
    entry = report.entry
    return {
        "saved": report.saved,
        "entry": {
            "id": entry.id,
            "question": entry.question,
            "answer": entry.answer,
            "alternatives": list(entry.alternatives),
            "tags": list(entry.tags),
            "language": entry.language,
        },
        "doubt": report.doubt,
        "replayed": report.replayed,
        "broken": [_change_as_json(change) for change in report.broken],
        "mended": [_change_as_json(change) for change in report.mended],
    }


def check_as_json(
    questions: Sequence[GoldenQuestion], outcomes: Sequence[Outcome]
) -> dict[str, Any]:
    """How many are served rightly, and which are not."""
    standings = [outcome.standing for outcome in outcomes]
    return {
        "n": len(questions),
        "right": sum(outcome.is_right for outcome in outcomes),
        **{standing.name.lower(): standings.count(standing) for standing in reversed(Standing)},
        "failing": [
            {"question": one.question, "entry_id": one.entry_id, "is": outcome_as_json(outcome)}
            for one, outcome in zip(questions, outcomes, strict=True)
            if not outcome.is_right
        ],
    }


def outcome_as_json(outcome: Outcome) -> dict[str, str]:
    return {
        "decision": outcome.decision,
        "entry_id": outcome.entry_id,
        "standing": outcome.standing.name.lower(),
    }


def _change_as_json(change: Change) -> dict[str, Any]:
    return {
        "question": change.question,
        "entry_id": change.entry_id,
        "was": outcome_as_json(change.was),
        "would_be": outcome_as_json(change.would_be),
    }
