"""Answers in memory, and their vectors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from kefu.answers.answer import CachedAnswer
from kefu.answers.shelf import Shelf
from kefu.answers.vectors import VectorTable

UNITS = np.eye(4, dtype=np.float32)


def answer(id_: str, key: str = "", row: int | None = None, **more) -> CachedAnswer:
    vector = None if row is None else UNITS[row]
    return CachedAnswer(key or f"key of {id_}", id_, "zh", "reply", id=id_, vector=vector, **more)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(-1, 3)), max_size=60))
def test_the_table_holds_what_a_dictionary_would(steps: list[tuple[str, int]]):
    table, expected = VectorTable(), {}
    for id_, row in steps:
        if row < 0:
            table.remove(id_)
            expected.pop(id_, None)
        else:
            table.put(id_, UNITS[row])
            expected[id_] = row
    assert len(table) == len(expected)
    for row in range(4):
        wanted = {id_ for id_, its_row in expected.items() if its_row == row}
        assert set(table.nearest(UNITS[row], 0.5)) == wanted
        assert set(table.near_any(UNITS[[row]], 0.5)) == wanted


def test_the_table_grows_past_its_first_rows():
    table = VectorTable()
    rng = np.random.default_rng(7)
    vectors = rng.normal(size=(300, 16)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    for number, vector in enumerate(vectors):
        table.put(str(number), vector)
    assert all(next(table.nearest(v, 0.99)) == str(n) for n, v in enumerate(vectors))
    cosines = vectors @ vectors[0]
    assert list(table.nearest(vectors[0], 0.2)) == [
        str(n) for n in np.argsort(-cosines, kind="stable") if cosines[n] >= 0.2
    ]


def test_an_answer_is_found_by_key_entry_and_vector_until_it_is_removed():
    shelf = Shelf()
    one, two = answer("1", row=0, entry_hashes={"a": "x"}), answer("2", entry_hashes={"a": "x"})
    shelf.put(one)
    shelf.put(two)
    assert shelf.find_key("key of 1") is one
    assert {a.id for a in shelf.readers_of(["a", "b"])} == {"1", "2"}
    assert list(shelf.nearest(UNITS[0], 0.9)) == [one]
    assert shelf.remove("1") is one
    assert shelf.find_key("key of 1") is None
    assert shelf.readers_of(["a"]) == [two]
    assert list(shelf.nearest(UNITS[0], 0.9)) == []
    assert shelf.remove("1") is None


def test_an_answer_that_is_replaced_leaves_nothing_behind():
    shelf = Shelf()
    shelf.put(answer("1", row=0, entry_hashes={"a": "x"}))
    moved = answer("1", key="another", row=1, entry_hashes={"b": "y"})
    assert shelf.put(moved) is None
    assert len(shelf) == 1
    assert shelf.find_key("key of 1") is None
    assert shelf.readers_of(["a"]) == []
    assert list(shelf.nearest(UNITS[0], 0.5)) == []
    assert list(shelf.near_any(UNITS[[1]], 0.5)) == [moved]


def test_a_key_belongs_to_the_answer_that_came_last():
    shelf = Shelf()
    first = answer("1", key="k")
    shelf.put(first)
    assert shelf.put(answer("2", key="k")) is first
    assert [a.id for a in shelf] == ["2"]


def test_the_one_that_waited_longest_is_wanted_least_and_pinned_ones_after_all_others():
    shelf = Shelf()
    pinned, old, young = answer("p", pinned=True), answer("o"), answer("y")
    for one in (pinned, old, young):
        shelf.put(one)
    assert shelf.least_wanted() is old
    shelf.used(replace(old, exact_hits=1))
    assert shelf.least_wanted() is young
    shelf.remove("y")
    shelf.remove("o")
    assert shelf.least_wanted() is pinned
