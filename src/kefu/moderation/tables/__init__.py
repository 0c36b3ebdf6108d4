"""What stands for what, as data. Written by hand, but for `syllables.txt`
(tools/write_syllables.py)."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.resources import files


def _lines(name: str) -> Iterator[str]:
    """The lines of a table, without comments and empty ones."""
    text = files(__package__).joinpath(name).read_text(encoding="utf-8")
    return (line for line in text.splitlines() if line and not line.startswith("#"))


def _pairs(name: str) -> Iterator[tuple[str, str]]:
    """`left: right` of each line."""
    for line in _lines(name):
        left, _, right = line.partition(": ")
        yield left, right


# Letters of other alphabets, small capitals, letters with strokes -> the Latin letter they pass for.
HOMOGLYPHS = {other: latin for latin, others in _pairs("homoglyphs.txt") for other in others}

# Digits that pass for letters, and l that passes for i as 1 does.
LEET_DIGITS = dict(zip("0123456789l", "oizeasgtbgi", strict=True))

# Signs that pass for letters.
LEET_SIGNS = dict(zip("@$!|+€£¢¥(", "asiiteicyc", strict=True))

# Groups of Chinese characters that pass for each other.
LOOK_ALIKES = tuple(_lines("look_alikes.txt"))

# A left half, a right half, side by side -> the character they make.
HALVES = {
    left + half[0]: half[1]
    for lefts, halves in _pairs("halves.txt")
    for left in lefts
    for half in halves.split()
}

# A simplified character -> how it is usually read, without the tone.
SYLLABLES = {
    character: syllable
    for syllable, characters in _pairs("syllables.txt")
    for character in characters
}

ENGLISH_WORDS = frozenset(word for line in _lines("english_words.txt") for word in line.split())
ABBREVIATIONS = frozenset(word for line in _lines("abbreviations.txt") for word in line.split())
