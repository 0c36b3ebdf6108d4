"""The words in effect: those that come with kefu, overlaid by the operator's own.

Words are kept folded (one width, one case, simplified characters), so that one word is one entry
however it was typed.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache, lru_cache
from pathlib import Path

from kefu.errors import InvalidInput, NotFound
from kefu.moderation.categories import Category, Severity
from kefu.moderation.hit import Word
from kefu.terms import fold

MAX_WORDS = 200_000
MAX_WORD = 200

# What the operator writes instead of a severity to take a word of the starter lexicon out.
OFF = "off"

# A shorter word stands inside too many innocent ones: 12% of 7,418 sentences about hotels and
# restaurants have a listed character, 0.6% a listed word of two or more.
FEWEST_CHARACTERS = 2
FEWEST_LETTERS = 3

_STARTER = Path(__file__).parent / "starter"
_SPACE = re.compile(r"\s+")
_NOT_TEXT = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
# From the radicals on: scripts of which one character says as much as a Latin syllable.
_FIRST_DENSE = "\u2e80"


@dataclass(frozen=True)
class Listing:
    """An entry of the operator's. Without a severity it takes a word of the starter lexicon out."""

    text: str
    category: Category
    severity: Severity | None

    def __str__(self) -> str:
        return f"{self.category} {self.severity or OFF}"


@dataclass(frozen=True)
class Own:
    """What the operator listed. `off`: words of the starter lexicon that are taken out."""

    version: int = 0
    words: Mapping[str, Word] = field(default_factory=dict)
    off: Mapping[str, Category] = field(default_factory=dict)
    allowed: frozenset[str] = frozenset()

    def find(self, text: str) -> Listing | None:
        """`text` is folded already."""
        if (word := self.words.get(text)) is not None:
            return Listing(text, word.category, word.severity)
        category = self.off.get(text)
        return None if category is None else Listing(text, category, None)

    @property
    def count(self) -> int:
        """How many entries there are, without the phrases."""
        return len(self.words) + len(self.off)


@dataclass(frozen=True)
class Starter:
    """What comes with kefu."""

    words: Mapping[str, Word] = field(default_factory=dict)
    allowed: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Lexicon:
    """Both as one. `words` by their folded text, and the innocent phrases that beat them."""

    starter: Starter
    own: Own
    words: Mapping[str, Word]
    allowed: frozenset[str]

    def get(self, text: str) -> Word:
        """A word in effect, however it is typed. Raises `NotFound`."""
        found = self.words.get(folded(text))
        if found is None:
            raise NotFound(f"The word {shown(text)} is not listed.")
        return found


def overlay(starter: Starter, own: Own) -> Lexicon:
    """The operator's entries win over those that come with kefu."""
    words = dict(starter.words)
    for text, word in own.words.items():  # in one go it keeps other threads waiting for 20 ms
        words[text] = word
    for text in own.off:
        words.pop(text, None)
    return Lexicon(starter, own, words, starter.allowed | own.allowed)


@cache
def starter_lexicon() -> Starter:
    """The words and phrases that come with kefu."""
    rows = _rows("lexicon.csv")
    words = [
        Word(folded(row["word"]), Category(row["category"]), Severity(row["severity"]))
        for row in rows
    ]
    allowed = frozenset(folded(row["phrase"]) for row in _rows("allowed.csv"))
    return Starter({word.text: word for word in words}, allowed)


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (_STARTER / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def folded(text: str) -> str:
    """How a word or phrase is kept."""
    return _SPACE.sub(" ", fold(text)).strip()


def checked(text: str, *, force: bool = False) -> str:
    """A word or phrase as it is kept. Raises `InvalidInput` where it cannot be listed."""
    word = folded(text[: 2 * MAX_WORD])
    reason = reason_against(text, word, force=force)
    if reason is not None:
        raise InvalidInput(f"{shown(text)} cannot be listed: it {reason}.")
    return word


def reason_against(text: str, word: str, *, force: bool = False) -> str | None:
    """Why `text`, which folds to `word`, cannot be listed. `force` takes what is very short."""
    if not text:
        return "is empty"
    if _NOT_TEXT.search(text):
        return "has characters that are no text"
    if len(word) > MAX_WORD or len(text) > 2 * MAX_WORD:
        return f"has more than {MAX_WORD} characters"
    letters = [character for character in word if character.isalnum()]
    if not letters:
        return "has no letter or digit"
    return None if force else _too_short(letters)


def _too_short(letters: Sequence[str]) -> str | None:
    if any(letter >= _FIRST_DENSE for letter in letters):
        if len(letters) < FEWEST_CHARACTERS:
            return "is one character, which many innocent words have (only with force)"
    elif len(letters) < FEWEST_LETTERS:
        return (
            f"has under {FEWEST_LETTERS} letters, which many innocent words have (only with force)"
        )
    return None


@lru_cache
def category_of(text: str) -> Category:
    """Raises `InvalidInput` that names the known ones."""
    try:
        return Category(folded(text).replace("-", "_").replace(" ", "_"))
    except ValueError as error:
        known = ", ".join(Category)
        raise InvalidInput(f"There is no category {shown(text)}. Known are {known}.") from error


@lru_cache
def severity_of(text: str) -> Severity | None:
    """None is "off". Raises `InvalidInput` that names the known ones."""
    word = folded(text)
    try:
        return None if word == OFF else Severity(word)
    except ValueError as error:
        known = ", ".join((*Severity, OFF))
        raise InvalidInput(f"There is no severity {shown(text)}. Known are {known}.") from error


def shown(text: str) -> str:
    """In quotes, and not without end."""
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
