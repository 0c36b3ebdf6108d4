"""Texts checked against the words and the meanings of one moment."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from kefu.inference.encoder.compared import Compared
from kefu.moderation.categories import Category, Direction, Outcome
from kefu.moderation.hit import Hit
from kefu.moderation.layers import Filter
from kefu.moderation.policy import PASSED, Policy, Thresholds, Verdict, joined
from kefu.moderation.semantic import Head
from kefu.settings import ModerationSettings

_NO_THRESHOLDS: Mapping[Category, Thresholds] = {}


@dataclass(frozen=True)
class Explanation:
    """A verdict with all that was looked at: each word that was found with what comes of it alone,
    and the probability of each category."""

    text: str
    verdict: Verdict
    hits: tuple[tuple[Hit, Outcome], ...] = ()
    scores: Mapping[Category, float] = field(default_factory=dict)

    @property
    def masked(self) -> str:
        return self.verdict.masked(self.text)


@dataclass(frozen=True)
class Checker:
    """Immutable and thread-safe. Without a `head` a text's meaning is not looked at."""

    filter: Filter
    head: Head | None
    policy: Policy

    @classmethod
    def of(cls, found_by: Filter, head: Head | None, settings: ModerationSettings) -> Self:
        """The thresholds are those of the head, where the settings do not give any."""
        return cls(found_by, head, Policy(settings, head.thresholds if head else _NO_THRESHOLDS))

    def check_words(self, text: str, direction: Direction) -> Verdict:
        """What becomes of a text for the listed words in it. Takes 20 µs for a sentence."""
        return self.policy.of_words(self.filter.find(text), direction)

    def check_meaning(
        self, text: str, vector: NDArray[np.float32], direction: Direction
    ) -> Verdict:
        """What becomes of a text for what it means; `vector` is that of the encoder.

        Takes 0.1 ms, and milliseconds with a head that reads the text itself.
        """
        return self.check_meanings([text], [Compared(vector)], [direction])[0]

    def check_meanings(
        self, texts: Sequence[str], vectors: Sequence[Compared], directions: Sequence[Direction]
    ) -> list[Verdict]:
        """`check_meaning` of each."""
        if self.head is None:
            return [PASSED] * len(texts)
        found = self.head.scores_of_all(texts, vectors)
        return [
            self.policy.of_meaning(scores, direction)
            for scores, direction in zip(found, directions, strict=True)
        ]

    def explain(
        self, text: str, vector: NDArray[np.float32] | None, direction: Direction
    ) -> Explanation:
        """For people who want to know why. Without a `vector` the meaning is not looked at."""
        hits = self.filter.find(text)
        scores: Mapping[Category, float] = {}
        if self.head is not None and vector is not None:
            scores = self.head.scores(text, vector)
        verdict = joined(
            self.policy.of_words(hits, direction), self.policy.of_meaning(scores, direction)
        )
        alone = tuple((hit, self.policy.of_words([hit], direction).outcome) for hit in hits)
        return Explanation(text, verdict, alone, scores)
