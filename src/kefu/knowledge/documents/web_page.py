"""Web pages: the main content, without navigation, scripts and forms."""

from __future__ import annotations

import codecs
import re
from collections.abc import Iterator

from selectolax.lexbor import LexborHTMLParser, LexborNode

from kefu.errors import InvalidFile
from kefu.knowledge.documents.blocks import SMALLEST_LEVEL, Block, Document
from kefu.knowledge.documents.limits import MAX_NESTING
from kefu.knowledge.documents.rows import labelled_row
from kefu.knowledge.documents.sentences import clean
from kefu.language import CJK
from kefu.tables import read_text

_DROPPED = (
    "script, style, noscript, template, nav, footer, aside, form, iframe, object, svg, canvas, "
    "button, select, textarea, input, dialog, head, [hidden], [aria-hidden=true], "
    "[role=navigation], [role=banner], [role=contentinfo], [role=search], [role=dialog]"
)
_MAIN = ("main", "[role=main]", "article")

_HEADINGS = {f"h{level}": level for level in range(1, 7)}
# What a list of terms or a part that opens is headed by.
_SMALL_HEADINGS = frozenset({"dt", "summary"})
_SMALL_SECTIONS = frozenset({"dl", "details"})
_INLINE_TAGS = (
    "a abbr b bdi bdo big cite code data del dfn em font i img ins kbd label mark q ruby rb rp rt "
    "s samp small span strike strong sub sup time tt u var wbr"
)
# Elements that the parser closes by itself, so that many may be open and none is deep.
_CLOSING_TAGS = (
    "p li dt dd tr td th thead tbody tfoot option optgroup rp rt colgroup html head body "
    "area base br col embed hr img input link meta param source track wbr"
)
_INLINE = frozenset(_INLINE_TAGS.split())
_CLOSED_BY_OTHERS = frozenset(_CLOSING_TAGS.split())
_TAG = re.compile(r"<(/?)([a-zA-Z][a-zA-Z0-9]*)")
_SPACE = re.compile(r"\s+")
# A line break in the source between two Chinese characters is none of the text's.
_WRAP = re.compile(rf"(?<=[{CJK}，。；：！？、])\s*\n\s*(?=[{CJK}])")
_CHARSET = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([\w-]{1,40})", re.IGNORECASE)


def read_web_page(content: bytes, name: str, title: str) -> Document:
    notes: list[str] = []
    text = _decode(content, name, notes)
    page = _parse(text, name)
    heading = page.css_first("title")
    own_title = clean(heading.text()).replace("\n", " ") if heading else ""
    return Document(own_title or title, tuple(_main_blocks(page)), tuple(notes))


def blocks_of_html(text: str, name: str) -> Iterator[Block]:
    """The blocks of a text that is nothing but content."""
    page = _parse(text, name)
    page.strip_tags(["script", "style", "template"])
    if page.body:
        yield from _Walk().blocks(page.body)


def _decode(content: bytes, name: str, notes: list[str]) -> str:
    """UTF-8 where it is that, else as the page says, else as for any text."""
    declared = _CHARSET.search(content[:4096])
    try:
        content.decode("utf-8-sig")
    except UnicodeDecodeError:
        if declared and (text := _decode_as(declared.group(1).decode("ascii"), content)):
            return text
    return read_text(content, name, notes.append)


def _decode_as(charset: str, content: bytes) -> str:
    """GB2312 is what pages say that mean GB18030. "" where the name or the bytes do not fit."""
    named = "gb18030" if charset.lower() in ("gb2312", "gbk") else charset
    try:
        return content.decode(codecs.lookup(named).name)
    except (LookupError, UnicodeDecodeError):
        return ""


def _parse(text: str, name: str) -> LexborHTMLParser:
    """The parser's time grows with the square of the nesting, so that is looked at first."""
    if _depth(text) > MAX_NESTING:
        raise InvalidFile(
            f"{name} has more than {MAX_NESTING:,} elements inside each other. No page that a "
            "person wrote has; save it again as plain text."
        )
    return LexborHTMLParser(text)


def _depth(text: str) -> int:
    """How many elements are open at most, by their tags."""
    depth = deepest = at = 0
    while tag := _TAG.search(text, at):
        at = tag.end()
        name = tag.group(2).lower()
        if name in _CLOSED_BY_OTHERS:
            continue
        if tag.group(1):
            depth = max(0, depth - 1)
            continue
        if name in ("script", "style"):  # what is written in them is no element
            end = text.find(f"</{tag.group(2)}", at)
            at = end if end >= 0 else len(text)
        depth += 1
        deepest = max(deepest, depth)
    return deepest


