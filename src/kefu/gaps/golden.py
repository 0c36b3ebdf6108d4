"""The golden set: the shop's own questions whose right entry is known, asked before a change."""

from __future__ import annotations

import asyncio
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kefu.errors import InvalidInput
from kefu.knowledge.entry import Entry, problems_of
from kefu.knowledge.index import Match
from kefu.knowledge.match import Decision, Sure
from kefu.knowledge.service import Encoder
from kefu.language import Language, detect

# A replay asks each twice: ten seconds of 10,000 entries, in which a desk goes on answering.
MAX_GOLDEN = 5000

_RANKS = 5
_PROBLEMS_SHOWN = 20


@dataclass(frozen=True)
class GoldenQuestion:
    """`entry_id` is the entry that answers, "" where none may."""

    question: str
    entry_id: str


class GoldenStore(Protocol):
    """Keeps the golden set. Synchronous; every change is all or nothing."""

    def all(self) -> list[GoldenQuestion]:
        """In the order of their questions."""

    def save(self, questions: Sequence[GoldenQuestion], remove: Sequence[str] = ()) -> None:
        """Add questions, replace those of the same words, and forget others."""

    def remove(self, question: str) -> bool:
        """Whether there was one."""


class Searched(Protocol):
    """The knowledge as it is, or as it would be."""

    async def search(
        self, text: str, vector: NDArray[np.float32], language: str, limit: int = 5
    ) -> list[Match]: ...
    def decide(self, text: str, matches: Sequence[Match]) -> Decision: ...


class Standing(IntEnum):
    """How well a golden question is served, worst first."""

    WRONG = 0  # an entry that is not the right one answers it word for word
    LOST = 1  # the right entry is not the first that is found
    FIRST = 2  # it is the first: a passage to write from, or one of a few to choose from
    SURE = 3  # it answers word for word, or (of a question that none may answer) none does


@dataclass(frozen=True)
class Outcome:
    """What the desk does with a golden question: `decision` as `kefu kb search` names it, and the
    first entry that it finds ("" for none).
    """

    decision: str
    entry_id: str
    standing: Standing

    @property
    def is_right(self) -> bool:
        return self.standing >= Standing.FIRST


@dataclass(frozen=True)
class Change:
    """A golden question that another knowledge would serve better or worse."""

    question: str
    entry_id: str
    was: Outcome
    would_be: Outcome


async def replay(
    golden: Sequence[GoldenQuestion],
    vectors: NDArray[np.float32],
    knowledge: Searched,
    default_language: Language,
) -> list[Outcome]:
    """Ask each question as a customer would. `vectors` are theirs, (n, dimensions)."""
    outcomes = []
    for one, vector in zip(golden, vectors, strict=True):
        await asyncio.sleep(0)  # customers get a turn
        language = detect(one.question, default_language)
        found = await knowledge.search(one.question, vector, language, _RANKS)
        outcomes.append(_outcome(one, found, knowledge.decide(one.question, found)))
    return outcomes


def changes(
    golden: Sequence[GoldenQuestion], before: Sequence[Outcome], after: Sequence[Outcome]
) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """What is worse after, and what is better."""
    all_ = [
        Change(one.question, one.entry_id, was, would_be)
        for one, was, would_be in zip(golden, before, after, strict=True)
    ]
    broken = tuple(c for c in all_ if c.would_be.standing < c.was.standing)
    return broken, tuple(c for c in all_ if c.would_be.standing > c.was.standing)


async def check(
    golden: Sequence[GoldenQuestion],
    knowledge: Searched,
    encoder: Encoder,
    default_language: Language = "zh",
) -> list[Outcome]:
    """How the desk serves the golden set today."""
    vectors = await encoder.encode_many([one.question for one in golden])
    return await replay(golden, vectors, knowledge, default_language)


def require_golden(questions: Sequence[GoldenQuestion], entries: Container[str]) -> None:
    """Raises `InvalidInput` for questions that cannot be kept, naming them."""
    problems = [*_problems(questions, entries)]
    if problems:
        shown = "; ".join(problems[:_PROBLEMS_SHOWN])
        more = len(problems) - _PROBLEMS_SHOWN
        raise InvalidInput(
            f"Golden questions that cannot be taken (none was): {shown}"
            + (f"; and {more} more" if more > 0 else "")
        )


def require_room(kept: Sequence[GoldenQuestion], more: Sequence[GoldenQuestion]) -> None:
    """Raises `InvalidInput` where there would be more than `MAX_GOLDEN`."""
    total = len({one.question for one in (*kept, *more)})
    if total > MAX_GOLDEN:
        raise InvalidInput(
            f"The golden set would have {total:,} questions; {MAX_GOLDEN:,} are allowed. Delete "
            "some first, or take those that matter most."
        )


def _problems(questions: Sequence[GoldenQuestion], entries: Container[str]) -> Iterator[str]:
    first: dict[str, str] = {}
    for one in questions:
        name = repr(one.question[:40])
        # A golden question is what an entry's question may be.
        for _, problem in problems_of(Entry("golden", one.question, "-")):
            yield f"{name} {problem}"
        if one.entry_id and one.entry_id not in entries:
            yield f"{name}: there is no entry {one.entry_id[:128]!r}"
        if first.setdefault(one.question, one.entry_id) != one.entry_id:
            yield f"{name} is given with two entries"


def _outcome(golden: GoldenQuestion, found: Sequence[Match], decision: Decision) -> Outcome:
    first = found[0].entry.id if found else ""
    sure = decision.entry.id if isinstance(decision, Sure) else None
    if sure is not None:
        standing = Standing.SURE if sure == golden.entry_id else Standing.WRONG
    elif golden.entry_id:
        standing = Standing.FIRST if first == golden.entry_id else Standing.LOST
    else:
        standing = Standing.SURE
    return Outcome(type(decision).__name__.lower(), first, standing)
