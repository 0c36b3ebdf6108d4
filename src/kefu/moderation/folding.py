"""What a text says once its writing is taken away: width, case, marks, signs in between.

Two foldings. `letters` undoes only what is certain: full width, traditional characters, case,
enclosed letters, accents; signs, spaces and invisible characters go. `classes` goes on and merges
what merely looks alike (0 and o, Cyrillic а and Latin a, 未 and 末), so that one scan finds words as
they are and their look-alikes; `Folded` then tells them apart. Both give the same number of
characters for every character, so places in one are places in the other.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Sequence
from typing import TypeVar

from kefu.moderation.looks import CLASSES
from kefu.moderation.once import Once
from kefu.moderation.tables import LEET_SIGNS
from kefu.terms import simplified

T = TypeVar("T")

# Enclosed letters and numbers that Unicode does not decompose: first code point, what it stands for.
_ENCLOSED_RANGES = (
    (0x1F150, [chr(code) for code in range(ord("a"), ord("z") + 1)]),
    (0x1F170, [chr(code) for code in range(ord("a"), ord("z") + 1)]),
    (0x2776, [str(number) for number in range(1, 11)]),
    (0x2780, [str(number) for number in range(1, 11)]),
    (0x278A, [str(number) for number in range(1, 11)]),
    (0x24EB, [str(number) for number in range(11, 21)]),
    (0x24F5, [str(number) for number in range(1, 11)]),
    (0x24FF, ["0"]),
    (0x1F10B, ["0", "0"]),
)
_ENCLOSED = {
    chr(first + place): meaning
    for first, meanings in _ENCLOSED_RANGES
    for place, meaning in enumerate(meanings)
}

# Letters and invisible format characters that Unicode files elsewhere.
_BLANKS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u3164\uffa0")
_FIRST_ASIAN = "\u2e80"

# Texts whose letters all stay one letter: ASCII, the common Chinese characters, their punctuation.
_SIMPLE = re.compile(
    "[\\x20-\\x7e\\u4e00-\\u9fff，。！？：；、“”‘’（）《》【】…\\n\\uff10-\\uff19]*"
)
_SIMPLE_LETTERS = re.compile("[0-9A-Za-z\\u4e00-\\u9fff\\uff10-\\uff19]+")

_INVISIBLE = frozenset({"Cf", "Cc", "Mn", "Me", "Mc"})
_PICTURES = frozenset({"So", "Sk"})
_REPEATED = re.compile(r"(.)(?=\1)", re.DOTALL)


# What stands between two letters, as bits: one lookup and one "or" for each character. Tight marks
# part sentences only with a space after them (the ASCII ones), or part no sentences (、).
SPACE = 1
MARK = 2
END = 4
JOINT = 8
SIGN = 16
TIGHT_MARK = 32
TIGHT_END = 64
PICTURE = 128
QUOTE = 256

_GAP_OF = {
    **dict.fromkeys("，；：", MARK),
    **dict.fromkeys("。！？…\n\r", END),
    **dict.fromkeys(",;:、", TIGHT_MARK),
    **dict.fromkeys(".!?", TIGHT_END),
    **dict.fromkeys("-‐‑–—_/'’&", JOINT),
    **dict.fromkeys('"“”‘「」『』《》【】()（）', QUOTE),
}


class Folding(dict[int, T]):
    """What a character becomes, looked up when it is first met."""

    # Beyond are rare characters only: who writes all of Unicode shall not fill the memory.
    _END = 0x20000

    def __init__(self, fold: Callable[[str], T]) -> None:
        super().__init__()
        self._fold = fold

    def __missing__(self, code: int) -> T:
        folded = self._fold(chr(code))
        if code < self._END:
            self[code] = folded
        return folded


def _letters(character: str) -> str:
    if character in _BLANKS:
        return ""
    plain = _ENCLOSED.get(character) or unicodedata.normalize("NFKC", character)
    bare = "".join(map(_without_accent, plain.casefold()))
    return simplified("".join(filter(_is_letter, bare)))


def _without_accent(character: str) -> str:
    """Only in alphabets: elsewhere what Unicode decomposes are other letters (が, 한)."""
    if character >= _FIRST_ASIAN:
        return character
    return unicodedata.normalize("NFD", character)[0]


def _is_letter(character: str) -> bool:
    return unicodedata.category(character)[0] in "LN" and character not in _BLANKS


def _classes(character: str) -> str:
    return "".join(CLASSES.get(letter, letter) for letter in _letters(character))


def _gap(character: str) -> int:
    """0 for what nobody sees: format characters, accents, controls."""
    if found := _GAP_OF.get(character):
        return found
    if character.isspace():
        return SPACE
    kind = unicodedata.category(character)
    if kind in _INVISIBLE or character in _BLANKS:
        return 0
    return PICTURE if kind in _PICTURES else SIGN


_LETTERS = Folding(_letters)
_LETTERS_AND_SIGNS = Folding(lambda c: c if c in LEET_SIGNS else _letters(c))
_CLASSES = Folding(_classes)
_CLASSES_AND_SIGNS = Folding(lambda c: LEET_SIGNS.get(c) or _classes(c))
_GAPS = Folding(_gap)


def is_alphabetic(letter: str) -> bool:
    """Of a script that writes words with spaces between them (or a digit)."""
    return letter < _FIRST_ASIAN


def is_enclosed(character: str) -> bool:
    """Circled, squared, in brackets: ⓐ, 🅰, ⒜."""
    decomposition = unicodedata.decomposition(character)
    return character in _ENCLOSED or decomposition.startswith(("<circle>", "<square>", "<compat>"))


def is_seen(character: str) -> bool:
    """Not a mark on another character and not a format character."""
    code = ord(character)
    return bool(_LETTERS[code]) or bool(_GAPS[code])


def letters_of(text: str) -> str:
    """The letters and digits of a text: one width, one case, simplified, nothing in between."""
    return text.translate(_LETTERS)


def skeleton_of(text: str) -> str:
    """The letters of a text, with one character for all that look alike and for a run of them."""
    return without_repeats(text.translate(_CLASSES))


def without_repeats(classes: str) -> str:
    """One character for a run of equal ones."""
    return _REPEATED.sub("", classes)


class Folded:
    """A folded text with the way back. Places count letters. `with_signs`: $ and @ are letters."""

    def __init__(self, text: str, *, with_signs: bool = False) -> None:
        self.text = text
        self._with_signs = with_signs

    @Once
    def letters(self) -> str:
        return self.text.translate(_LETTERS_AND_SIGNS if self._with_signs else _LETTERS)

    @Once
    def classes(self) -> str:
        return self.text.translate(_CLASSES_AND_SIGNS if self._with_signs else _CLASSES)

    @Once
    def runs(self) -> Sequence[int]:
        """Where each run of equal classes begins, and where the last ends."""
        places = range(len(self.classes) + 1)
        again = {found.end() for found in _REPEATED.finditer(self.classes)}
        return [place for place in places if place not in again] if again else places

    @property
    def origins(self) -> Sequence[int]:
        """Where in the text each letter stands."""
        return self._places[0]

    @property
    def gaps(self) -> Sequence[int]:
        """What stands before each letter, as bits."""
        return self._places[1]

    @Once
    def _places(self) -> tuple[list[int], list[int]]:
        if not self._with_signs and _SIMPLE.fullmatch(self.text):
            return _simple_places(self.text)
        return _places(self.text, _LETTERS_AND_SIGNS if self._with_signs else _LETTERS)

    def span(self, first: int, end: int) -> tuple[int, int]:
        """The part of the text that became the letters from `first` to before `end`."""
        return self.origins[first], self.origins[end - 1] + 1


def _places(text: str, table: Folding[str]) -> tuple[list[int], list[int]]:
    """Origins and gaps."""
    origins: list[int] = []
    gaps: list[int] = []
    gap = 0
    for place, code in enumerate(map(ord, text)):
        count = len(table[code])
        if count == 0:
            gap |= _GAPS[code]
            continue
        origins += [place] * count
        gaps += [gap, *[0] * (count - 1)]
        gap = 0
    return origins, gaps


def _simple_places(text: str) -> tuple[list[int], list[int]]:
    """The same for a text where every letter stays one letter, several times as fast."""
    origins: list[int] = []
    gaps: list[int] = []
    done = 0
    for run in _SIMPLE_LETTERS.finditer(text):
        start, end = run.span()
        gaps += [0] * (end - start)
        for sign in text[done:start]:
            gaps[start - end] |= _GAPS[ord(sign)]
        origins.extend(range(start, end))
        done = end
    return origins, gaps
