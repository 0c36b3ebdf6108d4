from __future__ import annotations

from kefu.inference.models.e5.layout import READER_TOKENS
from kefu.paraphrase.pieces import BEGIN, END, Pieces
from kefu.reading.rows import MOST_TOKENS_OF_QUESTION, row_of

LETTERS = "abcdefghij"
PIECES = Pieces(["<s>", "<pad>", "</s>", "<unk>", "▁", *LETTERS], [0.0] * (5 + len(LETTERS)))


def text(ids: tuple[int, ...]) -> str:
    names = {BEGIN: "<", END: "|"}
    return "".join(names.get(number) or PIECES.piece(number) for number in ids).replace("▁", "")


def test_a_question_and_a_passage_by_sentences():
    row = row_of("ab", "", "c", ["de", "f"], PIECES)
    assert text(row.ids) == "<ab|c|de|f|"
    assert [text(row.ids[begin:end]) for begin, end in row.places] == ["|de", "|f"]


def test_the_question_before_comes_first_and_titles_may_be_missing():
    assert text(row_of("a", "b", "", ["c"], PIECES).ids) == "<b|a|c|"


def test_a_long_passage_is_read_as_far_as_there_is_room():
    row = row_of("a", "", "", ["b" * 300, "c" * 300, "d"], PIECES)
    assert len(row.ids) == READER_TOKENS
    assert row.ids[-1] == END
    assert len(row.places) == 2
    assert row.places[-1][1] == READER_TOKENS - 1


def test_a_long_question_leaves_room_for_the_passage():
    row = row_of("a" * 900, "b" * 900, "c" * 900, ["d"], PIECES)
    assert row.places[0][0] <= 3 * (MOST_TOKENS_OF_QUESTION + 1)
    assert text(row.ids).endswith("|d|")


def test_a_passage_without_a_word():
    row = row_of("a", "", "", [""], PIECES)
    assert len(row.places) == 1
    assert row.places[0][0] < row.places[0][1]
