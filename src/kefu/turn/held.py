"""The honest reply while a person looks, and a held reply on its way into the queue and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from kefu.conversations.transcript import Choice, Citation
from kefu.language import Language
from kefu.moderation.categories import Direction
from kefu.moderation.policy import Verdict
from kefu.review.review import Held
from kefu.settings import RepliesSettings
from kefu.turn.draft import NO_TOPIC, Draft
from kefu.turn.reply import Intent


def hold_message(text: str, verdict: Verdict, language: Language, words: RepliesSettings) -> Draft:
    """What is said at once to a customer whose own words must wait."""
    held = Held(Direction.CUSTOMER, text, verdict.reasons[0].category, verdict.reasons)
    return _holding(held, NO_TOPIC, language, words)


def hold_reply(draft: Draft, verdict: Verdict, language: Language, words: RepliesSettings) -> Draft:
    """What is said at once in place of a draft that must wait."""
    held = Held(
        direction=Direction.REPLY,
        text=draft.text,
        category=verdict.reasons[0].category,
        reasons=verdict.reasons,
        draft=_kept(draft),
    )
    return _holding(held, draft.intent, language, words)


def draft_of(kept: Mapping[str, Any]) -> Draft:
    """The held reply as it would have gone out."""
    return Draft(
        text=kept["text"],
        source=kept["source"],
        intent=Intent(**kept["intent"]),
        confidence=kept["confidence"],
        citations=tuple(Citation(**citation) for citation in kept["citations"]),
        choices=tuple(Choice(**choice) for choice in kept["choices"]),
        standalone_question=kept["standalone_question"],
    )


def _kept(draft: Draft) -> dict[str, Any]:
    names = ("text", "source", "confidence", "standalone_question")
    return {
        **{name: getattr(draft, name) for name in names},
        "intent": asdict(draft.intent),
        "citations": [asdict(citation) for citation in draft.citations],
        "choices": [asdict(choice) for choice in draft.choices],
    }


def _holding(held: Held, intent: Intent, language: Language, words: RepliesSettings) -> Draft:
    text = words.held_zh if language == "zh" else words.held_en
    return Draft(text, "held", intent, confidence=0.0, unsent=text, held=held)
