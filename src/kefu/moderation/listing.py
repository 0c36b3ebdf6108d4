"""What is listed, selected and written for programs."""

from __future__ import annotations

from itertools import chain
from typing import Any, Literal

from kefu.moderation.categories import Category, Outcome
from kefu.moderation.checker import Explanation
from kefu.moderation.hit import Hit, Word
from kefu.moderation.lexicon import OFF, Lexicon, Listing, folded
from kefu.moderation.policy import Reason

Source = Literal["kefu", "own"]


def select_words(
    lexicon: Lexicon, part: str, category: Category | None, source: Source | None
) -> list[Word | Listing]:
    """The words with `part` in them: those that come with kefu, the operator's, those taken out."""
    taken_out = (Listing(text, of, None) for text, of in lexicon.own.off.items())
    wanted = folded(part)
    return [
        item
        for item in chain[Word | Listing](lexicon.words.values(), taken_out)
        if wanted in item.text
        and category in (None, item.category)
        and source in (None, source_of(lexicon, item))
    ]


def select_phrases(lexicon: Lexicon, part: str) -> list[str]:
    """The allowed phrases with `part` in them."""
    wanted = folded(part)
    return sorted(phrase for phrase in lexicon.allowed if wanted in phrase)


def source_of(lexicon: Lexicon, item: Word | Listing) -> Source:
    """Whose word it is."""
    return "own" if isinstance(item, Listing) or item.text in lexicon.own.words else "kefu"


def word_as_json(lexicon: Lexicon, item: Word | Listing) -> dict[str, Any]:
    return {
        "word": item.text,
        "category": item.category,
        "severity": item.severity or OFF,
        "source": source_of(lexicon, item),
    }


def phrase_as_json(lexicon: Lexicon, phrase: str) -> dict[str, Any]:
    return {"phrase": phrase, "source": "own" if phrase in lexicon.own.allowed else "kefu"}


def explanation_as_json(found: Explanation) -> dict[str, Any]:
    """The verdict, what led to it, and the probability of every category."""
    by_meaning = (reason for reason in found.verdict.reasons if reason.score is not None)
    reasons = [*(_hit(hit, o) for hit, o in found.hits), *(_meaning(r) for r in by_meaning)]
    reasons.sort(key=lambda reason: -Outcome(reason["outcome"]).rank)
    return {
        "outcome": found.verdict.outcome,
        "category": found.verdict.category,
        "masked": found.masked,
        "reasons": reasons,
        "scores": {category: round(score, 4) for category, score in found.scores.items()},
    }


def _hit(hit: Hit, outcome: Outcome) -> dict[str, Any]:
    """`outcome` is that of this word alone; "pass" where it is not worth a guess."""
    return {
        "outcome": outcome,
        "category": hit.word.category,
        "word": hit.word.text,
        "severity": hit.word.severity,
        "disguise": hit.disguise or None,
        "certain": hit.is_certain,
        "start": hit.start,
        "end": hit.end,
        "score": None,
    }


def _meaning(reason: Reason) -> dict[str, Any]:
    assert reason.score is not None
    return {
        "outcome": reason.outcome,
        "category": reason.category,
        "word": None,
        "severity": None,
        "disguise": None,
        "certain": None,
        "start": None,
        "end": None,
        "score": round(reason.score, 4),
    }
