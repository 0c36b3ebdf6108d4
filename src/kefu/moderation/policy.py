"""From what was found to what is done: one outcome for a text, with its reasons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from kefu.moderation.categories import Category, Direction, Outcome, Severity
from kefu.moderation.hit import Hit
from kefu.settings import CategorySettings, ModerationSettings


@dataclass(frozen=True)
class Thresholds:
    """Probabilities from which a text is held for a person, and from which it is blocked."""

    hold: float
    block: float


@dataclass(frozen=True)
class Reason:
    """Why a text does not simply pass. `score` is the probability of the semantic head, None for a
    word; `start` and `end` are the place of the word in the text."""

    category: Category
    outcome: Outcome
    word: str = ""
    disguise: str = ""
    score: float | None = None
    start: int = 0
    end: int = 0

    def __str__(self) -> str:
        if self.score is not None:
            return f"{self.category}: probability {self.score:.2f}"
        how = f" ({self.disguise})" if self.disguise else ""
        return f"{self.category}: {self.word}{how}"


@dataclass(frozen=True)
class Verdict:
    """What becomes of a text. `reasons`, the gravest first; none where it passes."""

    outcome: Outcome = Outcome.ALLOW
    reasons: tuple[Reason, ...] = ()

    @property
    def category(self) -> Category | None:
        return self.reasons[0].category if self.reasons else None

    def masked(self, text: str) -> str:
        """`text` with every character of the words to be masked replaced by ＊."""
        characters = list(text)
        for reason in self.reasons:
            if reason.outcome is Outcome.MASK:
                characters[reason.start : reason.end] = "＊" * (reason.end - reason.start)
        return "".join(characters)


PASSED = Verdict()


def joined(*verdicts: Verdict) -> Verdict:
    """The gravest of several outcomes, with all reasons."""
    reasons = tuple(reason for verdict in verdicts for reason in verdict.reasons)
    return _verdict_of(reasons)


@dataclass(frozen=True)
class Policy:
    """What is done about words and meanings. `thresholds`: those of the semantic head in use, which
    the settings may replace."""

    settings: ModerationSettings
    thresholds: Mapping[Category, Thresholds]

    def of_words(self, hits: Sequence[Hit], direction: Direction) -> Verdict:
        """The outcome of the words that were found."""
        if not hits:
            return PASSED
        reasons = [
            Reason(
                category=hit.word.category,
                outcome=self._outcome_of(hit, direction),
                word=hit.word.text,
                disguise=hit.disguise,
                start=hit.start,
                end=hit.end,
            )
            for hit in hits
        ]
        return _verdict_of(reason for reason in reasons if reason.outcome is not Outcome.ALLOW)

    def of_meaning(self, scores: Mapping[Category, float], direction: Direction) -> Verdict:
        """The outcome of the probabilities of the semantic head."""
        reasons = (
            Reason(category, outcome, score=score)
            for category, score in scores.items()
            if (outcome := self._outcome_at(category, score, direction)) is not Outcome.ALLOW
        )
        return _verdict_of(reasons)

    def _outcome_of(self, hit: Hit, direction: Direction) -> Outcome:
        """A guessed word is held at most, and what is rude but everyday is not worth a guess."""
        actions = self._settings_of(hit.word.category)
        outcome = Outcome(getattr(actions, hit.word.severity))
        if outcome is Outcome.CARE and direction is Direction.REPLY:
            return Outcome.HOLD
        if hit.is_certain:
            return outcome
        if hit.word.severity is Severity.LOW:
            return Outcome.ALLOW
        return min(outcome, Outcome.HOLD, key=lambda o: o.rank)

    def _outcome_at(self, category: Category, score: float, direction: Direction) -> Outcome:
        limits = self._thresholds_of(category, direction)
        if limits is None or score < limits.hold:
            return Outcome.ALLOW
        if category is Category.SELF_HARM and direction is Direction.CUSTOMER:
            return Outcome.CARE
        return Outcome.BLOCK if score >= limits.block else Outcome.HOLD

    def _thresholds_of(self, category: Category, direction: Direction) -> Thresholds | None:
        own = self._settings_of(category)
        given = self.thresholds.get(category)
        hold = own.customer_hold if direction is Direction.CUSTOMER else own.reply_hold
        block = own.customer_block if direction is Direction.CUSTOMER else own.reply_block
        if given is None and hold is None:
            return None
        return Thresholds(
            hold if hold is not None else given.hold if given else 1.0,
            block if block is not None else given.block if given else 1.0,
        )

    def _settings_of(self, category: Category) -> CategorySettings:
        found: CategorySettings = getattr(self.settings, category)
        return found


def _verdict_of(reasons: Iterable[Reason]) -> Verdict:
    ordered = tuple(sorted(reasons, key=lambda reason: -reason.outcome.rank))
    return Verdict(ordered[0].outcome, ordered) if ordered else PASSED
