"""Answers that were generated once and may be given again.

    find_exact   the very words                          microseconds, before anything else
    find_alike   other words that ask the same           near by vector, then the judge of pairs
    keep         what was just generated                 if it is nobody's own and sure enough

An answer is given only while every entry it was written from is as it was then, and is enabled and
valid today: that is looked at in each lookup, so that no order of events can serve an old one. What
a change of the knowledge makes wrong besides is in `voiding.py`.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Literal, get_args

import numpy as np
import structlog

from kefu.answers import people
from kefu.answers.answer import CachedAnswer, Hit, NewAnswer, Vector
from kefu.answers.freshness import Freshness, Known
from kefu.answers.kept import Encoder, KeptAnswers, Store
from kefu.answers.key import Scope, key_in_flight, key_of, key_of_words, words_of
from kefu.answers.match import LEAST_COSINE, Judge, choose
from kefu.answers.personal import find_personal
from kefu.answers.voiding import Voiding
from kefu.errors import KefuError, NotFound
from kefu.knowledge.entry import Entry
from kefu.language import Language
from kefu.settings import AnswerSettings
from kefu.stamps import now_ms
from kefu.telemetry import Metrics

log = structlog.get_logger("kefu.answers")

# `shared`: followed a generation that another customer had begun; `miss`: began one; `refused`:
# an answer was at hand and was not given, and then it is a miss as well.
Lookup = Literal["exact", "semantic", "shared", "miss", "refused"]
LOOKUPS: tuple[Lookup, ...] = get_args(Lookup)

# An answer, and the version of the knowledge that it was written from.
TellOthers = Callable[[CachedAnswer, int], None]

MOST_CANDIDATES = 5
_MS_PER_HOUR = 3_600_000
_SWEEP_EVERY_MS = 60_000


class AnswerCache:
    """Open with `open_answers`. Not thread-safe: it lives on the event loop."""

    def __init__(
        self,
        kept: KeptAnswers,
        freshness: Freshness,
        voiding: Voiding,
        known: Known,
        encoder: Encoder,
        judge: Judge,
        settings: AnswerSettings,
        metrics: Metrics,
    ) -> None:
        self._kept = kept
        self._freshness = freshness
        self._voiding = voiding
        self._known = known
        self._encoder = encoder
        self._judge = judge
        self._settings = settings
        self._metrics = metrics
        self._lookups: Counter[str] = Counter()
        self._changing = asyncio.Lock()
        self._sweep_at_ms = 0
        self._tell_others: TellOthers = lambda _answer, _version: None
        metrics.answer_cache_entries.set_function(lambda: len(kept.shelf))

    # Lookups

    def find_exact(self, question: str, scope: Scope) -> CachedAnswer | None:
        """The answer to the same words, a person's first. For turns that need no context only."""
        words = words_of(question)
        keys = (key_of_words(words, scope.of_people), key_of_words(words, scope))
        found = [a for key in keys if (a := self._kept.shelf.find_key(key)) is not None]
        answer = next((answer for answer in found if self._may_give(answer)), None)
        if answer is not None:
            return self._give(answer, "exact")
        if found:
            self.count("refused")
        return None

    async def find_alike(self, question: str, vector: Vector, scope: Scope) -> CachedAnswer | None:
        """The answer to a question that asks the same. For turns that need no context only.

        `vector` is the question's, of length 1.
        """
        if not self._settings.semantic:
            return None
        candidates = self._candidates(vector, scope)
        if not candidates:
            return None
        if find_personal(question) is not None:
            self.count("refused")
            return None
        best = await self._judged(question, candidates)
        # While the judge read, it may have been dropped or its entries changed.
        current = self._kept.shelf.find(best.id) if best is not None else None
        if current is None or not self._may_give(current):
            self.count("refused")
            return None
        return self._give(current, "semantic")

    def flight_key(self, question: str, scope: Scope, entries: Sequence[Entry]) -> str | None:
        """What two questions must share to share one generation from these entries; None where
        they must not, for what it says is one customer's own.
        """
        key = key_of(question, scope)
        if not key or find_personal(question, _texts(entries)) is not None:
            return None
        return key_in_flight(key, _hashes(entries))

    def count(self, lookup: Lookup) -> None:
        """Count what a lookup ended in; `flights.Flights` reports "shared" and "miss" here."""
        self._lookups[lookup] += 1
        self._metrics.answer_cache_lookups.labels(lookup).inc()

    def _candidates(self, vector: Vector, scope: Scope) -> list[CachedAnswer]:
        near = self._kept.shelf.nearest(vector, LEAST_COSINE)
        fitting = (a for a in near if _is_in(a, scope) and self._may_give(a))
        return list(islice(fitting, MOST_CANDIDATES))

    async def _judged(
        self, question: str, candidates: Sequence[CachedAnswer]
    ) -> CachedAnswer | None:
        """The candidate that asks the same. A judge that fails costs a generation, no reply."""
        try:
            judgements = await self._judge.judge(question, [c.question for c in candidates])
        except KefuError as error:
            log.error("judge_failed", reason=str(error))
            return None
        return choose(candidates, judgements, self._judge.threshold)

    def _may_give(self, answer: CachedAnswer) -> bool:
        if answer.is_vouched and not answer.entry_hashes:
            return True
        if not answer.is_vouched and not self._voiding.is_settled:
            return False
        return self._freshness.doubt(answer) is None and self._freshness.is_snapshot_current()

    def _give(self, answer: CachedAnswer, hit: Hit) -> CachedAnswer:
        self.count(hit)
        return self._kept.used(answer, hit)

    # Keeping

    def keep(self, new: NewAnswer, scope: Scope) -> CachedAnswer | None:
        """Keep a generated answer; None where it may not be given again. Never waits.

        Only for turns that needed no context.
        """
        key = key_of(new.question, scope)
        if not key or (reason := self._reason_not_to_keep(new)) is not None:
            log.debug("answer_not_kept", reason=reason if key else "no words")
            return None
        answer = CachedAnswer(
            key=key,
            question=new.question,
            language=scope.language,
            reply=new.reply,
            intent_label=new.intent_label,
            intent_score=new.intent_score,
            confidence=new.confidence,
            citations=new.citations,
            entry_hashes=_hashes(new.entries),
            model=scope.model,
            encoder_id=self._encoder.id,
            vector=np.array(new.vector, np.float32),
        )
        self._kept.put(answer)
        self._tell_others(answer, new.knowledge_version)
        return self._kept.shelf.find(answer.id)

    def share(self, tell: TellOthers) -> None:
        """Call `tell` with each answer that is kept from now on."""
        self._tell_others = tell

    def adopt(self, answer: CachedAnswer, knowledge_version: int) -> None:
        """Have an answer that another desk keeps, where this one would have kept it: what is another
        version of the knowledge to it was not held against the changes in between."""
        if (
            knowledge_version == self._known.version
            and answer.encoder_id == self._encoder.id
            and self._may_give(answer)
        ):
            self._kept.adopt(answer)

    def _reason_not_to_keep(self, new: NewAnswer) -> str | None:
        if not new.is_whole:
            return "it was cut off or repaired"
        if not new.entries:
            return "it rests on no entry"
        if new.confidence < self._settings.least_confidence:
            return "its confidence is low"
        if new.knowledge_version != self._known.version:
            return "the knowledge changed while it was written"
        if not self._freshness.is_snapshot_current():
            return "another process changed the knowledge while it was written"
        kind = find_personal(f"{new.question}\n{new.reply}", _texts(new.entries))
        return None if kind is None else f"it has a customer's {kind}"

    # What people and programs ask of it

    @property
    def answers(self) -> list[CachedAnswer]:
        """All of them, the one that waited longest for a hit first."""
        return list(self._kept.shelf)

    @property
    def lookups(self) -> Mapping[str, int]:
        """How the lookups since the start ended, by kind."""
        return {kind: self._lookups[kind] for kind in LOOKUPS}

    def get(self, id_: str) -> CachedAnswer:
        """Raises `NotFound`."""
        answer = self._kept.shelf.find(id_)
        if answer is None:
            raise NotFound(f"There is no kept answer {id_[:64]!r}. It may have been dropped.")
        return answer

    def doubt(self, answer: CachedAnswer) -> str | None:
        """Why the answer is not given at the moment; None where it is."""
        return self._freshness.doubt(answer)

    async def pin(
        self,
        question: str,
        reply: str,
        entry_ids: Sequence[str] = (),
        language: Language | None = None,
    ) -> CachedAnswer:
        """Give a person's answer to a question from now on. It replaces the one pinned before.

        With `entry_ids` only as long as those entries stay as they are. Raises `InvalidInput`,
        `NotFound` for an entry that is not there.
        """
        hashes = self._freshness.hashes_of(entry_ids)
        if missing := [id_ for id_ in entry_ids if id_ not in hashes]:
            raise NotFound(f"There is no entry {missing[0][:128]!r}.")
        answer = people.written(question, reply, hashes, language)
        vectors = await self._encoder.encode_many([answer.question])
        return await self._put(replace(answer, vector=vectors[0], encoder_id=self._encoder.id))

    async def revise(
        self, id_: str, *, reply: str | None = None, pinned: bool | None = None
    ) -> CachedAnswer:
        """Give an answer other words, or pin it. Raises `InvalidInput` or `NotFound`."""
        answer = self.get(id_)
        hashes = self._freshness.hashes_of(answer.entry_hashes)
        return await self._put(people.revised(answer, hashes, reply=reply, pinned=pinned))

    async def drop(self, id_: str) -> None:
        """Raises `NotFound`."""
        self.get(id_)
        await self._drop([id_])

    async def clear(self, *, entry_id: str | None = None, keep_pinned: bool = False) -> int:
        """Drop all answers, or those that were written from one entry; how many there were."""
        shelf = self._kept.shelf
        found = shelf.readers_of([entry_id]) if entry_id is not None else list(shelf)
        return await self._drop([a.id for a in found if not (keep_pinned and a.pinned)])

    async def refresh(self) -> None:
        """To be called every second: what other processes changed, what is too old, the disk."""
        async with self._changing:
            await self._voiding.settle()
            self._drop_aged()
            await self._kept.take_over()
            await self._kept.save()

    async def close(self) -> None:
        """Bring the disk up to date a last time."""
        self._voiding.stop()
        async with self._changing:
            await self._kept.save()

    async def _put(self, answer: CachedAnswer) -> CachedAnswer:
        async with self._changing:
            self._kept.put(answer)
            await self._kept.save(by_people=True)
        return answer

    async def _drop(self, ids: Sequence[str]) -> int:
        async with self._changing:
            dropped = self._kept.drop(ids)
            await self._kept.save(by_people=True)
        return dropped

    def _drop_aged(self) -> None:
        now = now_ms()
        if now < self._sweep_at_ms:
            return
        self._sweep_at_ms = now + _SWEEP_EVERY_MS
        oldest = now - self._settings.max_age_hours * _MS_PER_HOUR
        aged = [a.id for a in self._kept.shelf if a.created_at_ms < oldest and not a.pinned]
        if aged:
            log.info("answers_dropped", answers=self._kept.drop(aged), because="too old")


async def open_answers(
    store: Store,
    known: Known,
    encoder: Encoder,
    judge: Judge,
    settings: AnswerSettings,
    metrics: Metrics,
) -> AnswerCache:
    """The cache with what earlier starts kept, as far as it still holds."""
    kept = KeptAnswers(store, encoder, settings.max_entries)
    await kept.load()
    freshness = Freshness(known, store.knowledge_version)
    voiding = Voiding(kept, freshness, known, encoder)
    await voiding.start(store)
    return AnswerCache(kept, freshness, voiding, known, encoder, judge, settings, metrics)


def _is_in(answer: CachedAnswer, scope: Scope) -> bool:
    """An answer's key says which scope it was made in: only that one leads to the same key."""
    if answer.language != scope.language:
        return False
    words = words_of(answer.question)
    return answer.key in (key_of_words(words, scope), key_of_words(words, scope.of_people))


def _texts(entries: Iterable[Entry]) -> str:
    return "\n".join("\n".join((*entry.questions, entry.answer)) for entry in entries)


def _hashes(entries: Iterable[Entry]) -> dict[str, str]:
    return {entry.id: entry.content_hash for entry in entries}
