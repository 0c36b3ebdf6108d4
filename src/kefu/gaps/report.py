"""What customers asked in vain: misses grouped by what an answer would have to say."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kefu.conversations.transcript import Turn
from kefu.gaps.clusters import cluster
from kefu.gaps.misses import Miss, Why, misses_of
from kefu.inference.encoder.compared import Compared
from kefu.intent.classifier import Prediction
from kefu.knowledge.service import Encoder, Knowledge
from kefu.language import Language, detect
from kefu.stamps import now_ms
from kefu.terms import exact_key

# The newest turns that are looked at; clustering 2,000 different wordings takes 80 MB and a second.
MAX_TURNS = 5000
MAX_WORDINGS = 2000

_EXAMPLES = 5
_REASONS = 5
_MS_PER_DAY = 24 * 3600 * 1000

Vector = NDArray[np.float32]


class Turns(Protocol):
    """What is asked of a transcript."""

    async def latest(self, limit: int) -> list[Turn]: ...


class Intents(Protocol):
    """What is asked of `intent.service.Intents`."""

    @property
    def version(self) -> str | None: ...
    async def classify(self, text: str, vector: Compared) -> Prediction: ...
    def is_foreign(self, prediction: Prediction | None) -> bool: ...


@dataclass(frozen=True)
class Nearest:
    """The entry that comes nearest. `score` as of `Match`: how surely it is what was asked."""

    id: str
    question: str
    score: float
    relevance: float


@dataclass(frozen=True)
class Gap:
    """Questions that one more answer might serve.

    `question` is the wording most like all the others, `turn_id` the newest turn with it, for
    `promote`. `why` counts the questions by what became of them; `reasons` are customers' own.
    """

    question: str
    turn_id: str
    count: int
    customers: int
    examples: tuple[str, ...]
    first_at_ms: int
    last_at_ms: int
    why: Mapping[Why, int]
    reasons: tuple[str, ...]
    nearest: Nearest | None


@dataclass(frozen=True)
class GapReport:
    """`gaps` are those of most customers; the rest says of how much they are a part.

    `turns` were looked at, since `since_ms` (later than asked for where there were more than
    `MAX_TURNS`); `missed` of them have no good answer, `foreign` of these are plainly none of the
    shop's business, and `left_out` are beyond the newest `MAX_WORDINGS` wordings.
    """

    since_ms: int
    turns: int
    missed: int
    foreign: int
    left_out: int
    clusters: int
    gaps: tuple[Gap, ...]


@dataclass(frozen=True, eq=False)
class _Wording:
    """Misses that say the same, the newest first, with the vector of what they say."""

    misses: tuple[Miss, ...]
    vector: Vector

    @property
    def text(self) -> str:
        return self.misses[0].text


async def find_gaps(
    transcript: Turns,
    knowledge: Knowledge,
    encoder: Encoder,
    intents: Intents,
    *,
    days: float = 7,
    limit: int = 20,
    default_language: Language = "zh",
) -> GapReport:
    """Look at the turns of the last `days`. A desk goes on answering meanwhile."""
    since_ms = now_ms() - round(days * _MS_PER_DAY)
    latest = await transcript.latest(MAX_TURNS)
    turns = [turn for turn in latest if turn.created_at_ms >= since_ms]
    if len(turns) == MAX_TURNS:
        since_ms = turns[-1].created_at_ms
    misses = misses_of(turns)
    wordings = await _wordings(misses, encoder)
    asked = [wording for wording in wordings if not await _is_foreign(wording, intents)]
    groups = sorted(await asyncio.to_thread(_grouped, asked), key=_order)
    taken, own = _count(wordings), _count(asked)
    return GapReport(
        since_ms=since_ms,
        turns=len(turns),
        missed=len(misses),
        foreign=taken - own,
        left_out=len(misses) - taken,
        clusters=len(groups),
        gaps=tuple([await _gap(group, knowledge, default_language) for group in groups[:limit]]),
    )


async def _wordings(misses: Sequence[Miss], encoder: Encoder) -> list[_Wording]:
    """Different wordings, the newest first."""
    same: dict[str, list[Miss]] = {}
    for miss in misses:
        same.setdefault(exact_key(miss.text) or miss.text, []).append(miss)
    taken = list(same.values())[:MAX_WORDINGS]
    vectors = await encoder.encode_many([found[0].text for found in taken])
    return [_Wording(tuple(found), vector) for found, vector in zip(taken, vectors, strict=True)]


async def _is_foreign(wording: _Wording, intents: Intents) -> bool:
    """Whether the model of today is certain that it is none of the shop's business."""
    await asyncio.sleep(0)  # others get a turn
    if intents.version is None:
        return False
    return intents.is_foreign(await intents.classify(wording.text, Compared(wording.vector)))


def _grouped(wordings: Sequence[_Wording]) -> list[list[_Wording]]:
    if not wordings:
        return []
    vectors = np.stack([wording.vector for wording in wordings])
    counts = [len(wording.misses) for wording in wordings]
    groups = cluster([wording.text for wording in wordings], vectors, counts)
    return [[wordings[number] for number in group] for group in groups]


def _order(group: Sequence[_Wording]) -> tuple[int, int, int]:
    """Most customers first, then most questions, then the latest."""
    misses = [miss for wording in group for miss in wording.misses]
    customers = len({miss.uid for miss in misses})
    return -customers, -len(misses), -max(miss.at_ms for miss in misses)


async def _gap(group: Sequence[_Wording], knowledge: Knowledge, default: Language) -> Gap:
    await asyncio.sleep(0)
    typical = group[0]
    misses = [miss for wording in group for miss in wording.misses]
    times = [miss.at_ms for miss in misses]
    return Gap(
        question=typical.text,
        turn_id=typical.misses[0].turn_id,
        count=len(misses),
        customers=len({miss.uid for miss in misses}),
        examples=tuple(wording.text for wording in group[:_EXAMPLES]),
        first_at_ms=min(times),
        last_at_ms=max(times),
        why=dict(Counter(miss.why for miss in misses).most_common()),
        reasons=tuple(dict.fromkeys(miss.reason for miss in misses if miss.reason))[:_REASONS],
        nearest=await _nearest(typical, knowledge, default),
    )


async def _nearest(wording: _Wording, knowledge: Knowledge, default: Language) -> Nearest | None:
    language = detect(wording.text, default)
    found = await knowledge.search(wording.text, wording.vector, language, 1)
    if not found:
        return None
    best = found[0]
    score, relevance = round(best.score, 4), round(best.relevance, 4)
    return Nearest(best.entry.id, best.question, score, relevance)


def _count(wordings: Sequence[_Wording]) -> int:
    return sum(len(wording.misses) for wording in wordings)
