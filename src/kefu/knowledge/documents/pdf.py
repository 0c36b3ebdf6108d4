"""PDF: lines as they stand on the page, headings by the size of their letters."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from ctypes import byref
from dataclasses import dataclass

import pypdfium2
from pypdfium2 import raw

from kefu.errors import InvalidFile
from kefu.knowledge.documents.blocks import Block, Document
from kefu.knowledge.documents.headings import LONGEST_HEADING, Line, blocks_of
from kefu.knowledge.documents.limits import MAX_CHARACTERS, MAX_PAGES
from kefu.knowledge.documents.sentences import clean

# Letters this much larger than those of most of the text are a heading's.
_HEADING_RATIO = 1.15
_MAX_LEVELS = 4
# Lines of a paragraph stand about 1.2 to 1.6 times their height apart.
_GAP_RATIO = 1.9
# Lines at the top and the bottom of a page that may be its header and footer.
_MARGIN_LINES = 2
_MIN_REPEATS = 3

_DIGITS = re.compile(r"\d+")
_PAGE_NUMBER = re.compile(
    r"[-–—\s]*(?:第\s*)?\d{1,4}\s*(?:页|/\s*\d{1,4})?(?:\s*[,，/]?\s*共\s*\d{1,4}\s*页)?[-–—\s]*"
    r"|page\s+\d{1,4}(?:\s+(?:of|/)\s+\d{1,4})?",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class _Printed:
    """A line on a page. `height` of its letters and `top` are in points."""

    text: str
    page: int
    top: float
    height: float


def read_pdf(content: bytes, name: str, title: str) -> Document:
    """The text of a PDF. Raises `InvalidFile` where it has none, or a password."""
    pdf = _open(content, name)
    if len(pdf) > MAX_PAGES:
        raise InvalidFile(
            f"{name} has {len(pdf):,} pages; {MAX_PAGES:,} are allowed. Part it into several files."
        )
    pages = _pages(pdf, name)
    if not any(pages):
        raise InvalidFile(
            f"{name} has no text: its pages are pictures. Run a text recognition (OCR) over it first."
        )
    return Document(title, tuple(_blocks(_without_margins(pages))), tuple(_notes(pages, name)))


def _open(content: bytes, name: str) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(content)
    except pypdfium2.PdfiumError as error:
        if raw.FPDF_GetLastError() == raw.FPDF_ERR_PASSWORD:
            raise InvalidFile(f"{name} is protected by a password. Save it without one.") from error
        raise InvalidFile(f"{name} is no PDF, or a damaged one. Save it anew.") from error


def _notes(pages: Sequence[Sequence[_Printed]], name: str) -> Iterator[str]:
    empty = [number for number, page in enumerate(pages, 1) if not page]
    if empty:
        some = ", ".join(map(str, empty[:10])) + (", ..." if len(empty) > 10 else "")
        yield f"{name}: no text on {len(empty)} of {len(pages)} pages ({some}). Pictures are not read."


def _pages(pdf: pypdfium2.PdfDocument, name: str) -> list[list[_Printed]]:
    pages: list[list[_Printed]] = []
    characters = 0
    for number in range(len(pdf)):
        lines = list(_lines(pdf, number))
        characters += sum(len(line.text) for line in lines)
        if characters > MAX_CHARACTERS:
            raise InvalidFile(
                f"{name} has more than {MAX_CHARACTERS:,} characters of text by page {number + 1}. "
                "Part it into several files."
            )
        pages.append(lines)
    return pages


def _lines(pdf: pypdfium2.PdfDocument, number: int) -> Iterator[_Printed]:
    page = pdf[number]
    text_page = page.get_textpage()
    try:
        for start, text in _runs(text_page):
            if cleaned := clean(text):
                top, height = _box(text_page, start)
                yield _Printed(cleaned.replace("\n", " "), number + 1, top, height)
    finally:
        text_page.close()
        page.close()


def _runs(text_page: pypdfium2.PdfTextPage) -> Iterator[tuple[int, str]]:
    """Each line with the number of its first letter that can be seen."""
    start = -1
    letters: list[str] = []
    for at in range(text_page.count_chars()):
        letter = chr(raw.FPDFText_GetUnicode(text_page, at))
        if letter in "\r\n":
            if letters:
                yield start, "".join(letters)
            start, letters = -1, []
            continue
        if start < 0 and not letter.isspace():
            start = at
        # So pdfium marks the hyphen of a word that it has put together from two lines.
        if letter not in "\x02\ufffe":
            letters.append(letter)
    if letters:
        yield start, "".join(letters)


def _box(text_page: pypdfium2.PdfTextPage, at: int) -> tuple[float, float]:
    box = raw.FS_RECTF()
    if at < 0 or not raw.FPDFText_GetLooseCharBox(text_page, at, byref(box)):
        return 0.0, 0.0
    return float(box.top), round(float(box.top - box.bottom), 1)


# --- what is no content --------------------------------------------------------------------------


def _without_margins(pages: Sequence[Sequence[_Printed]]) -> list[list[_Printed]]:
    """Pages without the headers and footers that most of them repeat, and without their numbers."""
    filled = sum(bool(page) for page in pages)
    seen = Counter(key for page in pages for key in {_key(line) for line in _margin(page)})
    # Of two pages both, of three all, of more a half: a sentence may stand on two of ten pages.
    needed = max(min(filled, _MIN_REPEATS), filled / 2, 2)
    repeated = {key for key, times in seen.items() if times >= needed}
    return [
        [line for line in page if not _is_margin(line, _margin(page), repeated)] for page in pages
    ]


def _margin(page: Sequence[_Printed]) -> list[_Printed]:
    return [*page[:_MARGIN_LINES], *page[-_MARGIN_LINES:]]


def _is_margin(line: _Printed, margin: Sequence[_Printed], repeated: set[str]) -> bool:
    is_known = _key(line) in repeated or _PAGE_NUMBER.fullmatch(line.text) is not None
    return is_known and any(line is other for other in margin)


def _key(line: _Printed) -> str:
    """Equal for "Page 3" and "Page 4"."""
    return _DIGITS.sub("#", line.text)


# --- what the lines are --------------------------------------------------------------------------


def _blocks(pages: Sequence[Sequence[_Printed]]) -> Iterator[Block]:
    lines = [line for page in pages for line in page]
    levels = _levels(lines)
    plain: list[Line] = []
    before: _Printed | None = None
    for line in lines:
        level = levels.get(line.height, 0)
        if level and len(line.text) <= LONGEST_HEADING * 2:
            yield from _plain_blocks(plain, levels)
            plain = []
            yield Block("heading", line.text, level, line.page)
        else:
            plain.append(Line(line.text, _is_alone(before, line), line.page))
        before = line
    yield from _plain_blocks(plain, levels)


def _plain_blocks(lines: Sequence[Line], levels: Mapping[float, int]) -> Iterator[Block]:
    """A short line that stands alone may be a cell or a caption: on a page only numbers tell."""
    return blocks_of(lines, alone_heads=False, below=max(levels.values(), default=0))


def _levels(lines: Sequence[_Printed]) -> dict[float, int]:
    """The heading level of each height of letters that is larger than the text's; {} for one size."""
    sizes: Counter[float] = Counter()
    for line in lines:
        sizes[line.height] += len(line.text)
    body = sizes.most_common(1)[0][0]
    larger = sorted((size for size in sizes if size > body * _HEADING_RATIO), reverse=True)
    return {size: min(number, _MAX_LEVELS) for number, size in enumerate(larger, 1)}


def _is_alone(before: _Printed | None, line: _Printed) -> bool:
    """Whether a gap parts a line from the one before. Paragraphs may go on over a page's end."""
    if before is None:
        return True
    if before.page != line.page:
        return before.text.endswith(("。", "！", "？", ".", "!", "?", "：", ":"))
    return abs(before.top - line.top) > _GAP_RATIO * max(line.height, before.height)
