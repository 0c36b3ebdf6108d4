"""Writes src/kefu/moderation/tables/syllables.txt from pypinyin (MIT): run it after an upgrade.

How each simplified character is usually read, without its tone. Other readings of a character are
left out: a word is folded like the text it is looked for in, so it always finds itself.
"""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from pypinyin import Style, pinyin

from kefu.terms import simplified

TABLE = Path(__file__).parent.parent / "src/kefu/moderation/tables/syllables.txt"
HEAD = "# Written by tools/write_syllables.py: syllable without tone, characters usually read so.\n"


def lines() -> list[str]:
    """`syllable: characters`, by syllable."""
    characters = defaultdict[str, list[str]](list)
    for character in map(chr, range(0x4E00, 0xA000)):
        if simplified(character) == character and (syllable := _syllable(character)):
            characters[syllable].append(character)
    return [f"{syllable}: {''.join(characters[syllable])}\n" for syllable in sorted(characters)]


def _syllable(character: str) -> str:
    """As it is typed: ü is v (lv, nv), but u after j, q, x and y. "" where none is known."""
    [[reading]] = pinyin(character, style=Style.NORMAL, errors="ignore") or [[""]]
    syllable = reading.replace("ü", "v").replace("ê", "e")
    return syllable if syllable.isascii() and syllable.isalpha() else ""


if __name__ == "__main__":
    TABLE.write_text(HEAD + "".join(lines()), encoding="utf-8")
