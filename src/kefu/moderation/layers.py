"""Recent changes on top of a large word filter, so that they count without building it anew.

A filter of 200,000 words takes seconds to build and a word that must not pass cannot wait for that:
what was listed since is looked for by a small filter of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from kefu.moderation.categories import Category, Severity
from kefu.moderation.filter import WordFilter
from kefu.moderation.hit import Hit, Word
from kefu.moderation.lexicon import Lexicon

# The small filter is to stay small: more changes than these are worth a whole build.
MOST_CHANGES = 1_000


class Filter(Protocol):
    """What looks for words. Immutable and thread-safe."""

    def find(self, text: str) -> list[Hit]:
        """The listed words in `text`, plain and disguised."""

    def open_from(self, text: str) -> int:
        """From where on something could become a hit when more text follows."""


@dataclass(frozen=True)
class Difference:
    """What a lexicon has that an earlier one had not, and what it has no longer."""

    words: Mapping[str, Word]
    gone: frozenset[str]
    allowed: frozenset[str]
    disallowed: frozenset[str]

    @property
    def count(self) -> int:
        return len(self.words) + len(self.gone) + len(self.allowed) + len(self.disallowed)


def difference(old: Lexicon, new: Lexicon) -> Difference:
    words = {text: word for text, word in new.words.items() if old.words.get(text) != word}
    gone = frozenset(text for text in old.words if text not in new.words)
    return Difference(words, gone, new.allowed - old.allowed, old.allowed - new.allowed)


@dataclass(frozen=True)
class LayeredFilter:
    """`base` without the words `replaced`, and `recent` with those that were listed since.
    `shield` finds phrases that were allowed since: they beat what `base` finds inside them."""

    base: WordFilter
    replaced: frozenset[str]
    recent: WordFilter
    shield: WordFilter

    def find(self, text: str) -> list[Hit]:
        hits = [hit for hit in self.base.find(text) if hit.word.text not in self.replaced]
        if hits and self.shield.words:
            shields = self.shield.find(text)
            hits = [hit for hit in hits if not any(_covers(shield, hit) for shield in shields)]
        return hits + self.recent.find(text)

    def open_from(self, text: str) -> int:
        filters = (self.base, self.recent, self.shield)
        return min(layer.open_from(text) for layer in filters if layer.words)


def layered(base: WordFilter, built: Lexicon, wanted: Lexicon) -> LayeredFilter | None:
    """`base`, which was built of `built`, made to find what `wanted` lists.

    None where that takes a whole build: too much has changed, or a phrase is allowed no longer.
    """
    changes = difference(built, wanted)
    if changes.disallowed or changes.count > MOST_CHANGES:
        return None
    return LayeredFilter(
        base,
        changes.gone | changes.words.keys(),
        WordFilter(changes.words.values(), wanted.allowed),
        WordFilter(map(_as_word, changes.allowed), ()),
    )


def _as_word(phrase: str) -> Word:
    """For a filter that looks for phrases; the category means nothing here."""
    return Word(phrase, Category.ABUSE, Severity.HIGH)


def _covers(shield: Hit, hit: Hit) -> bool:
    return shield.is_certain and shield.start <= hit.start and hit.end <= shield.end
