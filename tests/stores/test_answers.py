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
from kefu.stamps import now_ms
from kefu.stores.answers import SqlAnswers
from kefu.stores.database import Database
from kefu.stores.knowledge import SqlKnowledge

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
def store(database: Database) -> SqlAnswers:
    return SqlAnswers(database)


def fields_of(answer: CachedAnswer) -> dict[str, object]:
    vector = None if answer.vector is None else answer.vector.tolist()
    return {**vars(answer), "vector": vector}


def test_what_is_saved_is_loaded_again_with_every_field(store: SqlAnswers):
    store.apply([ANSWER, PINNED], [], [])
    _, loaded = store.load()
    assert [fields_of(a) for a in loaded] == [fields_of(ANSWER), fields_of(PINNED)]
    found = store.find("a1")
    assert found is not None
    assert fields_of(found) == fields_of(ANSWER)
    assert store.find("nowhere") is None


def test_they_come_in_the_order_of_their_last_hit(store: SqlAnswers):
    store.apply([replace(ANSWER, last_hit_at_ms=2), replace(PINNED, last_hit_at_ms=1)], [], [])
    assert [a.id for a in store.load()[1]] == ["a2", "a1"]


def test_hits_are_counted_and_bring_nothing_back(store: SqlAnswers):
    store.apply([ANSWER], [], [])
    hit = replace(ANSWER, exact_hits=3, semantic_hits=2, last_hit_at_ms=7, reply="not written")
    store.apply([], [hit, PINNED], [])
    (loaded,) = store.load()[1]
    assert (loaded.exact_hits, loaded.semantic_hits, loaded.last_hit_at_ms) == (3, 2, 7)
    assert loaded.reply == "8元。"


def test_an_answer_takes_the_place_of_the_one_with_its_key(store: SqlAnswers):
    store.apply([ANSWER], [], [])
    store.apply([replace(ANSWER, id="a9", reply="9元。")], [], [])
    assert [(a.id, a.reply) for a in store.load()[1]] == [("a9", "9元。")]


def test_a_change_is_whole_or_nothing(store: SqlAnswers):
    store.apply([ANSWER], [], [])
    bad = replace(PINNED, question=None)  # the column refuses it
    with pytest.raises(IntegrityError):
        store.apply([bad], [], ["a1"])
    assert [a.id for a in store.load()[1]] == ["a1"]


def test_many_are_deleted_at_once(store: SqlAnswers):
    many = [replace(ANSWER, id=f"a{n}", key=f"k{n}") for n in range(1200)]
    store.apply(many, [], [])
    store.apply([], [], [a.id for a in many])
    assert store.load()[1] == []


def test_the_desks_own_changes_are_no_news_and_other_peoples_are(store: SqlAnswers):
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
    return SqlKnowledge(database).save(indexed, encoder_id)


def test_the_entries_that_changed_or_became_valid_since(database: Database, store: SqlAnswers):
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
