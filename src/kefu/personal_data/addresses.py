"""Addresses of persons, guessed from how they are written: streets with a number, flats, e-mail."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kefu.language import CJK
from kefu.personal_data.details import Kind, PersonalData

_HAN = f"[{CJK}]"

# --- e-mail --------------------------------------------------------------------------------------

# Bounded on both sides, so that no text makes the search slow.
_EMAIL = re.compile(
    r"(?<![A-Za-z0-9._%+-])[A-Za-z0-9._%+-]{1,64} ?@ ?(?:[A-Za-z0-9-]{1,63}\.){1,6}[A-Za-z]{2,24}"
    r"(?![A-Za-z0-9])"
)


def find_emails(text: str) -> Iterator[PersonalData]:
    if "@" in text:
        for found in _EMAIL.finditer(text):
            yield PersonalData(found.start(), found.end(), Kind.EMAIL)


# --- Chinese addresses ---------------------------------------------------------------------------

_MUNICIPALITIES = "北京|上海|天津|重庆"
_PROVINCES = (
    "河北|山西|辽宁|吉林|黑龙江|江苏|浙江|安徽|福建|江西|山东|河南|湖北|湖南|广东|海南|四川|贵州|云南|陕西|甘肃|"
    "青海|台湾|内蒙古|广西|西藏|宁夏|新疆|香港|澳门"
)
_PROVINCE = rf"(?:(?:{_PROVINCES})(?:省|(?:壮族|回族|维吾尔)?自治区|特别行政区)?)"

# A street or a village with a number is an address; so is a flat in a numbered house; so is a
# street below province, city and district. What begins like a street and is none stands before.
_ANCHORS = (
    re.compile(
        rf"{_HAN}(?:(?<![思线电套网公铁道])路|(?<!逛)街|大道|巷|弄|胡同|村)[东南西北中]?(?:段|支路)?\s?"
        r"\d{1,5}\s?(?:号(?!线|车|门店|出口)|弄|巷|栋|幢)"
    ),
    re.compile(
        r"(?<!\d)\d{1,4}\s?(?:号楼|号院|栋|幢|座)\s?(?:[A-Za-z一二三四五六七八九十\d]{1,3}\s?(?:单元|座|门|层|楼))?\s?"
        r"\d{2,5}(?:\s?室|\s?号房|\s?户|(?!\d|[元块折件个天]))"
    ),
    re.compile(r"(?<!\d)\d{1,3}\s?单元\s?\d{2,5}"),
    re.compile(
        rf"(?:市|自治州|盟|{_MUNICIPALITIES}){_HAN}{{1,6}}?(?:区|县|旗|市){_HAN}{{1,12}}?"
        rf"(?:街道|小区|花园|公寓|新村|镇|乡|村|路|街|巷|胡同|弄)(?!{_HAN}{{0,2}}(?:店|站))"
    ),
)
# Most texts have none of these and need no further look.
_CANDIDATE = re.compile(r"[路街道巷弄胡村楼院栋幢座元镇乡园寓]")
_TAIL = re.compile(
    rf"(?:[\s，,]?{_HAN}{{0,12}}?[A-Za-z\d]{{1,5}}\s?(?:号楼|号院|号|弄|栋|幢|座|单元|层|楼|室|房|户))*"
)
_HEAD = re.compile(rf"[{CJK}A-Za-z\d · ]*$")
_LONGEST_HEAD = 40
# What an address follows in a sentence; after the last of these it begins.
_LEAD = re.compile(
    r".*(?:住在|住址?|地址|寄[到往给至]|送[到往去至]|发[到往给至]|搬[到去]|位于|改[成为到]|换[成到]|填[成的]?|[是在到往给为至])"
    r"(?:是|为|了)?\s?"
)
_FROM_PROVINCE = re.compile(rf"{_MUNICIPALITIES}|{_PROVINCE}")

# --- English addresses ---------------------------------------------------------------------------

_NAMED = r"(?:[NSEW]\.? |North |South |East |West )?(?:(?:[A-Z][A-Za-z'.-]{0,20}|\d{1,3}(?:st|nd|rd|th)) ){1,4}"
_REST = (
    r"(?:,? ?(?:Apt|Apartment|Suite|Ste|Unit|Flat|Floor|#)\.? ?#?\w{1,6})?"
    r"(?:, ?[A-Z][a-z.'-]{1,20}(?: [A-Z][a-z.'-]{1,20}){0,2}(?:, ?[A-Z]{2})?(?: \d{5}(?:-\d{4})?)?)?"
)
_ENGLISH = (
    re.compile(
        rf"(?<![\w.$€£#-])\d{{1,5}}[A-Za-z]?,? {_NAMED}"
        rf"(?:Street|St|Road|Rd|Avenue|Ave|Boulevard|Blvd|Terrace|Crescent|Close)\b\.?{_REST}"
    ),
    # Also other things: 2 Flash Drive.
    re.compile(
        rf"(?<![\w.$€£#-])\d{{2,5}}[A-Za-z]?,? {_NAMED}"
        rf"(?:Lane|Ln|Drive|Dr|Court|Ct|Way|Place|Pl|Square|Parkway|Pkwy|Highway|Hwy)\b\.?{_REST}"
    ),
    re.compile(r"\bP\.? ?O\.? ?[Bb]ox:? ?\d{1,6}"),
)


def find_addresses(text: str) -> Iterator[PersonalData]:
    """Places where somebody lives or wants a parcel. A city or a district alone is none."""
    for pattern in _ANCHORS if _CANDIDATE.search(text) else ():
        at = 0
        while found := pattern.search(text, at):
            at = _end_of(text, found.end())
            yield PersonalData(_start_of(text, found.start()), at, Kind.ADDRESS)
    for pattern in _ENGLISH:
        for found in pattern.finditer(text):
            yield PersonalData(found.start(), found.end(), Kind.ADDRESS)


def _end_of(text: str, anchor: int) -> int:
    tail = _TAIL.match(text, anchor)
    return tail.end() if tail else anchor


def _start_of(text: str, anchor: int) -> int:
    """Where the address begins whose street or house is at `anchor`: with its province, else after
    the words that lead to it."""
    window = max(0, anchor - _LONGEST_HEAD)
    head = _HEAD.search(text, window, anchor + 1)
    first = head.start() if head else anchor
    if province := _FROM_PROVINCE.search(text, first, anchor + 2):
        return min(province.start(), anchor)
    lead = _LEAD.match(text, first, anchor)
    return lead.end() if lead else first


_KEPT = re.compile(
    rf"(?:{_MUNICIPALITIES})市?|{_PROVINCE}?(?:(?!{_HAN}{{0,3}}区){_HAN}{{2,5}}?(?:市|自治州|盟))?"
)


def region_of(address: str) -> str:
    """The province and city that an address begins with, "" where it has none."""
    found = _KEPT.match(address)
    return found.group() if found else ""
