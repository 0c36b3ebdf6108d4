"""Documents and bombs, written here so that no file of a stranger lies in the repository."""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from io import BytesIO

import docx
import openpyxl

Line = tuple[float, str]


def pdf(pages: Sequence[Sequence[Line]], *, gaps: float = 1.5) -> bytes:
    """A PDF with a line for each (size of its letters, text); "" is an empty line.

    Its one font has no shapes, only the table that says which letter each code is.
    """
    objects = [b"<< /Type /Catalog /Pages 2 0 R >>", b"", *_font()]
    kids = []
    for page in pages:
        stream = "\n".join(_shown(page, gaps)).encode()
        objects.append(b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream))
        content = len(objects)
        objects.append(
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> >>" % content
        )
        kids.append(b"%d 0 R" % len(objects))
    objects[1] = b"<< /Type /Pages /Count %d /Kids [%s] >>" % (len(kids), b" ".join(kids))
    return _assembled(objects)


def _font() -> list[bytes]:
    cmap = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /U def\n"
        b"1 begincodespacerange <0000> <FFFF> endcodespacerange\n"
        b"1 beginbfrange <0000> <FFFF> <0000> endbfrange\n"
        b"endcmap CMapName currentdict /CMap defineresource pop end end"
    )
    return [
        b"<< /Type /Font /Subtype /Type0 /BaseFont /None /Encoding /Identity-H "
        b"/DescendantFonts [4 0 R] /ToUnicode 6 0 R >>",
        b"<< /Type /Font /Subtype /CIDFontType2 /BaseFont /None /DW 500 /CIDSystemInfo "
        b"<< /Registry (Adobe) /Ordering (Identity) /Supplement 0 >> /FontDescriptor 5 0 R >>",
        b"<< /Type /FontDescriptor /FontName /None /Flags 4 /FontBBox [0 -200 1000 800] "
        b"/ItalicAngle 0 /Ascent 800 /Descent -200 /CapHeight 700 /StemV 80 >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(cmap), cmap),
    ]


def _shown(lines: Sequence[Line], gaps: float) -> list[str]:
    shown, y = [], 800.0
    for size, text in lines:
        code = text.encode("utf-16-be").hex()
        shown.append(f"BT /F1 {size} Tf 1 0 0 1 50 {y:.1f} Tm <{code}> Tj ET")
        y -= gaps * size
    return shown


def _assembled(objects: Sequence[bytes]) -> bytes:
    out = BytesIO()
    out.write(b"%PDF-1.4\n")
    places = []
    for number, body in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (number, body))
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    out.write(b"".join(b"%010d 00000 n \n" % place for place in places))
    out.write(b"trailer << /Size %d /Root 1 0 R >>\n" % (len(objects) + 1))
    out.write(b"startxref\n%d\n%%%%EOF" % start)
    return out.getvalue()


def pdf_of_many_pages(count: int) -> bytes:
    """One page, named `count` times: small, and nothing tells it from a real book."""
    kids = b"4 0 R " * count
    return _assembled(
        [
            b"<< /Type /Catalog /Pages 2 0 R >>",
            b"<< /Type /Pages /Count %d /Kids [%s] >>" % (count, kids),
            b"<< >>",
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 100 100] >>",
        ]
    )


def word(*parts: tuple[str, str]) -> bytes:
    """A Word document of (style, text); the style "table" has rows parted by / and cells by |."""
    document = docx.Document()
    for style, text in parts:
        if style == "table":
            rows = [row.split("|") for row in text.split("/")]
            table = document.add_table(len(rows), len(rows[0]))
            for row, cells in zip(table.rows, rows, strict=True):
                for cell, value in zip(row.cells, cells, strict=True):
                    cell.text = value
        elif style == "bold":
            document.add_paragraph().add_run(text).bold = True
        else:
            document.add_paragraph(text, style=style)
    return _saved(document)


def workbook(**sheets: Sequence[Sequence[object]]) -> bytes:
    book = openpyxl.Workbook()
    book.remove(book.active)
    for name, rows in sheets.items():
        sheet = book.create_sheet(name)
        for row in rows:
            sheet.append(list(row))
    return _saved(book)


def _saved(document: object) -> bytes:
    out = BytesIO()
    document.save(out)
    return out.getvalue()


def with_part(office: bytes, name: str, content: bytes) -> bytes:
    """An Office file with one of its parts replaced, or one more."""
    out = BytesIO()
    with (
        zipfile.ZipFile(BytesIO(office)) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new,
    ):
        for part in old.namelist():
            if part != name:
                new.writestr(part, old.read(part))
        new.writestr(name, content)
    return out.getvalue()
