from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kefu.knowledge.entry import Entry, IndexedEntry
from kefu.knowledge.vectors import indexed, texts_of
from kefu.stores.database import Database
from kefu.stores.knowledge import SqlKnowledge
from tests.fakes import HashingEncoder

ENCODER = HashingEncoder()
ENTRIES = [Entry(f"e{number}", f"第{number}个问题", "答案。", language="zh") for number in range(4)]


def items_of(*entries: Entry) -> list[IndexedEntry]:
    return [indexed(entry, ENCODER.encode(texts_of(entry))) for entry in entries]


@pytest.fixture
def store(database: Database) -> SqlKnowledge:
    store = SqlKnowledge(database)
    store.save(items_of(*ENTRIES), ENCODER.id)
    return store


def test_everything_is_new_to_whoever_knows_nothing(store: SqlKnowledge) -> None:
    changes = store.changes({}, ENCODER.id)
    assert [item.entry for item in changes.indexed] == ENTRIES
    assert changes.hashes == store.hashes() == {e.id: e.content_hash for e in ENTRIES}
    assert (changes.version, changes.gone, changes.complete) == (1, frozenset(), True)
    np.testing.assert_allclose(changes.indexed[1].vectors, ENCODER.encode(ENTRIES[1].questions))
    (expected,) = ENCODER.encode(["答案。"])
    np.testing.assert_allclose(changes.indexed[1].answer, expected, rtol=1e-5)


def test_only_what_differs_is_given(store: SqlKnowledge) -> None:
    known = store.hashes()
    changed = replace(ENTRIES[1], answer="别的答案。")
    store.save(items_of(changed), ENCODER.id, ["e2"])
    changes = store.changes(known, ENCODER.id)
    assert [item.entry for item in changes.indexed] == [changed]
    assert (changes.version, changes.gone) == (2, frozenset({"e2"}))
    assert changes.hashes == {"e1": changed.content_hash}


def test_only_what_is_asked_about_is_looked_at(store: SqlKnowledge) -> None:
    known = store.hashes()
    changed = [replace(entry, answer="别的答案。") for entry in ENTRIES[:2]]
    store.save(items_of(*changed), ENCODER.id, ["e2", "e3"])
    changes = store.changes(known, ENCODER.id, among=["e1", "e3", "never-there"])
    assert [item.entry.id for item in changes.indexed] == ["e1"]
    assert changes.gone == {"e3"}


def test_much_comes_in_parts(store: SqlKnowledge) -> None:
    known: dict[str, str] = {}
    steps = []
    while not (steps and steps[-1].complete):
        steps.append(store.changes(known, ENCODER.id, most=3))
        known |= steps[-1].hashes
    assert [len(step.indexed) for step in steps] == [3, 1]
    assert known == store.hashes()


def test_another_encoders_entries_are_given_without_vectors(store: SqlKnowledge) -> None:
    changes = store.changes({}, "another")
    assert changes.indexed == ()
    assert list(changes.unencoded) == ENTRIES
