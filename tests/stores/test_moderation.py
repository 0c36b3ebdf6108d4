"""The operator's words in SQLite: whole changes, versions, the audit, and long lists in steps."""

from __future__ import annotations

import pytest
from sqlalchemy import insert, select, update

from kefu.moderation.categories import Category, Severity
from kefu.moderation.editing import Change
from kefu.moderation.hit import Word
from kefu.moderation.lexicon import Listing, Own
from kefu.settings import Settings
from kefu.stores import long_lists
from kefu.stores.database import Database
from kefu.stores.moderation import LexiconUnreadable, SqlModeration
from kefu.stores.opening import open_database
from kefu.stores.schema import audit, moderation_words, versions

ACTOR = "cli:somebody"
HIGH = Listing("百家乐", Category.GAMBLING, Severity.HIGH)
OFF = Listing("老虎机", Category.GAMBLING, None)


@pytest.fixture
def store(database: Database) -> SqlModeration:
    return SqlModeration(database)


def put(*listings: Listing) -> Change:
    return Change("word_added", "x", put=listings, details={"words": len(listings)})


def many(count: int, severity: Severity = Severity.HIGH) -> list[Listing]:
    return [Listing(f"第{number}号词", Category.FRAUD, severity) for number in range(count)]


@pytest.fixture
def short_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("long_lists", "moderation"):
        monkeypatch.setattr(f"kefu.stores.{module}.ROWS_AT_ONCE", 10)
    monkeypatch.setattr(long_lists, "_PAUSE_SECONDS", 0)


def test_nothing_is_listed_at_first(store: SqlModeration):
    assert (store.version(), store.load()) == (0, Own())


def test_what_is_saved_is_loaded(store: SqlModeration):
    assert store.save(put(HIGH, OFF), ACTOR) == 1
    assert store.save(Change("phrase_allowed", "博物馆", allowed=["博物馆"]), ACTOR) == 2
    expected = Own(
        2,
        {"百家乐": Word("百家乐", Category.GAMBLING, Severity.HIGH)},
        {"老虎机": Category.GAMBLING},
        frozenset({"博物馆"}),
    )
    assert store.load() == expected
    assert store.version() == 2
    store.save(Change("word_removed", "百家乐", removed=["百家乐"]), ACTOR)
    store.save(Change("phrase_removed", "博物馆", disallowed=["博物馆"]), ACTOR)
    assert store.load() == Own(4, {}, {"老虎机": Category.GAMBLING})


def test_words_that_are_known_are_not_made_again(store: SqlModeration):
    store.save(put(HIGH), ACTOR)
    known = store.load()
    assert store.load(known).words["百家乐"] is known.words["百家乐"]
    changed = Listing("百家乐", Category.GAMBLING, Severity.LOW)
    store.save(put(changed), ACTOR)
    assert store.load(known).words["百家乐"].severity is Severity.LOW


def test_every_change_is_in_the_audit(store: SqlModeration, database: Database):
    store.save(put(HIGH), ACTOR)
    with database.read() as connection:
        row = connection.execute(select(audit)).one()
    assert (row.actor, row.action, row.subject) == (ACTOR, "word_added", "word:x")
    assert row.details == {"words": 1}


def test_a_change_that_fails_leaves_nothing(store: SqlModeration, database: Database):
    change = Change("word_added", "x", put=[HIGH], details={"words": object()})
    with pytest.raises(Exception, match="not JSON serializable"):
        store.save(change, ACTOR)
    assert store.load() == Own()
    with database.read() as connection:
        assert connection.execute(select(audit)).all() == []


def test_a_row_of_a_newer_kefu_is_said(store: SqlModeration, database: Database):
    store.save(put(HIGH), ACTOR)
    database.write(lambda c: c.execute(update(moderation_words).values(category="weather")))
    with pytest.raises(LexiconUnreadable, match="weather"):
        store.load()


# Long lists.


@pytest.mark.usefixtures("short_steps")
def test_a_long_list_is_seen_only_when_it_is_complete(store: SqlModeration, settings: Settings):
    seen: list[tuple[int, int]] = []
    with open_database(settings.database_at) as other_process:
        other = SqlModeration(other_process)

        def look(done: int, total: int) -> None:
            seen.append((done, total))
            other.save(put(Listing(f"别人{done}", Category.FRAUD, Severity.LOW)), "key:1")
            assert all(text.startswith("别人") for text in other.load().words)

        version = store.save(put(*many(25)), ACTOR, look)
    assert seen == [(10, 25), (20, 25), (25, 25)]
    assert version == store.version() == 4
    assert len(store.load().words) == 25 + 3


@pytest.mark.usefixtures("short_steps")
def test_a_long_list_replaces_what_was_listed_in_its_last_step(store: SqlModeration):
    store.save(put(*many(5, Severity.LOW)), ACTOR)

    def look(done: int, total: int) -> None:
        assert {w.severity for w in store.load().words.values()} == {Severity.LOW}

    store.save(put(*many(25)), ACTOR, look)
    assert {word.severity for word in store.load().words.values()} == {Severity.HIGH}
    assert len(store.load().words) == 25


@pytest.mark.usefixtures("short_steps")
def test_a_list_that_is_given_up_halfway_leaves_nothing(store: SqlModeration, database: Database):
    def give_up(done: int, total: int) -> None:
        if done == 20:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        store.save(put(*many(25)), ACTOR, give_up)
    assert store.load() == Own()
    with database.read() as connection:
        assert connection.execute(select(moderation_words)).all() == []
        assert connection.execute(select(versions)).all() == []


@pytest.mark.usefixtures("short_steps")
@pytest.mark.parametrize("hours", [0, 2])
def test_what_a_killed_process_left_is_never_seen(
    store: SqlModeration, database: Database, hours: int, monkeypatch: pytest.MonkeyPatch
):
    """The same list again takes its rows over; another one clears them away after an hour."""
    rows = [long_lists.row_of(listing, 1_000) for listing in many(15)]

    def killed(connection):
        connection.execute(insert(versions), {"name": "words from 1000", "version": 1_000})
        connection.execute(insert(moderation_words), rows)

    database.write(killed)
    assert store.load() == Own()
    monkeypatch.setattr(long_lists, "now_ms", lambda: 2_000 + hours * 3_600_000)
    store.save(put(*many(12)), ACTOR)
    assert len(store.load().words) == 12
    with database.read() as connection:
        left = len(connection.execute(select(moderation_words)).all())
    assert left == (15 if hours == 0 else 12)
