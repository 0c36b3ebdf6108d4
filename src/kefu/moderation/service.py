"""The moderation of a running desk: words and meanings of the moment, changed while it serves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from kefu.inference.encoder.compared import Compared
from kefu.moderation import editing
from kefu.moderation.building import FilterBuilder
from kefu.moderation.categories import Category, Direction, Severity
from kefu.moderation.checker import Checker
from kefu.moderation.editing import Change, LexiconStore
from kefu.moderation.heads import HeadInUse, Heads
from kefu.moderation.layers import Filter
from kefu.moderation.lexicon import Lexicon, Starter, checked, starter_lexicon
from kefu.moderation.policy import PASSED, Policy, Verdict
from kefu.moderation.words_in_use import FilterNotBuilt, WordsInUse
from kefu.settings import ModerationSettings
from kefu.telemetry import Metrics
from kefu.together import Together

T = TypeVar("T")


class Moderation:
    """Open with `open_moderation`. A check sees the words of the moment and never waits for newer
    ones; where newer ones cannot be had the desk keeps those it has, and `problems` says why.
    """

    def __init__(
        self,
        words: WordsInUse,
        head: HeadInUse,
        settings: ModerationSettings,
        metrics: Metrics,
    ) -> None:
        self._words = words
        self._head = head
        self._settings = settings
        self._metrics = metrics
        self._changing = asyncio.Lock()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kefu-moderation")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix="kefu-moderation-reader")
        self._seconds_of_words = metrics.moderation_seconds.labels("words")
        self._seconds_of_meaning = metrics.moderation_seconds.labels("meaning")
        self._checker = self._current()
        self._meanings = Together(self._check_meanings)

    # --- what is asked of every message ----------------------------------------------------------

    def check_words(self, text: str, direction: Direction) -> Verdict:
        """What becomes of a text for the listed words in it."""
        if not self._settings.enabled:
            return PASSED
        began = time.perf_counter()
        verdict = self._checker.check_words(text, direction)
        self._seconds_of_words.observe(time.perf_counter() - began)
        return verdict

    async def check_meaning(self, text: str, vector: Compared, direction: Direction) -> Verdict:
        """What becomes of a text for what it means; `vector` is that of the desk's encoder."""
        if not self._settings.enabled:
            return PASSED
        asked = (text, vector, direction)
        head = self._checker.head
        if head is not None and head.encoder_id is None:
            # It reads the text itself: too long a work for the event loop.
            loop = asyncio.get_running_loop()
            return (await loop.run_in_executor(self._reader, self._check_meanings, [asked]))[0]
        return await self._meanings(asked)

    def _check_meanings(self, asked: Sequence[tuple[str, Compared, Direction]]) -> list[Verdict]:
        began = time.perf_counter()
        texts, vectors, directions = zip(*asked, strict=True)
        verdicts = self._checker.check_meanings(texts, vectors, directions)
        seconds = (time.perf_counter() - began) / len(asked)
        for _ in asked:
            self._seconds_of_meaning.observe(seconds)
        return verdicts

    def count(self, verdict: Verdict, direction: Direction) -> None:
        """Put what became of a whole text into the metrics."""
        labels = (direction, verdict.outcome, verdict.category or "")
        self._metrics.moderation_verdicts.labels(*labels).inc()

    # --- what is in use --------------------------------------------------------------------------

    @property
    def checker(self) -> Checker:
        """Of this moment, for several checks that must agree."""
        return self._checker

    @property
    def compared_with(self) -> list[NDArray[np.float32]]:
        """What the vector of every message is compared with."""
        head = self._checker.head
        return [] if head is None or head.landmarks is None else [head.landmarks]

    @property
    def filter(self) -> Filter:
        return self._checker.filter

    @property
    def policy(self) -> Policy:
        return self._checker.policy

    @property
    def lexicon(self) -> Lexicon:
        return self._words.lexicon

    @property
    def head(self) -> HeadInUse:
        return self._head

    @property
    def is_enabled(self) -> bool:
        return self._settings.enabled

    @property
    def problems(self) -> list[str]:
        """Why newer words or a newer head are not in use."""
        return [problem for problem in (self._words.problem, self._head.problem) if problem]

    # --- changes ---------------------------------------------------------------------------------

    async def refresh(self) -> None:
        """Take over what any process has changed. Takes seconds where very many words have."""
        async with self._changing:
            await self._run(self._head.take_over)
            with suppress(FilterNotBuilt):  # it is among the problems
                await self._run(self._words.take_over)
            await self._swap()

    async def add_word(
        self,
        text: str,
        category: Category,
        severity: Severity | None,
        actor: str,
        *,
        force: bool = False,
    ) -> bool:
        """List a word, or list it otherwise; whether it is new. Looked for from then on.

        Raises `InvalidInput`, or `FilterNotBuilt`.
        """
        before = await self._change(
            lambda known: editing.word_added(known, text, category, severity, force=force), actor
        )
        return checked(text, force=force) not in before.words

    async def remove_word(self, text: str, actor: str) -> None:
        """Look for a word no longer. Raises `NotFound`, or `FilterNotBuilt`."""
        await self._change(lambda known: editing.word_removed(known, text), actor)

    async def allow(self, text: str, actor: str, *, force: bool = False) -> bool:
        """Let a phrase beat the words in it; whether it is new. Raises as `add_word`."""
        before = await self._change(
            lambda known: editing.phrase_allowed(known, text, force=force), actor
        )
        return checked(text, force=force) not in before.allowed

    async def disallow(self, text: str, actor: str) -> None:
        """Allow a phrase no longer. Raises `NotFound`, `InvalidInput`, or `FilterNotBuilt`."""
        await self._change(lambda known: editing.phrase_removed(known, text), actor)

    def close(self) -> None:
        for pool in (self._thread, self._reader):
            pool.shutdown(wait=False, cancel_futures=True)

    async def _change(self, plan: Callable[[Lexicon], Change], actor: str) -> Lexicon:
        """Save a change of what is listed, and look for it from then on; what was listed."""
        async with self._changing:
            before = await self._run(lambda: self._words.change(plan, actor))
            await self._swap()
            return before

    async def _swap(self) -> None:
        """A checker is another one only where something changed: what it found is kept elsewhere."""
        filter_, head = self._words.filter, self._head.head
        if self._checker.filter is not filter_ or self._checker.head is not head:
            self._checker = self._current()
        await self._run(self._words.let_go)

    def _current(self) -> Checker:
        return Checker.of(self._words.filter, self._head.head, self._settings)

    async def _run(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


async def open_moderation(
    store: LexiconStore,
    folder: Path,
    encoder_id: str,
    settings: ModerationSettings,
    metrics: Metrics,
    builder: FilterBuilder | None = None,
) -> Moderation:
    """The moderation of a desk; `folder` has the trained heads. To be closed by the caller.

    Words or a head that cannot be used are said in the log and in `problems` only.
    """
    starter = starter_lexicon() if settings.starter_lexicon else Starter()
    words = WordsInUse(store, starter, builder or FilterBuilder())
    head = HeadInUse(Heads(folder), encoder_id)
    moderation = Moderation(words, head, settings, metrics)
    metrics.moderation_words.set_function(lambda: len(moderation.lexicon.words))
    await moderation.refresh()
    return moderation
