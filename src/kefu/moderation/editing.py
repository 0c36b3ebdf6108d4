"""Changes of the operator's words and phrases: worked out and checked here, saved by a store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import astuple, dataclass, field
from typing import Any, Literal, Protocol

from kefu.errors import InvalidInput, NotFound
from kefu.moderation.categories import Category, Severity
from kefu.moderation.hit import Word
from kefu.moderation.lexicon import MAX_WORDS, Lexicon, Listing, Own, checked, folded, shown

Action = Literal[
    "word_added", "word_removed", "words_imported",
    "phrase_allowed", "phrase_removed", "phrases_imported",
]  # fmt: skip


@dataclass(frozen=True)
class Change:
    """What becomes of the operator's entries, all or nothing, and what the audit says of it.

    `put` are added or replace what was listed, `removed` go, `allowed` and `disallowed` are phrases.
    """

    action: Action
    subject: str
    put: Sequence[Listing] = ()
    removed: Sequence[str] = ()
    allowed: Sequence[str] = ()
    disallowed: Sequence[str] = ()
    details: dict[str, Any] = field(default_factory=dict)


NOTHING = Own()


class LexiconStore(Protocol):
    """What is asked of a store; `stores/moderation.py` says what each one does."""

    def version(self) -> int: ...
    def load(self, known: Own = NOTHING) -> Own: ...
    def save(self, change: Change, actor: str) -> int: ...


def after(own: Own, change: Change, version: int) -> Own:
    """What is listed once `change` is saved as `version`."""
    words, off = dict(own.words), dict(own.off)
    for text in (*change.removed, *(listing.text for listing in change.put)):
        words.pop(text, None)
        off.pop(text, None)
    for text, category, severity in map(astuple, change.put):
        if severity is None:
            off[text] = category
        else:
            words[text] = Word(text, category, severity)
    allowed = own.allowed.difference(change.disallowed).union(change.allowed)
    return Own(version, words, off, allowed)


def word_added(
    lexicon: Lexicon, text: str, category: Category, severity: Severity | None, *, force: bool
) -> Change:
    """List a word, or list it otherwise. Raises `InvalidInput`."""
    word = checked(text, force=force)
    if lexicon.own.find(word) is None:
        require_room(lexicon, 1)
    listing = Listing(word, category, severity)
    details: dict[str, Any] = {"category": category, "severity": severity or "off", "words": 1}
    if (before := lexicon.own.find(word)) is not None:
        details["before"] = str(before)
    return Change("word_added", word, put=[listing], details=details)


def word_removed(lexicon: Lexicon, text: str) -> Change:
    """Take a word out, one that comes with kefu as well. Raises `NotFound`."""
    word = lexicon.get(text)
    details = {"category": word.category, "severity": word.severity, "words": 1}
    if word.text in lexicon.starter.words:
        off = Listing(word.text, lexicon.starter.words[word.text].category, None)
        return Change("word_removed", word.text, put=[off], details=details)
    return Change("word_removed", word.text, removed=[word.text], details=details)


def phrase_allowed(lexicon: Lexicon, text: str, *, force: bool) -> Change:
    """Let a phrase beat the words inside it. Raises `InvalidInput`."""
    phrase = checked(text, force=force)
    if phrase not in lexicon.allowed and len(lexicon.allowed) >= MAX_WORDS:
        raise InvalidInput(f"{len(lexicon.allowed):,} phrases are allowed, and no more fit.")
    return Change("phrase_allowed", phrase, allowed=[phrase], details={"phrases": 1})


def phrase_removed(lexicon: Lexicon, text: str) -> Change:
    """Allow a phrase no longer. Raises `NotFound`, `InvalidInput` for one that comes with kefu."""
    phrase = folded(text)
    if phrase in lexicon.own.allowed:
        return Change("phrase_removed", phrase, disallowed=[phrase], details={"phrases": 1})
    if phrase in lexicon.allowed:
        raise InvalidInput(
            f"The phrase {shown(phrase)} comes with kefu and stays. What must not pass in spite of "
            "it can be listed as a longer word."
        )
    raise NotFound(f"The phrase {shown(text)} is not allowed.")


def require_room(lexicon: Lexicon, more: int) -> None:
    """Raises `InvalidInput` where so many further words are too many."""
    if lexicon.own.count + more > MAX_WORDS:
        raise InvalidInput(
            f"{lexicon.own.count:,} words of your own are listed; with {more:,} more they would be "
            f"over {MAX_WORDS:,}. Remove some first."
        )
