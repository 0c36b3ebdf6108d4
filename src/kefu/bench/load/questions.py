"""The questions customers ask during a load test."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from kefu.bench.load.traffic import Words
from kefu.errors import InvalidInput
from kefu.knowledge.entry import Entry
from kefu.moderation.categories import Category, Severity
from kefu.moderation.lexicon import starter_lexicon

# Stopped by every desk that has the words kefu comes with, and fit to be read in a report.
_CATEGORIES = (Category.FRAUD, Category.GAMBLING)


def words_of(entries: Iterable[Entry]) -> Words:
    """What the knowledge's own entries ask, in all their wordings."""
    asked = [
        q for entry in entries if entry.kind == "faq" and entry.enabled for q in entry.questions
    ]
    return Words(known=list(dict.fromkeys(asked)), blocked=_blocked())


def read_questions(path: Path) -> list[str]:
    """One a line; empty lines do not count. Raises `InvalidInput`."""
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}") from error
    questions = [line.strip() for line in lines if line.strip()]
    if not questions:
        raise InvalidInput(f"{path} has no questions: write one a line.")
    return questions


def _blocked() -> list[str]:
    return [
        word.text
        for word in starter_lexicon().words.values()
        if word.severity is Severity.HIGH and word.category in _CATEGORIES
    ]
