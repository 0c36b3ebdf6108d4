"""Files are taken whole or not at all, with everything wrong said by line."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import pytest

from kefu.errors import InvalidFile
from kefu.knowledge.entry import MAX_ANSWER, MAX_QUESTION, Entry
from kefu.knowledge.importing import derived_id, read_entries, read_faq
from tests.knowledge.documents.making import workbook


def problems(text: str | bytes, name: str = "kb.csv") -> list[str]:
    content = text.encode() if isinstance(text, str) else text
    with pytest.raises(InvalidFile) as caught:
        read_entries(content, name)
    return [str(problem) for problem in caught.value.problems]


def test_csv_with_all_columns() -> None:
    text = (
        "id,question,answer,alternatives,tags,language\n"
        'r1,怎么退货？,"七天内,点退货",我要退货|退 货| ,售后|退货,zh\n'
    )
    assert read_entries(text.encode(), "kb.csv") == [
        Entry("r1", "怎么退货？", "七天内,点退货", ("我要退货", "退 货"), ("售后", "退货"), "zh")
    ]


def test_columns_in_any_order_with_a_bom_and_any_case() -> None:
    text = "\ufeffAnswer,ID,Question\nBy post.,a,How?\n"
    assert read_entries(text.encode(), "x.csv") == [Entry("a", "How?", "By post.", language="en")]


def test_chinese_headers_and_missing_ids() -> None:
    found = read_entries("问题,答案\n几点开门？,九点。\n".encode())
    assert found == [Entry(derived_id("几点开门"), "几点开门？", "九点。", language="zh")]
    assert found[0].id.startswith("q-")


@pytest.mark.parametrize("delimiter", [";", "\t", "，"])
def test_other_delimiters(delimiter: str) -> None:
    text = delimiter.join(["id", "question", "answer"]) + "\n" + delimiter.join(["a", "q", "b"])
    assert read_entries(text.encode())[0] == Entry("a", "q", "b", language="en")


def test_gb18030_is_read_with_a_note() -> None:
    notes: list[str] = []
    found = read_entries(
        "id,question,answer\na,几点开门,九点\n".encode("gb18030"), note=notes.append
    )
    assert found[0].question == "几点开门"
    assert "GB18030" in notes[0]


def test_utf16_of_excel() -> None:
    text = "id\tquestion\tanswer\r\na\t几点开门\t九点\r\n"
    assert read_entries(text.encode("utf-16"))[0].question == "几点开门"


def test_jsonl_with_lists_or_bars(tmp_path: Path) -> None:
    rows = [
        {"id": 7, "question": "怎么退货", "answer": "点退货", "alternatives": ["我要退货"]},
        {"id": "8", "question": "q", "answer": "a", "alternatives": "b|c", "tags": None},
    ]
    path = tmp_path / "kb.jsonl"
    path.write_text("\n\n".join(json.dumps(row) for row in rows), "utf-8")
    first, second = read_entries(path)
    assert (first.id, first.alternatives) == ("7", ("我要退货",))
    assert (second.alternatives, second.tags) == (("b", "c"), ())


def test_unknown_columns_are_noted_and_contradictions_too() -> None:
    notes: list[str] = []
    text = "id,question,answer,price\na,几点开门？,九点,1\nb,几点开门,十点,2\n"
    assert len(read_entries(text.encode(), note=notes.append)) == 2
    assert "'price'" in notes[0]
    assert "a and b answer" in notes[1]


def test_every_bad_row_is_named_by_its_first_line() -> None:
    text = (
        "id,question,answer,language\n"
        'ok,"two\nlines",fine,\n'
        ",no id,answer,\n"
        "a b,odd id,answer,\n"
        "ok,same id,answer,\n"
        "e,,,\n"
        "f,bad language,answer,fr\n"
        "g,too,many,zh,cells\n"
        "h,too few\n"
        "i,nul\x00,answer,\n"
        f"j,{'长' * (MAX_QUESTION + 1)},{'x' * (MAX_ANSWER + 1)},\n"
        "\n"
        f"{'k' * 129},question,answer,\n"
    )
    assert problems(text) == [
        "line 4, id: is empty",
        "line 5, id: 'a b' has characters other than letters, digits, Han, and _ . : -",
        "line 6, id: 'ok' was given on line 2 before",
        "line 7, question: is empty",
        "line 7, answer: is empty",
        "line 8, language: 'fr' is not zh, en or empty",
        "line 9, row: has 5 cells; the header has 4",
        "line 10, row: has 2 cells; the header has 4",
        "line 11, question: has a character that is not text (U+0000)",
        "line 12, question: has 501 characters; 500 are allowed",
        "line 12, answer: has 8001 characters; 8000 are allowed",
        "line 14, id: has 129 characters; 128 are allowed",
    ]


def test_bad_json_lines() -> None:
    text = '{"id": 1,\n[1]\n{"id": "a", "question": ["q"], "answer": {"b": 1}}\n'
    text += '{"id": "b", "question": ["q"], "answer": "a"}\n'
    text += '{"id": "c", "question": "\\ud800", "answer": "a"}\n'
    found = problems(text, "kb.jsonl")
    assert found[0].startswith("line 1, row: is not JSON")
    assert found[1:] == [
        "line 2, row: is not a JSON object",
        "line 3, row: 'answer' is neither a text nor a list of texts",
        "line 4, question: is a list where one text belongs",
        "line 4, question: is empty",
        "line 5, question: has a character that is not text (U+D800)",
    ]


def test_a_quote_left_open_does_not_swallow_the_file() -> None:
    text = 'id,question,answer\na,q,"open\nb,q,a\n'
    assert problems(text) == ["line 2, row: is not CSV from here on: unexpected end of data"]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (b"", "is empty"),
        (b" \n\n", "is empty"),
        (b"PK\x03\x04rest", "Excel workbook"),
        (b"\xd0\xcf\x11\xe0rest", "Excel workbook"),
        (b"%PDF-1.7", "PDF"),
        (bytes(range(256)) * 8, "not a text file|neither UTF-8"),
        (b"id,question\na,b\n", "no column answer"),
        (b"id,question,answer\n", "no entries"),
        (b'[{"id": 1}]', "one object a line"),
        (b"x" * (16 * 1024 * 1024 + 1), "larger than 16 MB"),
    ],
)
def test_what_is_no_table_gets_advice(content: bytes, says: str) -> None:
    with pytest.raises(InvalidFile, match=says):
        read_entries(content, "kb.csv")


def test_days_and_switches_are_read_as_spreadsheets_write_them() -> None:
    text = (
        "编号,问题,答案,启用,生效日期,有效期至\n"
        "a,甲,甲,否,2026-01-31,2026/2/1\n"
        "b,乙,乙,,,2026年12月31日\n"
        "c,丙,丙,TRUE,,\n"
    )
    first, second, third = read_entries(text.encode())
    assert (first.enabled, first.valid_from, first.valid_until) == (
        False,
        date(2026, 1, 31),
        date(2026, 2, 1),
    )
    assert (second.enabled, second.valid_until) == (True, date(2026, 12, 31))
    assert (third.enabled, third.valid_from) == (True, None)
    (row,) = read_entries(b'{"id": 1, "question": "q", "answer": "a", "enabled": false}', "a.jsonl")
    assert not row.enabled


def test_bad_days_and_switches_are_named() -> None:
    text = "id,question,answer,enabled,valid_from,valid_until\n"
    text += "a,q,a,maybe,2026-02-30,soon\nb,q,a,1,2026-02-02,2026-02-01\n"
    assert problems(text) == [
        "line 2, enabled: 'maybe' is neither yes nor no",
        "line 2, valid_from: '2026-02-30' is no day like 2026-01-31",
        "line 2, valid_until: 'soon' is no day like 2026-01-31",
        "line 3, valid_until: 2026-02-01 is before valid_from, 2026-02-02",
    ]


HEADER = ["编号", "问题", "答案", "标签"]


def test_each_sheet_of_a_workbook_that_is_a_table_is_read() -> None:
    notes: list[str] = []
    content = workbook(
        售后=[HEADER, ["a", "怎么退货", "点退货"]],
        说明=[["这里写说明"]],
        物流=[HEADER[:3], ["b", "多久到", 3]],
    )
    table = read_faq(content, "faq.xlsx", notes.append, "workbook")
    assert [(entry.id, entry.answer) for entry in table.entries] == [("a", "点退货"), ("b", "3")]
    assert table.columns == {"id", "question", "answer", "tags"}
    assert notes == ["Sheet '说明' was skipped: it has no column question and no answer."]


def test_problems_in_a_workbook_name_the_sheet() -> None:
    content = workbook(
        一=[HEADER, ["a", "问", "答"], [], ["b", "", "答"]], 二=[HEADER, ["a", "问", "答"]]
    )
    with pytest.raises(InvalidFile, match="2 lines cannot be taken") as caught:
        read_faq(content, "faq.xlsx", lambda _: None, "workbook")
    assert [str(problem) for problem in caught.value.problems] == [
        "line 2, 二!id: 'a' was given on line 2 of 一 before",
        "line 4, 一!question: is empty",
    ]
    with pytest.raises(InvalidFile, match="no sheet has the columns question and answer"):
        read_faq(workbook(x=[["a"]], y=[]), "faq.xlsx", lambda _: None, "workbook")


def test_a_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidFile, match="cannot be read"):
        read_entries(tmp_path / "none.csv")


def test_a_derived_id_survives_another_spelling() -> None:
    assert derived_id("How do I pay?") == derived_id("how do i  PAY")
    assert derived_id("怎么付款") != derived_id("怎么退款")
