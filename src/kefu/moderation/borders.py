"""Does a word end where it was found, or is it a part of another one?"""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from operator import or_

from kefu.moderation.folding import Folded, is_alphabetic
from kefu.moderation.patterns import Pattern, Stretch
from kefu.moderation.reading import Reading, Token

# Two characters in a row are often the end of one word and the start of the next; three are not.
_SHORT = 2

# What makes another word of a word, and still means it: 大傻逼, 妓女们.
_AFFIXES = frozenset("大小老死臭真太的了们子啊吧呀个你我他她是")

_LEAST_WITH_PLURAL = 4
_HISSING = ("s", "x", "z", "ch", "sh")


def is_explained(reading: Reading, stretch: Stretch, strange: Sequence[int]) -> bool:
    """Whether all the characters that are not the word's belong to ordinary words as they are."""
    words = reading.words_of(stretch.first, stretch.end)
    return all(_is_longer(words[n]) for n in strange)


def is_in_words(reading: Reading, stretch: Stretch) -> bool:
    """Whether any of the characters belongs to an ordinary word of several characters."""
    return any(map(_is_longer, reading.words_of(stretch.first, stretch.end)))


def _is_longer(word: Token) -> bool:
    return word[1] - word[0] > 1


def bounded(reading: Reading, pattern: Pattern, stretch: Stretch) -> Stretch | None:
    """The stretch where the word stands on its own, with its plural ending, or None."""
    if not _starts_word(reading, stretch.first):
        return None
    end = _end_of_word(reading, pattern, stretch.end)
    if end is None or (_is_short(pattern) and _is_cut_out(reading, stretch)):
        return None
    if stretch.is_repeated and _is_reduplicated(reading, pattern, stretch):
        return None
    return stretch if end == stretch.end else Stretch(stretch.first, end, stretch.is_repeated)


def _starts_word(folded: Folded, first: int) -> bool:
    return first == 0 or not _is_joined(folded, first)


def _is_joined(folded: Folded, place: int) -> bool:
    """Whether the letter there goes on a word that the one before belongs to."""
    letters = folded.letters
    return (
        folded.gaps[place] == 0
        and is_alphabetic(letters[place - 1])
        and is_alphabetic(letters[place])
    )


def _end_of_word(folded: Folded, pattern: Pattern, end: int) -> int | None:
    """Where the word ends, a plural's ending included; None where it goes on otherwise."""
    count = len(folded.letters)
    if end == count or not _is_joined(folded, end):
        return end
    if len(pattern.letters) < _LEAST_WITH_PLURAL:
        return None
    ending = "es" if pattern.letters.endswith(_HISSING) else "s"
    after = end + len(ending)
    if folded.letters[end:after] != ending or any(folded.gaps[end:after]):
        return None
    return after if after == count or not _is_joined(folded, after) else None


def _is_short(pattern: Pattern) -> bool:
    return len(pattern.letters) <= _SHORT and not pattern.is_alphabetic


def _is_cut_out(reading: Reading, stretch: Stretch) -> bool:
    """Whether a longer word reaches over an end of it: 具体位置, 大麻烦."""
    words = reading.words_of(stretch.first, stretch.end)
    if _reaches_over(reading, words, stretch, left=True, right=True):
        return True
    inside = reduce(or_, reading.gaps[stretch.first + 1 : stretch.end], 0)
    if not inside:
        return False
    before = reading.gaps[stretch.first] if stretch.first else 0
    after = reading.gaps[stretch.end] if stretch.end < len(reading.letters) else 0
    words = reading.words_of(stretch.first, stretch.end, joined=True)
    left, right = not before or bool(before & inside), not after or bool(after & inside)
    return _reaches_over(reading, words, stretch, left=left, right=right)


def _reaches_over(
    reading: Reading, words: Sequence[Token], stretch: Stretch, *, left: bool, right: bool
) -> bool:
    start, end = words[0][0], words[-1][1]
    if not (left and start < stretch.first) and not (right and end > stretch.end):
        return False
    letters = reading.letters
    rest = letters[start : stretch.first] + letters[stretch.end : end]
    return words[0] != words[-1] or not _AFFIXES.issuperset(rest)


def _is_reduplicated(reading: Reading, pattern: Pattern, stretch: Stretch) -> bool:
    """Whether the one character too many makes a word of its own: 他妈妈的."""
    if stretch.end - stretch.first != len(pattern.letters) + 1:
        return False
    letters = reading.letters
    words = set(reading.words_of(stretch.first, stretch.end))
    return any(b - a == 2 and letters[a] == letters[b - 1] for a, b in words)
