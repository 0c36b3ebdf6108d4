"""Texts as hashed n-grams: what changes a row, what does not, and that it stays as it was kept."""

from __future__ import annotations

import numpy as np
import pytest

from kefu.moderation import wording
from kefu.moderation.wording import BUCKETS, MAX_CHARACTERS, rows


def row(text: str) -> tuple[np.ndarray, np.ndarray]:
    found = rows([text])
    assert found.starts.tolist() == [0, len(found.buckets)]
    return found.buckets, found.values


def buckets(text: str) -> set[int]:
    return set(row(text)[0].tolist())


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("YOU Idiot", "you idiot"),
        ("ＹＯＵ！ idiot", "you, idiot"),
        ("加微信 13800001111", "加微信 13911112222"),
        ("垃圾  店铺", "垃圾，店铺"),
        ("a" * MAX_CHARACTERS, "a" * MAX_CHARACTERS + "b"),
    ],
)
def test_what_tells_nothing_changes_nothing(one: str, other: str):
    assert buckets(one) == buckets(other)
    assert np.array_equal(row(one)[1], row(other)[1])


@pytest.mark.parametrize(
    ("one", "other"),
    [("你好", "好你"), ("cat", "act"), ("退货", "换货"), ("part time", "parttime")],
)
def test_what_is_said_changes_the_row(one: str, other: str):
    assert buckets(one) != buckets(other)


def test_chinese_counts_by_characters_and_pairs_and_latin_by_longer_runs():
    # 退 货, and with the borders two more pairs.
    assert len(buckets("退货")) == 2 + 3
    # " cat ": three runs of 3, two of 4, one of 5.
    assert len(buckets("cat")) == 3 + 2 + 1
    assert buckets("退货") & buckets("退款")


def test_a_row_has_length_one_and_repeats_count_once():
    numbers, values = row("退货退货退货 refund refund")
    assert len(set(numbers.tolist())) == len(numbers)
    assert np.linalg.norm(values) == pytest.approx(1)
    assert 0 <= numbers.min() <= numbers.max() < BUCKETS


@pytest.mark.parametrize(
    "text", ["", " ", "！？…", "\u200b", "😀", "\ud800", "好", "a", "𠮷" * 600]
)
def test_any_text_is_taken(text: str):
    numbers, values = row(text)
    assert len(numbers) == len(values)
    assert np.isfinite(values).all()


def test_buckets_are_those_that_heads_were_trained_with():
    """A change here makes every head that is kept wrong: raise its format with it."""
    assert sorted(buckets("退货 ok")) == [15149, 21768, 21802, 26453, 26629, 37761, 38775, 54926]
    assert wording.BITS == 16


def test_many_texts_at_once_are_rows_as_alone():
    texts = ["退货 ok", "", "cat", "！", "𠮷好", "part time", ""]
    together = rows(texts)
    weights = np.random.default_rng(1).normal(size=(BUCKETS, 3)).astype(np.float32)
    weighed = together.weigh(weights)
    for n, text in enumerate(texts):
        numbers, values = row(text)
        part = slice(together.starts[n], together.starts[n + 1])
        assert together.buckets[part].tolist() == numbers.tolist()
        assert together.values[part] == pytest.approx(values)
        assert weighed[n] == pytest.approx(values @ weights[numbers], abs=1e-5)
