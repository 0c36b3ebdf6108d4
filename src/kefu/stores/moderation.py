"""The operator's words and allowed phrases in SQL."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection, Select, delete, select

from kefu.errors import KefuError
from kefu.moderation.categories import Category, Severity
from kefu.moderation.editing import NOTHING, Change
from kefu.moderation.hit import Word
from kefu.moderation.lexicon import OFF, Listing, Own
from kefu.stores.audit import append
from kefu.stores.database import Database
from kefu.stores.long_lists import (
    ROWS_AT_ONCE,
    Progress,
    chunks,
    hidden_marks,
    row_of,
    time_of_change,
    unhide,
    written_in_steps,
)
from kefu.stores.schema import allowed_phrases, moderation_words
from kefu.stores.statements import raise_version, upsert, version_of

T = TypeVar("T")

_MODERATION = "moderation"
_MOST_SUBJECT = 256

_SAVE_WORDS = upsert(moderation_words, "word")
_SAVE_PHRASES = upsert(allowed_phrases, "phrase")

# By value and not through the enums' constructors, which take ten times as long.
_CATEGORIES = {category.value: category for category in Category}
_SEVERITIES = {severity.value: severity for severity in Severity}


class LexiconUnreadable(KefuError):
    """A row that this kefu does not understand."""

    code = "lexicon_unreadable"


class SqlModeration:
    """Synchronous and thread-safe. Every change becomes visible as a whole, with a new version and
    an audit row."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def version(self) -> int:
        with self._database.read() as connection:
            return version_of(connection, _MODERATION)

    def load(self, known: Own = NOTHING) -> Own:
        """All that the operator listed, of one moment. Raises `LexiconUnreadable`.

        Words that are the same in `known` are taken from there, which is quicker.
        """
        with self._database.read() as connection:
            version = version_of(connection, _MODERATION)
            words, off = _words(connection, known.words)
            phrases = connection.execute(select(allowed_phrases.c.phrase)).scalars()
            return Own(version, words, off, frozenset(phrases))

    def save(self, change: Change, actor: str, on_progress: Progress | None = None) -> int:
        """Carry out a change, all or nothing; the new version.

        Of a long list all but the last step takes a while; others write in between.
        """
        if len(change.put) <= ROWS_AT_ONCE:
            return self._database.write(lambda connection: _save(connection, change, actor))
        with written_in_steps(self._database, change.put, on_progress) as (mark, rest):

            def finish(connection: Connection) -> int:
                unhide(connection, mark)
                return _save(connection, change, actor, rest)

            return self._database.write(finish)


def _words(
    connection: Connection, known: Mapping[str, Word]
) -> tuple[dict[str, Word], dict[str, Category]]:
    """Those that are listed, and those of the starter lexicon that are taken out."""
    columns = moderation_words.c
    query = select(columns.word, columns.category, columns.severity).order_by(columns.word)
    query = query.where(columns.created_at_ms.not_in(hidden_marks()))
    words: dict[str, Word] = {}
    off: dict[str, Category] = {}
    for text, of, how in _rows(connection, query):
        category = _known(_CATEGORIES, of, text)
        if how == OFF:
            off[text] = category
            continue
        severity = _known(_SEVERITIES, how, text)
        word = known.get(text)
        if word is None or word.category is not category or word.severity is not severity:
            word = Word(text, category, severity)
        words[text] = word
    return words, off


def _rows(connection: Connection, query: Select[str, str, str]) -> Iterator[tuple[str, str, str]]:
    """Several at once, which takes half as long as one by one."""
    for part in connection.execute(query).partitions(ROWS_AT_ONCE):
        yield from part


def _known(among: Mapping[str, T], value: str, text: str) -> T:
    found = among.get(value)
    if found is None:
        raise LexiconUnreadable(
            f"The listed word {text!r} is of the kind {value!r}, which this kefu does not know. "
            "Update kefu."
        )
    return found


def _save(
    connection: Connection, change: Change, actor: str, rest: Sequence[Listing] | None = None
) -> int:
    """`rest`: what is left of the words to put where the others are there already."""
    at = time_of_change(connection)
    for listings in chunks(change.put if rest is None else rest):
        connection.execute(_SAVE_WORDS, [row_of(listing, at) for listing in listings])
    for words in chunks(change.removed):
        connection.execute(delete(moderation_words).where(moderation_words.c.word.in_(words)))
    for phrases in chunks(change.allowed):
        connection.execute(_SAVE_PHRASES, [{"phrase": p, "created_at_ms": at} for p in phrases])
    for phrases in chunks(change.disallowed):
        connection.execute(delete(allowed_phrases).where(allowed_phrases.c.phrase.in_(phrases)))
    append(connection, actor, change.action, _subject(change), change.details)
    return raise_version(connection, _MODERATION)


def _subject(change: Change) -> str:
    """As the audit names words and the files they come from."""
    return f"word:{change.subject}"[:_MOST_SUBJECT]
