"""Files of labelled messages: what is taken, and everything that is wrong with them by line."""

from __future__ import annotations

import pytest

from kefu.errors import InvalidFile
from kefu.moderation.categories import Category
from kefu.moderation.examples import Example, digest, read_examples

GOOD = "text,label,category\n加我微信领红包,1,advertising\n店里有优惠券吗,0,advertising\n几点关门,0,\n你真蠢,1,\n"


def read(
    text: str, name: str = "m.csv", *, lenient: bool = False
) -> tuple[list[Example], list[str]]:
    notes: list[str] = []
    found = read_examples(text.encode(), name, note=notes.append, lenient=lenient)
    return found, notes


def test_rows_say_what_is_bad_and_what_it_could_be_taken_for():
    found, notes = read(GOOD)
    assert [(e.is_bad, e.category, e.line) for e in found] == [
        (True, Category.ADVERTISING, 2),
        (False, Category.ADVERTISING, 3),
        (False, None, 4),
        (True, Category.ABUSE, 5),
    ]
    assert notes == []


def test_json_lines_and_chinese_headers():
    found, _ = read('{"text": "你真蠢", "label": 1}\n{"text": "几点关门", "label": "0"}', "m.jsonl")
    assert [e.is_bad for e in found] == [True, False]
    found, _ = read("文本,标签,类别\n来赌一把,1,Gambling\n")
    assert found[0].category is Category.GAMBLING


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        (",1,abuse", "line 2, text: is empty"),
        ("a,yes,abuse", "line 2, label: is 'yes'; write 1 for bad, 0 for innocent"),
        ("a,1,politics", "line 2, category: is 'politics'; known are abuse, adult"),
        ("a,1,personal_data", "line 2, category: is 'personal_data'"),
        ("a\x00b,1,abuse", "line 2, text: has a character that is not text (U+0000)"),
        ("x" * 4001 + ",1,abuse", "line 2, text: has 4001 characters; 4000 are allowed"),
        ("a,1", "line 2, row: has 2 cells"),
    ],
)
def test_a_bad_row_stops_everything(row: str, problem: str):
    with pytest.raises(InvalidFile, match="1 line cannot be taken") as caught:
        read(f"text,label,category\n{row}\n几点关门,0,\n")
    assert str(caught.value.problems[0]).startswith(problem)


def test_bad_rows_are_left_out_where_that_is_wanted():
    found, notes = read("text,label\n,1\n几点关门,0\n你真蠢,2\n", lenient=True)
    assert [e.text for e in found] == ["几点关门"]
    assert notes[0] == "2 rows were left out:"
    assert "line 4, label" in notes[2]


def test_a_text_with_two_labels_is_a_problem_on_both_lines():
    with pytest.raises(InvalidFile, match="2 lines") as caught:
        read("text,label,category\n抽奖,0,gambling\n几点关门,0,\n抽奖,1,gambling\n")
    assert [problem.line for problem in caught.value.problems] == [2, 4]
    assert "0 gambling, but in line 4 it is 1 gambling" in str(caught.value.problems[0])


def test_repeated_rows_count_once():
    found, notes = read("text,label\n几点关门,0\n几点关门,0\n")
    assert [e.line for e in found] == [2]
    assert notes == ["1 repeated rows count once."]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "is empty"),
        ("text,label\n", "no examples"),
        ("text,category\na,abuse\n", "no column label"),
    ],
)
def test_a_file_without_examples(text: str, said: str):
    with pytest.raises(InvalidFile, match=said):
        read(text)


def test_the_digest_is_of_what_is_said_and_not_of_the_file():
    found, _ = read(GOOD)
    assert digest(found) == digest(found[::-1])
    assert digest(found) != digest(found[1:])
