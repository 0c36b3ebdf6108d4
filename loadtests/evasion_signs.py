"""Disguises that add something to a word: signs between its characters, marks on them, repeats."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Sequence
from random import Random

from loadtests.evasion_places import choose_places

_INVISIBLE = "\u200b\u200c\u200d\u2060\ufeff\u00ad"
_SYMBOLS = "*._-|~/·、,+=#^\\`"
_SPACES = (" ", " ", "  ", "\u3000", "\u00a0", "\u2009")
_EMOJI = ("😂", "🔥", "👍", "👍🏻", "❤️", "💰", "🌹", "🍎", "⭐", "☀️", "🎁", "🙏", "💯", "🚀", "🇨🇳")
_LATIN_MARKS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030c\u0323"
# Strokes through and lines over or under a character: what people put on Chinese characters.
_HAN_MARKS = "\u0305\u0323\u0330\u0332\u0335\u0336\u0338"
_MOST_REPEATS = 5
_WORD_BORDER = "   "  # wider than any of the spaces put into a word


def insert_invisible(word: str, random: Random) -> str | None:
    """Zero-width characters and soft hyphens between the characters."""
    return _insert(word, random, lambda: random.choice(_INVISIBLE))


def insert_symbols(word: str, random: Random) -> str | None:
    """s.y.m.b.o.l.s: one or two of one sign in the gaps, now and then several signs."""
    sign = random.choice(_SYMBOLS) * random.choice((1, 1, 1, 2))
    mixed = random.random() < 0.2
    return _insert(word, random, lambda: random.choice(_SYMBOLS) if mixed else sign)


def insert_emoji(word: str, random: Random) -> str | None:
    """One emoji in the gaps, some of them made of several code points."""
    return _insert(word, random, lambda: random.choice(_EMOJI))


def insert_spaces(word: str, random: Random) -> str | None:
    """s p a c e s in every gap of a Latin word, in some or all gaps of a Chinese one."""
    space = random.choice(_SPACES)
    spread = word.replace(" ", _WORD_BORDER)
    gaps = _gaps(spread)
    # Every gap of a Latin word: "as sign" is two words, "a s s i g n" is one spelt out.
    chosen = frozenset(gaps) if word.isascii() else choose_places(gaps, random)
    return _fill(spread, chosen, lambda: space)


def add_marks(word: str, random: Random) -> str | None:
    """Accents on letters, composed or combining; strokes on Chinese characters."""
    marked = [_mark(char, random) for char in word]
    chosen = choose_places([p for p, char in enumerate(word) if marked[p] != char], random)
    if not chosen:
        return None
    return "".join(marked[p] if p in chosen else char for p, char in enumerate(word))


def repeat(word: str, random: Random) -> str | None:
    """reeepeats: two to five of every character, or of some."""
    chosen = choose_places([p for p, char in enumerate(word) if char.isalnum()], random)
    if not chosen:
        return None
    return "".join(
        char * random.randint(2, _MOST_REPEATS) if p in chosen else char
        for p, char in enumerate(word)
    )


def _insert(word: str, random: Random, sign: Callable[[], str]) -> str | None:
    return _fill(word, choose_places(_gaps(word), random), sign)


def _gaps(word: str) -> Sequence[int]:
    """The places before which something can stand: not the start, nor beside a space."""
    return [p for p in range(1, len(word)) if " " not in word[p - 1 : p + 1]]


def _fill(word: str, places: frozenset[int], sign: Callable[[], str]) -> str | None:
    if not places:
        return None
    return "".join(sign() + char if p in places else char for p, char in enumerate(word))


def _mark(char: str, random: Random) -> str:
    if not char.isalpha():
        return char
    if not char.isascii():
        return char + random.choice(_HAN_MARKS)
    marked = char + random.choice(_LATIN_MARKS)
    return unicodedata.normalize("NFC", marked) if random.random() < 0.5 else marked
