from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.intent.ngrams import MAX_CHARACTERS, Vocabulary, characters, fold, words

KINDS = pytest.mark.parametrize("kind", [words, characters])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Where is it?", ["where", "is", "it", "^ where", "where is", "is it", "it $"]),
        ("I can’t", ["i", "can't", "^ i", "i can't", "can't $"]),
        ("退货吗", ["退", "货", "吗", "^ 退", "退 货", "货 吗", "吗 $"]),
        ("买iPhone15", ["买", "iphone", "15", "^ 买", "买 iphone", "iphone 15", "15 $"]),
        ("2FA", ["2", "fa", "^ 2", "2 fa", "fa $"]),
        ("order_id", ["order", "id", "^ order", "order id", "id $"]),
    ],
)
def test_words_and_pairs_with_the_ends(text: str, found: list[str]) -> None:
    assert list(words(text)) == found


def test_pieces_within_words_with_their_ends() -> None:
    assert list(characters("Hi 退")) == [
        *(" h", "hi", "i ", " hi", "hi ", " hi "),
        *(" 退", "退 ", " 退 "),
    ]
    assert max(map(len, characters("cancellation"))) == 5
    assert "cance" in list(characters("cancellation"))


@KINDS
@pytest.mark.parametrize("text", ["", "   ", "😀👍", "？！…", "\n"])
def test_no_words_no_terms(kind: object, text: str) -> None:
    assert list(kind(text)) == []


@KINDS
@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ＡＢＣ１２３", "abc123"),
        ("ﬁnd", "find"),
        ("can’t", "can't"),
        ("①", "1"),
        ("REFUND", "refund"),
    ],
)
def test_forms_of_the_same_text(kind: object, one: str, other: str) -> None:
    assert list(kind(one)) == list(kind(other))


@KINDS
def test_very_long_texts_are_cut(kind: object) -> None:
    long = "ab " * 100_000
    assert list(kind(long)) == list(kind(long[:MAX_CHARACTERS]))
    assert len(fold("x" * 10_000)) == MAX_CHARACTERS


def row(vocabulary: Vocabulary, text: str) -> tuple[np.ndarray, np.ndarray]:
    found = vocabulary.rows([text])
    return found.indices, found.values


@KINDS
def test_rows_have_length_1_or_0(kind: object) -> None:
    texts = ["where is my parcel", "我的包裹在哪", "aaaa aaaa", "where"]
    vocabulary = Vocabulary.learn(kind, texts)
    for text in texts:
        indices, values = row(vocabulary, text)
        assert np.linalg.norm(values) == pytest.approx(1, abs=1e-6)
        assert len(set(indices.tolist())) == len(indices)
        assert values.dtype == np.float32
    for text in ("", "😀", "zzz", "龘"):
        assert row(vocabulary, text)[1].size == 0


@KINDS
def test_an_emoji_among_the_examples_is_not_all_emoji(kind: object) -> None:
    vocabulary = Vocabulary.learn(kind, ["👍", "thanks"])
    assert row(vocabulary, "😡")[1].size == 0


def test_rare_terms_weigh_more_and_unknown_ones_nothing() -> None:
    vocabulary = Vocabulary.learn(words, ["my parcel", "my refund", "my points"])
    terms = np.array(vocabulary.terms)
    indices, values = row(vocabulary, "my parcel unknownword")
    weight = dict(zip(terms[indices], values, strict=True))
    # Not "parcel $": another word follows.
    assert set(weight) == {"my", "parcel", "^ my", "my parcel"}
    assert weight["parcel"] > weight["my"]
    assert weight["parcel"] == pytest.approx(weight["my"] * (np.log(4 / 2) + 1), rel=1e-6)


def test_repeated_terms_count_by_their_logarithm() -> None:
    vocabulary = Vocabulary.learn(words, ["no yes"])
    terms = np.array(vocabulary.terms)
    indices, values = row(vocabulary, "no no no yes")
    weight = dict(zip(terms[indices], values, strict=True))
    assert weight["no"] == pytest.approx(weight["yes"] * (1 + np.log(3)), rel=1e-6)


def test_rows_as_one_sparse_matrix() -> None:
    vocabulary = Vocabulary.learn(words, ["a b", "b c"])
    rows = vocabulary.rows(["a b", "", "c"])
    assert rows.starts.tolist() == [0, 5, 5, 7]
    for number, text in enumerate(["a b", "", "c"]):
        part = slice(rows.starts[number], rows.starts[number + 1])
        indices, values = row(vocabulary, text)
        assert rows.indices[part].tolist() == indices.tolist()
        assert rows.values[part].tolist() == values.tolist()
    assert vocabulary.rows([]).starts.tolist() == [0]


def test_the_vocabulary_does_not_depend_on_the_order() -> None:
    one, other = (Vocabulary.learn(characters, texts) for texts in (["ab", "cd"], ["cd", "ab"]))
    assert one.terms == other.terms
    assert one.weights.tolist() == other.weights.tolist()


@given(st.text(max_size=80))
def test_any_text_has_a_row(text: str) -> None:
    for kind in (words, characters):
        length = np.linalg.norm(row(Vocabulary.learn(kind, [text, "x"]), text)[1])
        assert length == pytest.approx(1, abs=1e-5) or length == 0
