"""What a Chinese text sounds like, without tones."""

from __future__ import annotations

from functools import lru_cache

from kefu.moderation.folding import Folding, letters_of
from kefu.moderation.tables import SYLLABLES

# One character for each syllable, from Unicode's private area: no text that is folded has one.
_FIRST_CODE = 0xE000
_CODES = {
    syllable: chr(_FIRST_CODE + number)
    for number, syllable in enumerate(sorted(set(SYLLABLES.values())))
}
_INITIALS = {character: syllable[0] for character, syllable in SYLLABLES.items()}

SYLLABLE_NAMES = frozenset(_CODES) - {"m", "n", "hm"}
_LONGEST_SYLLABLE = max(map(len, SYLLABLE_NAMES))

# English texts ask for the same words again and again.
_LONGEST_REMEMBERED = 20


def _sounds(character: str) -> str:
    letters = letters_of(character)
    return "".join(_CODES.get(SYLLABLES.get(letter, ""), letter) for letter in letters)


_SOUNDS = Folding(_sounds)


def sounds_of(text: str) -> str:
    """A character for each letter of a folded text; the same one for those that sound alike."""
    return text.translate(_SOUNDS)


def is_chinese(letters: str) -> bool:
    """Whether every letter is a Chinese character that can be read."""
    return all(letter in SYLLABLES for letter in letters)


def initials_of(letters: str) -> str:
    """jwx of 加微信. The letters must be Chinese."""
    return "".join(_INITIALS[letter] for letter in letters)


def pinyin_of(letters: str) -> list[str]:
    """jia, wei, xin of 加微信; what is no Chinese character stays itself."""
    return [SYLLABLES.get(letter, letter) for letter in letters]


def syllable_borders(run: str) -> frozenset[int]:
    """Where a syllable may begin or end, when letters are read as pinyin from start to end. Empty
    where they cannot be read so."""
    return _remembered_borders(run) if len(run) <= _LONGEST_REMEMBERED else _borders(run)


@lru_cache(maxsize=4096)
def _remembered_borders(run: str) -> frozenset[int]:
    return _borders(run)


def _borders(run: str) -> frozenset[int]:
    forward = {0}
    for start in range(len(run)):
        if start in forward:
            forward.update(_ends(run, start))
    if len(run) not in forward:
        return frozenset()
    backward = {len(run)}
    for start in range(len(run) - 1, -1, -1):
        if any(end in backward for end in _ends(run, start)):
            backward.add(start)
    return frozenset(forward & backward)


def _ends(run: str, start: int) -> list[int]:
    last = min(len(run), start + _LONGEST_SYLLABLE)
    return [end for end in range(start + 1, last + 1) if run[start:end] in SYLLABLE_NAMES]
