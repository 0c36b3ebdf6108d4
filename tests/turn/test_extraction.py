from __future__ import annotations

from kefu.reading.reader import Told
from kefu.turn.extraction import MOST_SENTENCES, extract


def told(*probabilities: float, passage: int = 0) -> list[Told]:
    return [Told(passage, n, f"第{n}句。", p) for n, p in enumerate(probabilities)]


def test_what_nobody_tells_is_not_quoted():
    assert extract(told(0.1, 0.4), 0.5, "zh") is None
    assert extract([], 0.5, "zh") is None


def test_sentences_that_come_near_the_likeliest_stand_in_their_order():
    found = extract(told(0.3, 0.1, 0.9), 0.5, "zh")
    assert found is not None
    assert (found.text, found.passage) == ("第0句。第2句。", 0)


def test_they_are_of_one_passage():
    found = extract([*told(0.8, 0.7), Told(1, 0, "a;", 0.9), Told(1, 1, "b", 0.5)], 0.5, "en")
    assert found is not None
    assert (found.text, found.passage) == ("a. b.", 1)


def test_no_more_than_a_few_sentences():
    found = extract(told(0.9, 0.8, 0.7, 0.6), 0.5, "zh")
    assert found is not None
    assert found.text.count("。") == MOST_SENTENCES
    assert "第3句" not in found.text


def test_clauses_of_a_list_end_as_sentences():
    found = extract([Told(0, 0, "标间 200 元；", 0.9), Told(0, 1, "见“价目表”", 0.8)], 0.5, "zh")
    assert found is not None
    assert found.text == "标间 200 元。见“价目表”"
