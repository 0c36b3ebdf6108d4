"""Long lists of words, written in steps that nobody sees before the last.

In one transaction 200,000 words keep every customer's turn from being saved for seconds. So they are
written a few hundred at a time, hidden by a mark in `versions`, and shown by taking the mark away.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from sqlalchemy import Connection, Select, delete, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert_insert

from kefu.moderation.lexicon import OFF, Listing
from kefu.stamps import now_ms
from kefu.stores.database import Database
from kefu.stores.schema import moderation_words, versions
from kefu.stores.statements import alone

T = TypeVar("T")
Progress = Callable[[int, int], None]

ROWS_AT_ONCE = 500
# Longer than a step takes: a desk that found the database busy looks again after 1 to 25 ms.
_PAUSE_SECONDS = 0.02
# A process that was killed has left its mark. No list takes so long.
_DEAD_AFTER_MS = 3600 * 1000
_ROWS_PER_STATEMENT = 500

_MARK = "words from "


def hidden_marks() -> Select[int]:
    """The `created_at_ms` of rows that are not to be seen yet."""
    return select(versions.c.version).where(versions.c.name.startswith(_MARK))


@contextmanager
def written_in_steps(
    database: Database, listings: Sequence[Listing], on_progress: Progress | None
) -> Iterator[tuple[int, list[Listing]]]:
    """Write words that are new, hidden by a mark, and hand over the mark and those that are not.

    The block takes the mark away in a transaction. Where it fails, all is as it was before.
    """
    with database.read() as connection:
        dead = [mark for mark in _marks(connection) if mark < now_ms() - _DEAD_AFTER_MS]
        there = _visible_words(connection)
    for mark in dead:
        _forget(database, mark)
    mark = database.write(_begin)
    try:
        fresh = [listing for listing in listings if listing.text not in there]
        for start in range(0, len(fresh), ROWS_AT_ONCE):
            _write_step(database, fresh[start : start + ROWS_AT_ONCE], mark)
            if on_progress is not None:
                on_progress(min(start + ROWS_AT_ONCE, len(fresh)), len(listings))
        yield mark, [listing for listing in listings if listing.text in there]
    except BaseException:  # Ctrl-C too: no half of a list may stay
        _forget(database, mark)
        raise


def unhide(connection: Connection, mark: int) -> None:
    connection.execute(delete(versions).where(versions.c.name == f"{_MARK}{mark}"))


def row_of(listing: Listing, created_at_ms: int) -> dict[str, Any]:
    return {
        "word": listing.text,
        "category": listing.category.value,
        "severity": listing.severity.value if listing.severity else OFF,
        "created_at_ms": created_at_ms,
    }


def chunks(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _ROWS_PER_STATEMENT):
        yield items[start : start + _ROWS_PER_STATEMENT]


def time_of_change(connection: Connection) -> int:
    """Now, or a little later: no mark hides what is written at that time."""
    alone(connection, _MARK)
    at = now_ms()
    marks = set(_marks(connection))
    while at in marks:
        at += 1
    return at


def _begin(connection: Connection) -> int:
    """A mark that no other list and no word has."""
    at = time_of_change(connection)
    columns = moderation_words.c
    while connection.execute(select(columns.word).where(columns.created_at_ms == at)).first():
        at += 1
    connection.execute(insert(versions), {"name": f"{_MARK}{at}", "version": at})
    return at


def _marks(connection: Connection) -> Sequence[int]:
    return connection.execute(hidden_marks()).scalars().all()


def _visible_words(connection: Connection) -> frozenset[str]:
    columns = moderation_words.c
    query = select(columns.word).where(columns.created_at_ms.not_in(hidden_marks()))
    return frozenset(connection.execute(query).scalars())


def _write_step(database: Database, listings: Sequence[Listing], mark: int) -> None:
    database.write(lambda connection: _write_hidden(connection, listings, mark))
    time.sleep(_PAUSE_SECONDS)


def _write_hidden(connection: Connection, listings: Sequence[Listing], mark: int) -> None:
    """A word that was listed in the meantime stays; one that a dead process left is taken over."""
    add = upsert_insert(moderation_words)
    replaced = {name: add.excluded[name] for name in ("category", "severity", "created_at_ms")}
    is_hidden = moderation_words.c.created_at_ms.in_(hidden_marks())
    save = add.on_conflict_do_update(index_elements=["word"], set_=replaced, where=is_hidden)
    for part in chunks(listings):
        connection.execute(save, [row_of(listing, mark) for listing in part])


def _forget(database: Database, mark: int) -> None:
    """Delete what a mark hides, and the mark at last."""
    columns = moderation_words.c
    some = select(columns.word).where(columns.created_at_ms == mark).limit(ROWS_AT_ONCE)
    while database.write(
        lambda connection: (
            connection.execute(delete(moderation_words).where(columns.word.in_(some))).rowcount
        )
    ):
        time.sleep(_PAUSE_SECONDS)
    database.write(lambda connection: unhide(connection, mark))
