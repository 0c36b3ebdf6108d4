"""May an entry answer word for word, must the customer choose, is it a passage, or neither?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kefu.knowledge.entry import Entry
from kefu.knowledge.index import Match
from kefu.paraphrase.verifier import find_disagreement, share_of_new_words
from kefu.settings import KnowledgeSettings


@dataclass(frozen=True)
class Sure:
    """The entry answers the question: its answer goes out word for word."""

    match: Match

    @property
    def entry(self) -> Entry:
        return self.match.entry

    @property
    def score(self) -> float:
        return self.match.score


@dataclass(frozen=True)
class Choices:
    """A few entries with different answers fit the question alike: ask which is meant."""

    matches: tuple[Match, ...]
    doubt: str


@dataclass(frozen=True)
class Passages:
    """Related entries, best first. `doubt` says why the first is not sure."""

    matches: tuple[Match, ...]
    doubt: str


@dataclass(frozen=True)
class Nothing:
    """Nothing known comes near."""


Decision = Sure | Choices | Passages | Nothing


# A question whose every word is new to the entry needs this much more score, one with half of its
# words new half as much: "how do I choose my ring size" is no question about clothes' sizes.
NEWNESS_PENALTY = 1.2


def decide(query: str, matches: Sequence[Match], settings: KnowledgeSettings) -> Decision:
    """`matches` as `Index.search` returns them: most relevant first, foreign ones last."""
    doubt = _find_doubt(query, matches[0], settings) if matches else "nothing is known"
    if doubt is None:
        return Sure(matches[0])
    rivals = _rivals(query, matches, settings) if matches else ()
    if len(rivals) > 1:
        return Choices(rivals[: settings.max_passages], doubt)
    return passages_of(matches, doubt, settings)


def passages_of(
    matches: Sequence[Match], doubt: str, settings: KnowledgeSettings
) -> Passages | Nothing:
    """The matches that are near enough to write from, of the customer's language if there are."""
    near = tuple(match for match in matches if match.relevance >= settings.passage_score)
    own = tuple(match for match in near if not match.foreign)
    passages = (own or near)[: settings.max_passages]
    return Passages(passages, doubt) if passages else Nothing()


def _rivals(query: str, matches: Sequence[Match], settings: KnowledgeSettings) -> tuple[Match, ...]:
    """The best match and those that fit as well, where each would be sure without the others."""
    best = max(match.score for match in matches)
    return tuple(
        match
        for match in matches
        if best - match.score < settings.sure_margin
        and _find_doubt(query, replace(match, lead=1.0), settings) is None
    )


def known_of(entry: Entry) -> str:
    """Everything that an entry says."""
    return " ".join((*entry.questions, entry.answer))


def _find_doubt(query: str, best: Match, settings: KnowledgeSettings) -> str | None:
    """Why the best match is not sure; None where it is."""
    if best.entry.kind == "passage":
        return "it is a passage of a document"
    if best.exact:
        return None if best.lead > 0 else "two entries answer this very question differently"
    if best.foreign:
        return "it is in another language"
    if best.score < settings.sure_score:  # whatever the words: most matches end here
        return f"its score is {best.score:.2f} and {settings.sure_score:.2f} is needed"
    new = share_of_new_words(query, " ".join(best.entry.questions))
    needed = settings.sure_score + NEWNESS_PENALTY * new
    if best.score < needed:
        return f"its score is {best.score:.2f} and {needed:.2f} is needed: {new:.0%} new words"
    if best.lead < settings.sure_margin:
        return f"its lead is {best.lead:.2f} and {settings.sure_margin:.2f} is needed"
    if disagreement := find_disagreement(query, best.question, known_of(best.entry)):
        return f"the questions differ: {disagreement}"
    return None
