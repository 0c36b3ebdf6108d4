"""Word documents, workbooks, and the archives that both are."""

from __future__ import annotations

import zipfile
from datetime import date, datetime
from io import BytesIO

import pytest

from kefu.errors import InvalidFile
from kefu.knowledge.documents.archive import check_archive
from kefu.knowledge.documents.chunking import chunks_of
from kefu.knowledge.documents.word import read_word
from kefu.knowledge.documents.workbook import read_workbook
from tests.knowledge.documents.making import with_part, word, workbook


def chunks(content: bytes) -> list[tuple[str, str, str]]:
    document = read_word(content, "a.docx", "手册")
    return [(chunk.kind, chunk.question, chunk.text) for chunk in chunks_of(document, "a.docx")]


def test_styles_of_word_are_headings_and_lists() -> None:
    content = word(
        ("Title", "售后手册"),
        ("Heading 1", "退货"),
        ("Normal", "七天内可退。"),
        ("Heading 2", "运费"),
        ("Normal", "运费如下："),
        ("List Bullet", "普通件 8 元"),
        ("List Number", "大件 20 元"),
        ("table", "尺码|胸围|腰围/M|90|70"),
        ("Heading 2", "怎么退货"),
        ("Normal", "点退货。"),
    )
    assert chunks(content) == [
        ("passage", "退货", "七天内可退。"),
        (
            "passage",
            "退货 > 运费",
            "运费如下：\n普通件 8 元\n大件 20 元\n尺码：M；胸围：90；腰围：70",
        ),
        ("faq", "怎么退货", "点退货。"),
    ]


def test_a_document_without_styles_is_cut_by_numbers_and_bold_lines() -> None:
    content = word(
        ("bold", "售后说明"),
        ("Normal", "一、退货"),
        ("Normal", "七天内可退，这一段没有句号，但是它很长，长得像是被折断的一行文字一样"),
        ("Normal", "第二段"),
        ("Normal", "二、换货"),
        ("Normal", "十五天内可换。"),
    )
    assert chunks(content) == [
        (
            "passage",
            "售后说明 > 退货",
            "七天内可退，这一段没有句号，但是它很长，长得像是被折断的一行文字一样\n第二段",
        ),
        ("passage", "售后说明 > 换货", "十五天内可换。"),
    ]


def test_a_table_of_names_and_values_has_no_header() -> None:
    assert chunks(word(("Heading 1", "参数"), ("table", "保修期|一年/重量|2 kg"))) == [
        ("passage", "参数", "保修期；一年\n重量；2 kg")
    ]


def test_cells_are_texts_as_the_sheet_shows_them() -> None:
    rows = [
        ["问题", "答案", None],
        ["几点开门", 9.0, True],
        [None, None],
        [date(2026, 1, 2), datetime(2026, 1, 2, 8, 30), 1.5],
    ]
    (sheet,) = read_workbook(workbook(FAQ=rows), "a.xlsx")
    assert (sheet.name, sheet.is_hidden) == ("FAQ", False)
    assert list(sheet.rows) == [
        (1, ["问题", "答案"]),
        (2, ["几点开门", "9", "true"]),
        (4, ["2026-01-02", "2026-01-02 08:30:00", "1.5"]),
    ]


def test_a_sheet_that_lies_about_its_size_is_read_as_it_is() -> None:
    content = workbook(FAQ=[["a"]])
    name = "xl/worksheets/sheet1.xml"
    with zipfile.ZipFile(BytesIO(content)) as archive:
        xml = archive.read(name).replace(b'ref="A1:A1"', b'ref="A1:XFD1048576"')
    assert b"XFD1048576" in xml
    (sheet,) = read_workbook(with_part(content, name, xml), "a.xlsx")
    assert list(sheet.rows) == [(1, ["a"])]


def test_one_office_file_is_not_the_other() -> None:
    with pytest.raises(InvalidFile, match="no Word document"):
        read_word(workbook(a=[["x"]]), "a.docx", "a")
    with pytest.raises(InvalidFile, match="no Excel workbook"):
        read_workbook(word(("Normal", "x")), "a.xlsx")


# --- bombs ---------------------------------------------------------------------------------------


def archive(*parts: tuple[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    out = BytesIO()
    with zipfile.ZipFile(out, "w", compression) as made:
        for name, content in parts:
            made.writestr(name, content)
    return out.getvalue()


def refused(content: bytes, says: str) -> None:
    with pytest.raises(InvalidFile, match=says):
        check_archive(content, "a.docx")


def test_an_archive_that_unpacks_to_too_much() -> None:
    refused(archive(("a.xml", bytes(300 << 20))), "unpacks to 300 MB; 256 MB are allowed")
    refused(archive(("a.xml", bytes(20 << 20))), "more than 300 times its size")
    refused(archive(*((f"{n}.xml", b"") for n in range(5_001))), "5,001 parts; 5,000 are allowed")


def test_a_part_is_no_larger_than_the_archive_says() -> None:
    content = archive(("a.xml", bytes(1 << 20)))
    lying = content.replace((1 << 20).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lying != content
    refused(lying, "is damaged")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16-le", "utf-16-be"])
def test_xml_that_declares_entities_is_refused_unread(encoding: str) -> None:
    xml = '<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "ha"><!ENTITY c "&b;&b;">]><a>&c;</a>'
    bomb = with_part(word(("Normal", "x")), "word/document.xml", xml.encode(encoding))
    with pytest.raises(InvalidFile, match=r"declares XML entities in 'word/document\.xml'"):
        read_word(bomb, "a.docx", "a")
    bomb = with_part(workbook(a=[["x"]]), "xl/sharedStrings.xml", xml.encode(encoding))
    with pytest.raises(InvalidFile, match="declares XML entities"):
        read_workbook(bomb, "a.xlsx")


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 torn", word(("Normal", "x"))[:2_000]])
def test_damaged_archives(content: bytes) -> None:
    refused(content, "is damaged, or no Office file")


def test_files_with_a_password_say_so() -> None:
    refused(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1 rest", "password")
