"""Numbers with their units, times, and web and mail addresses in a text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kefu.language import CJK

WEB_ADDRESS = re.compile(
    rf"https?://[^\s{CJK}，。；、）)”\"']+|[\w.+-]+@[a-z0-9-]+(?:\.[a-z0-9-]+)+|"
    r"\b(?:[a-z0-9-]+\.)+(?:com|cn|net|org|io|shop)\b(?:/[^\s，。；、）)]*)?",
    re.ASCII,
)

_NUMBER = r"\d+(?:[.,:/]\d+)*"
_UNIT = r"[元块角天日时小分秒月年周件个单次折倍级岁斤克米%]"
_QUANTITY = re.compile(
    rf"(?P<from>{_NUMBER})(?:\s*(?:[-~–—至到]|to)\s*(?P<to>{_NUMBER}))?\s*(?P<unit>{_UNIT})?"
)
_CHINESE = re.compile(
    rf"(?!十分(?!钟))(?P<number>[一二两三四五六七八九十百千万]+)\s*(?P<unit>{_UNIT})"
)
_DIGITS = dict(zip("一二两三四五六七八九", (1, 2, 2, 3, 4, 5, 6, 7, 8, 9), strict=True))
_POWERS = {"十": 10, "百": 100, "千": 1000, "万": 10000}

_ENGLISH_NUMBERS = {
    word: str(value)
    for value, word in enumerate(
        ["two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven"], 2
    )
} | {"twelve": "12", "fifteen": "15", "twenty": "20", "thirty": "30", "sixty": "60"}
_ENGLISH = re.compile(rf"\b(?:{'|'.join(_ENGLISH_NUMBERS)})\b")


@dataclass(frozen=True)
class Quantity:
    """A number as digits, and its Chinese unit or `%` where one follows."""

    value: str
    unit: str


def find_quantities(folded: str) -> Iterator[Quantity]:
    """Each number; both ends of a range have its unit. One thing (一个, one) is no number."""
    for found in _QUANTITY.finditer(folded):
        unit = found["unit"] or ""
        yield Quantity(_plain(found["from"]), unit)
        if found["to"]:
            yield Quantity(_plain(found["to"]), unit)
    for found in _CHINESE.finditer(folded):
        if (value := _value(found["number"])) != 1:
            yield Quantity(str(value), found["unit"])
    for word in _ENGLISH.findall(folded):
        yield Quantity(_ENGLISH_NUMBERS[word], "")


def without_quantities(folded: str) -> str:
    """The text with its numbers and addresses cut out: they are compared exactly, not as words."""
    return _ENGLISH.sub(" ", _CHINESE.sub(" ", _QUANTITY.sub(" ", WEB_ADDRESS.sub(" ", folded))))


def _plain(number: str) -> str:
    """1,000 is 1000, and 007 is kept: it may be a telephone number."""
    return re.sub(r"(?<=\d),(?=\d{3}\b)", "", number)


def _value(numeral: str) -> int:
    total = last = 0
    for character in numeral:
        if character in _DIGITS:
            last = _DIGITS[character]
        else:
            power = _POWERS[character]
            total = (total + last) * power if power == 10000 else total + (last or 1) * power
            last = 0
    return total + last
