"""A listed word found in a text."""

from __future__ import annotations

from dataclasses import dataclass

from kefu.moderation.categories import Category, Severity


@dataclass(frozen=True, slots=True)
class Word:
    """An entry of the lexicon."""

    text: str
    category: Category
    severity: Severity


@dataclass(frozen=True, slots=True)
class Hit:
    """`text[start:end]` of the original text is, or stands for, a listed word.

    `is_certain`: undone without loss (full width, spaces between, …). Where it was guessed
    (homophones, look-alikes, pinyin …) it can only raise suspicion. `disguise` names the kind, ""
    where it stands there as it is.
    """

    start: int
    end: int
    word: Word
    disguise: str = ""
    is_certain: bool = True
