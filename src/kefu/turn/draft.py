"""A reply before it belongs to a turn, and the ones that need no generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kefu.answers.answer import CachedAnswer
from kefu.conversations.transcript import Choice, Citation
from kefu.inference.generator.protocol import Usage
from kefu.intent.actions import Action
from kefu.intent.dataset import OUT_OF_SCOPE
from kefu.knowledge.index import Match
from kefu.knowledge.match import Sure
from kefu.language import Language
from kefu.moderation.policy import Reason
from kefu.review.review import Held
from kefu.settings import RepliesSettings
from kefu.turn.reply import Intent

# Of the quotations of the shop's questions fewer than half are what the customer needed
# (docs/replies.md). The widget shows a reply of the source faq up to here as "related" only.
MOST_CONFIDENCE_OF_QUOTE = 0.5
# An entry with this tag ("let me talk to a person") is answered and marks the talk as waiting.
HANDOFF_TAG = "handoff"
# Nothing in the knowledge is near to the message.
NO_TOPIC = Intent(OUT_OF_SCOPE, 1.0)


@dataclass(frozen=True)
class Draft:
    """`unsent` is text that the customer has not been sent yet; `standalone_question` a follow-up
    as it was completed; `held` what must wait for a person, where this is the holding reply;
    `reasons` why the message was stopped at once."""

    text: str
    source: str
    intent: Intent
    confidence: float
    citations: tuple[Citation, ...] = ()
    choices: tuple[Choice, ...] = ()
    usage: Usage | None = None
    standalone_question: str = ""
    unsent: str = ""
    held: Held | None = None
    reasons: tuple[Reason, ...] = ()


def from_faq(sure: Sure) -> Draft:
    """The vetted answer, word for word."""
    entry = sure.match.entry
    return Draft(
        text=entry.answer,
        source="handoff" if HANDOFF_TAG in entry.tags else "faq",
        intent=intent_of(sure.match),
        confidence=sure.match.score,
        citations=(citation_of(sure.match),),
        unsent=entry.answer,
    )


def from_action(action: Action, intent: Intent, language: Language) -> Draft:
    """The shop's own words for a plain intent."""
    text = action.text(language)
    source = "handoff" if action.kind == "handoff" else "canned"
    return Draft(text, source, intent, intent.score, unsent=text)


def from_cache(answer: CachedAnswer) -> Draft:
    """What was generated, or written by a person, for this question before."""
    return Draft(
        text=answer.reply,
        source="cache",
        intent=Intent(answer.intent_label, answer.intent_score),
        confidence=answer.confidence,
        citations=answer.citations,
        unsent=answer.reply,
    )


def from_choices(matches: Sequence[Match], language: Language, words: RepliesSettings) -> Draft:
    """Ask back between a few entries; a click sends the question of one."""
    text = words.choices_zh if language == "zh" else words.choices_en
    best = matches[0]
    return Draft(
        text=text,
        source="canned",
        intent=intent_of(best),
        confidence=min(best.relevance, MOST_CONFIDENCE_OF_QUOTE),
        choices=tuple(Choice(match.entry.id, match.entry.question) for match in matches),
        unsent=text,
    )


def from_quote(
    match: Match, language: Language, words: RepliesSettings, sentences: str = ""
) -> Draft:
    """The nearest entry word for word, or `sentences` of it, called no more than that."""
    entry = match.entry
    template = words.quote_zh if language == "zh" else words.quote_en
    answer = sentences or entry.answer
    text = template.replace("{question}", entry.question).replace("{answer}", answer)
    confidence = min(match.relevance, MOST_CONFIDENCE_OF_QUOTE)
    return Draft(text, "faq", intent_of(match), confidence, (citation_of(match),), unsent=text)


def handoff(
    intent: Intent, language: Language, words: RepliesSettings, usage: Usage | None = None
) -> Draft:
    """An honest refusal; the talk waits for a person."""
    text = words.handoff_zh if language == "zh" else words.handoff_en
    return Draft(text, "handoff", intent, confidence=0.0, usage=usage, unsent=text)


def busy(intent: Intent, language: Language, words: RepliesSettings) -> Draft:
    """There is no room to write an answer now; the talk waits for a person."""
    text = words.busy_zh if language == "zh" else words.busy_en
    return Draft(text, "handoff", intent, confidence=0.0, unsent=text)


def intent_of(match: Match) -> Intent:
    """The topic of the nearest entry: a nearest-neighbour guess until a shop trains its own."""
    return Intent(match.entry.tags[0] if match.entry.tags else match.entry.id, match.score)


def citation_of(match: Match) -> Citation:
    return Citation(match.entry.id, match.entry.question, match.score)
