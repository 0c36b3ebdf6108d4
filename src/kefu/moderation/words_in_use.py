"""The words that a desk looks for at the moment, taken over from a store."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

import structlog

from kefu.errors import KefuError
from kefu.moderation.building import SMALL, FilterBuilder
from kefu.moderation.editing import Change, LexiconStore, after
from kefu.moderation.layers import Filter
from kefu.moderation.lexicon import Lexicon, Own, Starter, overlay
from kefu.moderation.politeness import Container, large_parts, let_go, politely, set_aside

log = structlog.get_logger("kefu.moderation")

_NEVER = -1
# What a list can do to a build: rows that mean nothing, words that no automaton takes, no memory.
_FAILURES = (KefuError, ValueError, MemoryError, RuntimeError)


class FilterNotBuilt(KefuError):
    """The words are saved, but what finds them could not be made."""

    code = "filter_not_built"


@dataclass(frozen=True)
class _Built:
    lexicon: Lexicon
    filter: Filter


class WordsInUse:
    """Reading is safe from any thread. Changes block, and are for one thread at a time.

    What is in use is replaced as one, so nobody sees a part of a change. Where newer words cannot
    be had those in use stay, and `problem` says why.
    """

    def __init__(self, store: LexiconStore, starter: Starter, builder: FilterBuilder) -> None:
        self._store = store
        self._starter = starter
        self._builder = builder
        self._seen = _NEVER
        self._former: list[Container] = []
        nothing = overlay(Starter(), Own(version=_NEVER))
        self._built = _Built(nothing, builder.build(nothing))
        self.problem = ""

    @property
    def lexicon(self) -> Lexicon:
        return self._built.lexicon

    @property
    def filter(self) -> Filter:
        return self._built.filter

    def stored(self) -> Lexicon:
        """What is listed now by whatever process, even if it is not in use yet."""
        if self._store.version() == self.lexicon.own.version:
            return self.lexicon
        return self._load()

    def take_over(self) -> None:
        """Look for what is listed now. Raises `FilterNotBuilt`, once for each change."""
        version = self._store.version()
        if version != self._seen:
            self._seen = version
            self._use(self._load)

    def change(self, plan: Callable[[Lexicon], Change], actor: str) -> Lexicon:
        """Save what is planned on what is listed now, and look for it; what was listed before.

        Raises what `plan` raises, and `FilterNotBuilt`.
        """
        before = self.stored()
        change = plan(before)
        version = self._store.save(change, actor)
        self._seen = version
        if version == before.own.version + 1:
            self._use(lambda: overlay(self._starter, after(before.own, change, version)))
        else:  # another process was quicker
            self._use(self._load)
        return before

    def let_go(self) -> None:
        """Free what was in use before, once nobody looks at it any more."""
        if self._former:
            with politely():
                let_go(self._former)

    def _use(self, wanted: Callable[[], Lexicon]) -> None:
        began = time.perf_counter()
        try:
            with politely():
                former = large_parts(self._built)
                lexicon = wanted()
                self._built = _Built(lexicon, self._builder.build(lexicon))
                self._former += former
                if len(lexicon.words) > SMALL:
                    set_aside()
        except _FAILURES as error:
            raise self._refused(error) from error
        self._seen, self.problem = lexicon.own.version, ""
        seconds = round(time.perf_counter() - began, 3)
        log.info("moderation_words_in_use", words=len(lexicon.words), seconds=seconds)

    def _load(self) -> Lexicon:
        return overlay(self._starter, self._store.load(self.lexicon.own))

    def _refused(self, error: Exception) -> FilterNotBuilt:
        """At the start the words that come with kefu are better than none."""
        reason = str(error) or type(error).__name__
        if self.lexicon.own.version == _NEVER:
            starter = overlay(self._starter, Own(version=_NEVER))
            self._built = _Built(starter, self._builder.build(starter))
        self.problem = (
            f"The listed words cannot be used: {reason} The desk looks for "
            f"{len(self.lexicon.words):,} words of before. Remove what was added last."
        )
        log.error("moderation_words_refused", reason=reason, words=len(self.lexicon.words))
        return FilterNotBuilt(self.problem)
