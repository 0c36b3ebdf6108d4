from __future__ import annotations

from kefu.reading.reader import Told
from kefu.turn.extraction import MOST_SENTENCES, extract


def told(*probabilities: float, passage: int = 0) -> list[Told]:
    return [Told(passage, n, f"第{n}句。", p) for n, p in enumerate(probabilities)]


def test_what_nobody_tells_is_not_answered():
    assert extract(told(0.1, 0.4), 0.5, "zh") is None
    assert extract([], 0.5, "zh") is None


def test_sentences_stand_in_their_order_and_say_where_they_are_from():
    found = extract([*told(0.6, 0.1, 0.9), *told(0.7, passage=2)], 0.5, "zh")
    assert found is not None
    assert found.text == "第0句。第2句。第0句。"
    assert found.passages == (0, 2)
    assert found.probability == 0.9


def test_the_passage_with_the_likeliest_sentence_comes_first():
    found = extract([*told(0.6), *told(0.9, passage=1)], 0.5, "zh")
    assert found is not None
    assert found.text == "第0句。第0句。"
    likeliest = extract([Told(0, 0, "b.", 0.6), Told(1, 0, "a;", 0.9)], 0.5, "en")
    assert likeliest is not None
    assert likeliest.text == "a. b."


def test_no_more_than_a_few_sentences():
    found = extract(told(0.9, 0.8, 0.7, 0.6), 0.5, "zh")
    assert found is not None
    assert found.text.count("。") == MOST_SENTENCES
    assert "第3句" not in found.text


def test_clauses_of_a_list_end_as_sentences():
    found = extract([Told(0, 0, "标间 200 元；", 0.9), Told(0, 1, "见“价目表”", 0.8)], 0.5, "zh")
    assert found is not None
    assert found.text == "标间 200 元。见“价目表”"
