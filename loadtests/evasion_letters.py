"""Disguises of Latin letters and digits: other shapes that mean or look the same."""

from __future__ import annotations

import unicodedata
from random import Random

from loadtests.evasion_places import replace_places

_FULL_WIDTH = 0xFEE0  # from "!" (U+0021) to "！" (U+FF01), and so on to "~"

_ENCLOSED = (
    "CIRCLED LATIN {case} LETTER {letter}",
    "PARENTHESIZED LATIN {case} LETTER {letter}",
    "NEGATIVE CIRCLED LATIN CAPITAL LETTER {letter}",
    "SQUARED LATIN CAPITAL LETTER {letter}",
    "NEGATIVE SQUARED LATIN CAPITAL LETTER {letter}",
)
_ENCLOSED_DIGITS = (
    "CIRCLED DIGIT {digit}",
    "PARENTHESIZED DIGIT {digit}",
    "DOUBLE CIRCLED DIGIT {digit}",
    "DINGBAT NEGATIVE CIRCLED DIGIT {digit}",
)
_MATHEMATICAL = (
    "BOLD",
    "ITALIC",
    "BOLD ITALIC",
    "SCRIPT",
    "BOLD SCRIPT",
    "DOUBLE-STRUCK",
    "BOLD FRAKTUR",
    "SANS-SERIF",
    "SANS-SERIF BOLD",
    "SANS-SERIF ITALIC",
    "MONOSPACE",
)
_CYRILLIC = dict(
    zip(
        "aceopxyijshdqwvlABCEHKMOPTXYSIJ",
        "асеорхуіјѕһԁԛԝѵӏАВСЕНКМОРТХУЅІЈ",
        strict=True,
    )
)
_GREEK = dict(zip("aoikvuptxnyABEHIKMNOPTXYZ", "αοικνυρτχηγΑΒΕΗΙΚΜΝΟΡΤΧΥΖ", strict=True))
_LEET = {
    "a": "4@",
    "b": "8",
    "e": "3",
    "g": "9",
    "i": "1!",
    "l": "1|",
    "o": "0",
    "s": "$5",
    "t": "7+",
    "z": "2",
}


def widen(word: str, random: Random) -> str | None:
    """ｆｕｌｌ ｗｉｄｔｈ: all of the word, or some of its characters."""
    places = [place for place, char in enumerate(word) if "!" <= char <= "~"]
    return replace_places(word, places, random, lambda char: chr(ord(char) + _FULL_WIDTH))


def mix_case(word: str, random: Random) -> str | None:
    """Capitals throughout, or here and there."""
    places = [place for place, char in enumerate(word) if char.swapcase() != char]
    return replace_places(word, places, random, str.swapcase)


def enclose(word: str, random: Random) -> str | None:
    """ⓛⓔⓣⓣⓔⓡⓢ and ①②③ in circles, squares or parentheses, one style a word."""
    letter_style, digit_style = random.choice(_ENCLOSED), random.choice(_ENCLOSED_DIGITS)
    shapes = {char: _enclosed(char, letter_style, digit_style) for char in set(word)}
    places = [place for place, char in enumerate(word) if shapes[char] != char]
    return replace_places(word, places, random, shapes.__getitem__)


def write_leetspeak(word: str, random: Random) -> str | None:
    """l337: digits and signs that look like letters."""
    places = [place for place, char in enumerate(word) if char.lower() in _LEET]
    return replace_places(word, places, random, lambda char: random.choice(_LEET[char.lower()]))


def write_homoglyphs(word: str, random: Random) -> str | None:
    """Cyrillic or Greek letters among the Latin ones, or a mathematical alphabet."""
    style = random.choice(("CYRILLIC", "CYRILLIC", "GREEK", *_MATHEMATICAL))
    shapes = {char: _homoglyph(char, style) for char in set(word)}
    places = [place for place, char in enumerate(word) if shapes[char] != char]
    return replace_places(word, places, random, shapes.__getitem__)


def _enclosed(char: str, letter_style: str, digit_style: str) -> str:
    if char.isascii() and char.isdigit():
        return _named(digit_style.format(digit=unicodedata.name(char).removeprefix("DIGIT ")), char)
    if char.isascii() and char.isalpha():
        case = "CAPITAL" if char.isupper() else "SMALL"
        return _named(letter_style.format(case=case, letter=char.upper()), char)
    return char


def _homoglyph(char: str, style: str) -> str:
    if style == "CYRILLIC":
        return _CYRILLIC.get(char, char)
    if style == "GREEK":
        return _GREEK.get(char, char)
    if not (char.isascii() and char.isalpha()):
        return char
    letter = f"{'CAPITAL' if char.isupper() else 'SMALL'} {char.upper()}"
    # Some letters of these alphabets were there before the rest, under shorter names (ℎ has no such name).
    return _named(f"MATHEMATICAL {style} {letter}", _named(f"{style} {letter}", char))


def _named(name: str, otherwise: str) -> str:
    """The character of that Unicode name, where there is one."""
    try:
        return unicodedata.lookup(name)
    except KeyError:
        return otherwise
