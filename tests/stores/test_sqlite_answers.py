"""Kept answers on disk."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import numpy as np
import pytest
from sqlalchemy.exc import IntegrityError

from kefu.answers.answer import CachedAnswer
from kefu.conversations.transcript import Citation
from kefu.knowledge.entry import Entry, IndexedEntry
from kefu.settings import Settings
from kefu.stamps import now_ms
from kefu.stores.sqlite import Database, DatabaseFailed, open_database
from kefu.stores.sqlite_answers import SqliteAnswers
from kefu.stores.sqlite_knowledge import SqliteKnowledge

VECTOR = np.array([0.6, 0.8], np.float32)
ANSWER = CachedAnswer(
    key="k1",
    question="运费是多少",
    language="zh",
    reply="8元。",
    intent_label="delivery",
    intent_score=0.7,
    confidence=0.8,
    citations=(Citation("fee", "运费", 0.5),),
    entry_hashes={"fee": "abc", "other": "def"},
    model="small",
    encoder_id="e",
    vector=VECTOR,
    id="a1",
)
PINNED = CachedAnswer("k2", "可以自提吗", "zh", "可以。", pinned=True, edited=True, id="a2")


@pytest.fixture
def store(database: Database) -> SqliteAnswers:
    return SqliteAnswers(database)


def fields_of(answer: CachedAnswer) -> dict[str, object]:
    vector = None if answer.vector is None else answer.vector.tolist()
    return {**vars(answer), "vector": vector}


def test_what_is_saved_is_loaded_again_with_every_field(store: SqliteAnswers):
    store.apply([ANSWER, PINNED], [], [])
    _, loaded = store.load()
    assert [fields_of(a) for a in loaded] == [fields_of(ANSWER), fields_of(PINNED)]
    found = store.find("a1")
    assert found is not None
    assert fields_of(found) == fields_of(ANSWER)
    assert store.find("nowhere") is None


def test_they_come_in_the_order_of_their_last_hit(store: SqliteAnswers):
    store.apply([replace(ANSWER, last_hit_at_ms=2), replace(PINNED, last_hit_at_ms=1)], [], [])
    assert [a.id for a in store.load()[1]] == ["a2", "a1"]


def test_hits_are_counted_and_bring_nothing_back(store: SqliteAnswers):
    store.apply([ANSWER], [], [])
    hit = replace(ANSWER, exact_hits=3, semantic_hits=2, last_hit_at_ms=7, reply="not written")
    store.apply([], [hit, PINNED], [])
    (loaded,) = store.load()[1]
    assert (loaded.exact_hits, loaded.semantic_hits, loaded.last_hit_at_ms) == (3, 2, 7)
    assert loaded.reply == "8元。"


def test_an_answer_takes_the_place_of_the_one_with_its_key(store: SqliteAnswers):
    store.apply([ANSWER], [], [])
    store.apply([replace(ANSWER, id="a9", reply="9元。")], [], [])
    assert [(a.id, a.reply) for a in store.load()[1]] == [("a9", "9元。")]


def test_a_change_is_whole_or_nothing(store: SqliteAnswers):
    store.apply([ANSWER], [], [])
    bad = replace(PINNED, question=None)  # the column refuses it
    with pytest.raises(IntegrityError):
        store.apply([bad], [], ["a1"])
    assert [a.id for a in store.load()[1]] == ["a1"]


def test_many_are_deleted_at_once(store: SqliteAnswers):
    many = [replace(ANSWER, id=f"a{n}", key=f"k{n}") for n in range(1200)]
    store.apply(many, [], [])
    store.apply([], [], [a.id for a in many])
    assert store.load()[1] == []


def test_the_desks_own_changes_are_no_news_and_other_peoples_are(store: SqliteAnswers):
    store.apply([ANSWER], [], [])
    assert store.version() == 0
    store.change(PINNED)
    assert store.version() == 1
    assert store.clear(["a1", "nowhere"]) == 1
    assert store.version() == 2
    version, loaded = store.load()
    assert (version, [a.id for a in loaded]) == (2, ["a2"])


# The knowledge


def save(database: Database, *entries: Entry, encoder_id: str = "e") -> int:
    vectors = np.array([[1, 0]], np.float32)
    indexed = [IndexedEntry(entry, vectors) for entry in entries]
    return SqliteKnowledge(database).save(indexed, encoder_id)


def test_the_version_of_the_knowledge_follows_every_commit_of_any_process(
    database: Database, settings: Settings, store: SqliteAnswers
):
    assert store.knowledge_version() == 0
    assert save(database, Entry("a", "q", "a")) == store.knowledge_version() == 1
    with open_database(settings.database_path) as another:
        assert save(another, Entry("b", "q", "a")) == 2
        assert store.knowledge_version() == SqliteAnswers(another).knowledge_version() == 2


def test_asking_for_the_version_holds_no_snapshot(database: Database, store: SqliteAnswers):
    """A read that stays open would keep the write-ahead log from being emptied."""
    store.knowledge_version()
    save(database, Entry("a", "q", "a"))
    store.knowledge_version()
    with database.read() as connection:
        row = connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)").one()
    assert row[0] == 0  # not blocked
    assert row[1] == 0  # nothing is left in the log


def test_a_database_that_cannot_be_read_is_said(database: Database):
    reader = database.open_reader()
    with pytest.raises(DatabaseFailed, match="no such table"):
        reader.rows("SELECT * FROM nowhere")


def test_the_entries_that_changed_or_became_valid_since(database: Database, store: SqliteAnswers):
    today, day = date.today(), timedelta(days=1)
    save(
        database,
        Entry("old", "q", "a"),
        Entry("began", "q", "a", valid_from=today),
        Entry("began before", "q", "a", valid_from=today - 30 * day),
    )
    database.write(lambda c: c.exec_driver_sql("UPDATE entries SET updated_at_ms = 1000"))
    save(
        database,
        Entry("new", "q", "a"),
        Entry("off", "q", "a", enabled=False),
        Entry("coming", "q", "a", valid_from=today + day),
    )
    save(database, Entry("foreign", "q", "a"), encoder_id="another")
    since = now_ms() - 60_000
    changed = {entry.id: entry for entry in store.changed_entries(since, "e", 100)}
    assert changed.keys() == {"new", "began"}
    assert changed["new"].since_ms >= since
    assert [1, 0] in changed["new"].vectors.tolist()  # of the question; one of the answer follows
    assert date.fromtimestamp(changed["began"].since_ms / 1000) == today
    assert len(store.changed_entries(since, "e", 1)) == 1