def _main_blocks(page: LexborHTMLParser) -> Iterator[Block]:
    for node in page.css(_DROPPED):
        node.decompose()
    main = _main(page)
    if main is None:
        return
    for node in page.css("body > header, body > div > header"):
        if not node.css_first("h1"):
            node.decompose()
    yield from _Walk().blocks(main)


def _main(page: LexborHTMLParser) -> LexborNode | None:
    """Where the page says that its content is; its body where it does not, or says it twice."""
    for selector in _MAIN:
        found = page.css(selector)
        if len(found) == 1 and found[0].text(strip=True):
            return found[0]
    return page.body


class _Walk:
    """One pass over the elements in their order, without recursion: pages may be deep."""

    def __init__(self) -> None:
        self._text: list[str] = []
        self._items = 0
        self._preformatted = 0
        # One for each open table: whether it holds data, and not the page's layout.
        self._tables: list[bool] = []
        self._header: list[str] = []
        self._cells: list[str] = []
        self._has_values = False

    def blocks(self, root: LexborNode) -> Iterator[Block]:
        stack: list[tuple[LexborNode, bool]] = [(root, True)]
        while stack:
            node, enters = stack.pop()
            tag = str(node.tag)
            if tag == "-text":
                self._take(node.text_content or "")
            elif tag == "br":
                self._text.append("\n")
            elif enters:
                yield from self._enter(node, tag)
                stack.append((node, False))
                _push_children(stack, node)
            else:
                yield from self._leave(tag)
        yield from self._flush()

    def _take(self, text: str) -> None:
        if not self._preformatted:
            text = _SPACE.sub(" ", _WRAP.sub("", text))
        self._text.append(text)

    def _enter(self, node: LexborNode, tag: str) -> Iterator[Block]:
        if tag in _INLINE:
            return
        if not self._in_data:
            yield from self._flush()
        self._items += tag == "li"
        self._preformatted += tag == "pre"
        if tag == "table":
            self._tables.append(_is_data(node))
            self._header = []
        elif tag == "tr":
            self._cells, self._has_values = [], False
        elif tag in ("td", "th"):
            self._has_values |= tag == "td"
        elif self._in_data:
            self._text.append("\n")

    def _leave(self, tag: str) -> Iterator[Block]:
        if tag in _INLINE:
            return
        if self._in_data and tag in ("td", "th"):
            self._cells.append(self._taken())
        elif self._in_data and tag == "tr":
            yield from self._row()
        elif tag == "table":
            self._tables.pop()
        elif not self._in_data or tag == "caption":
            yield from self._flush(tag)
        self._items -= tag == "li"
        self._preformatted -= tag == "pre"
        if tag in _SMALL_SECTIONS:
            yield Block("heading", "", SMALLEST_LEVEL)

    @property
    def _in_data(self) -> bool:
        return bool(self._tables) and self._tables[-1]

    def _row(self) -> Iterator[Block]:
        if not self._has_values and not self._header:
            self._header = self._cells
        elif row := labelled_row(self._header, self._cells):
            yield Block("row", row)

    def _flush(self, tag: str = "") -> Iterator[Block]:
        """The text since the last block, as what the element that ends with it makes of it."""
        text = self._taken()
        if not text:
            return
        if tag in _HEADINGS:
            yield Block("heading", text, _HEADINGS[tag])
        elif tag in _SMALL_HEADINGS:
            yield Block("heading", text, SMALLEST_LEVEL)
        else:
            yield Block("item" if self._items else "paragraph", text)

    def _taken(self) -> str:
        text = clean("".join(self._text))
        self._text = []
        return text


def _push_children(stack: list[tuple[LexborNode, bool]], node: LexborNode) -> None:
    child = node.last_child
    while child is not None:
        if not str(child.tag).startswith("-") or child.tag == "-text":
            stack.append((child, True))
        child = child.prev


def _is_data(table: LexborNode) -> bool:
    """Tables hold data, unless other structure stands in them: then they lay out a page."""
    return all(
        found.mem_id == table.mem_id
        for found in table.css("table, h1, h2, h3, h4, ul, ol, details")
    )
