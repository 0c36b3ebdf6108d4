"""Telephone numbers, told from the numbers of orders and things."""

from __future__ import annotations

import re
from collections.abc import Iterator

from kefu.personal_data.beside import ORDERED, Label, label_of, stands_alone
from kefu.personal_data.details import Kind, PersonalData

_COUNTRY = r"(?:(?:\+|00)?\(?\+?86\)?[ -]{0,2})?"
_MOBILE = re.compile(
    rf"(?<!\d){_COUNTRY}(?:"
    r"1[3-9]\d(?P<gap>[ .-]?| - )\d{4}(?P=gap)\d{4}|"  # 138 1234 5678, and in one piece
    r"1[3-9]\d{2}(?P<gap2>[ .-])\d{3}(?P=gap2)\d{4}|"  # 1381 234 5678
    r"1[3-9]\d(?P<gap3>[ .-])\d{3}(?P=gap3)\d{5}|"
    r"1[3-9]\d[ -]\d{8}|"
    r"1(?P<gap4>[ .-])[3-9](?:(?P=gap4)\d){9}"  # every digit by itself
    r")(?!\d)"
)
_AREA = r"(?:10|2[0-57-9]|[3-9]\d\d)"
_PHONES = (
    # (010) 1234 5678, 021-5888-7777, 0571 8888666
    re.compile(
        rf"(?<!\d)(?:\+?86[ -]?|\(\+?86\)[ -]?)?\(?0{_AREA}(?:\)[ -]?| ?- ?| )[2-9]\d{{2,3}}[ -]?\d{{4}}(?!\d)"
    ),
    re.compile(rf"(?<!\d)\+?86[ -]?{_AREA}[ -][2-9]\d{{2,3}}[ -]?\d{{4}}(?!\d)"),
    re.compile(r"\+(?!86)[1-9]\d{0,2}[ .-]?\(?\d{1,4}\)?(?:[ .-]?\d{2,4}){2,4}(?!\d)"),
    re.compile(r"(?<!\d)\(\d{3}\)[ -]?\d{3}[ -]\d{4}(?!\d)"),
    re.compile(r"(?<!\d)[2-9]\d\d([.-])[2-9]\d\d\1\d{4}(?!\d)"),
)
# In one piece only where it is called a telephone: any number may begin with 0.
_BARE_PHONE = re.compile(rf"(?<!\d)0{_AREA}[2-9]\d{{6,7}}(?!\d)")


def find_mobiles(text: str) -> Iterator[PersonalData]:
    """Mobile numbers of mainland China, but no order number that looks like one."""
    for found in _MOBILE.finditer(text):
        start, end = found.span()
        if stands_alone(text, start, end) and label_of(text, start, end) is not Label.CODE:
            yield PersonalData(start, end, Kind.MOBILE)


def find_phones(text: str) -> Iterator[PersonalData]:
    """Landlines, and any telephone number abroad."""
    for pattern in _PHONES:
        for found in pattern.finditer(text):
            start, end = found.span()
            if stands_alone(text, start, end) and label_of(text, start, end) not in ORDERED:
                yield PersonalData(start, end, Kind.PHONE)
    for found in _BARE_PHONE.finditer(text):
        start, end = found.span()
        if stands_alone(text, start, end) and label_of(text, start, end) is Label.PHONE:
            yield PersonalData(start, end, Kind.PHONE)
