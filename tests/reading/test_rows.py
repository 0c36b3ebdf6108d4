from __future__ import annotations

from kefu.inference.models.e5.layout import READER_TOKENS
from kefu.paraphrase.pieces import BEGIN, END, Pieces
from kefu.reading.rows import MOST_TOKENS_OF_QUESTION, Passage, Row, rows_of

LETTERS = "abcdefghij"
SIGNS = ["<s>", "<pad>", "</s>", "<unk>", "▁", *LETTERS, "。"]
PIECES = Pieces(SIGNS, [0.0] * len(SIGNS))


def rows(question: str, before: str, *passages: tuple[str, str]) -> list[Row]:
    return [*rows_of(question, before, [Passage(*one) for one in passages], PIECES)]


def text(ids: tuple[int, ...]) -> str:
    names = {BEGIN: "<", END: "|"}
    return "".join(names.get(number) or PIECES.piece(number) for number in ids).replace("▁", "")


def test_a_question_and_passages_by_sentences():
    (row,) = rows("ab", "", ("c", "de。f"), ("g", "h"))
    assert text(row.ids) == "<ab|c|de。|f|g|h|"
    assert [text(row.ids[place.begin : place.end]) for place in row.places] == ["de。|", "f|", "h|"]
    assert [(place.passage, place.number) for place in row.places] == [(0, 0), (0, 1), (1, 0)]


def test_the_question_before_comes_first_and_titles_may_be_missing():
    (row,) = rows("a", "b", ("", "c"))
    assert text(row.ids) == "<b|a|c|"


def test_passages_that_do_not_fit_beside_each_other_are_read_in_another_row():
    first, second = rows("a", "", ("", "b" * 250), ("", "c" * 250), ("", "d"))
    assert text(first.ids) == f"<a|{'b' * 250}|"
    assert text(second.ids) == f"<a|{'c' * 250}|d|"
    assert [place.passage for place in second.places] == [1, 2]


def test_a_passage_that_is_too_long_is_read_as_far_as_there_is_room():
    (row,) = rows("a", "", ("", f"{'b' * 150}。{'c' * 300}。d。"))
    assert len(row.ids) == READER_TOKENS
    assert [place.number for place in row.places] == [0, 1]
    assert row.places[-1].end == READER_TOKENS


def test_a_long_question_leaves_room_for_the_passage():
    (row,) = rows("a" * 900, "b" * 900, ("c" * 900, "d"))
    assert row.places[0].begin <= 1 + 3 * (MOST_TOKENS_OF_QUESTION + 1)
    assert text(row.ids).endswith("|d|")


def test_nothing_to_read():
    assert rows("a", "") == []
