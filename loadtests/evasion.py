"""Words disguised in the ways people get past a word filter, in sentences and in innocent text.

`KINDS` names the disguises. `sentences` puts disguised words into innocent carrier sentences, for the
recall of a filter; `clean` disguises ordinary words of ordinary sentences in the same ways, for its
false rate. The same seed gives the same texts. Nothing here comes from kefu: a generator that shared
a table with the filter would only find what the filter knows. Every table is written out in the
`evasion_*` modules or read from the names of Unicode characters.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from random import Random

import rjieba
from loadtests.evasion_carriers import CARRIERS, SLOT

from loadtests import evasion_letters as letters
from loadtests import evasion_shapes as shapes
from loadtests import evasion_signs as signs
from loadtests import evasion_sounds as sounds

BOTH = frozenset({"zh", "en"})
CHINESE = frozenset({"zh"})
LATIN = frozenset({"en"})

_HAN = re.compile(r"[\u4e00-\u9fff]")
_ORDINARY = re.compile(r"[\u4e00-\u9fff]{2,}|[A-Za-z]{3,}")
_TRIES = 20  # a disguise is drawn at random: one that fails may succeed on the next word


@dataclass(frozen=True)
class Disguise:
    """One way to write a word so that a person still reads it.

    `languages`: whose words it can disguise. `lossless`: the word can be restored for certain.
    `apply` gives None where this word cannot be disguised so, and else another text than the word.
    """

    name: str
    lossless: bool
    languages: frozenset[str]
    apply: Callable[[str, Random], str | None]


@dataclass(frozen=True)
class Disguised:
    """A sentence with a disguised word: `text[start:end]` stands for `word`."""

    text: str
    word: str
    start: int
    end: int


def _plain(word: str, random: Random) -> str | None:
    return word


_LOSSLESS: dict[str, tuple[frozenset[str], Callable[[str, Random], str | None]]] = {
    "plain": (BOTH, _plain),
    "full_width": (LATIN, letters.widen),
    "traditional": (CHINESE, shapes.write_traditional),
    "case": (LATIN, letters.mix_case),
    "circled": (LATIN, letters.enclose),
    "zero_width": (BOTH, signs.insert_invisible),
    "combining": (BOTH, signs.add_marks),
    "symbols": (BOTH, signs.insert_symbols),
    "spaces": (BOTH, signs.insert_spaces),
    "emoji": (BOTH, signs.insert_emoji),
    "repeats": (BOTH, signs.repeat),
}
_LOSSY: dict[str, tuple[frozenset[str], Callable[[str, Random], str | None]]] = {
    "leetspeak": (LATIN, letters.write_leetspeak),
    "homoglyphs": (LATIN, letters.write_homoglyphs),
    "pinyin": (CHINESE, sounds.write_pinyin),
    "initials": (CHINESE, sounds.write_initials),
    "homophones": (CHINESE, sounds.write_homophones),
    "split": (CHINESE, shapes.split),
    "look_alikes": (CHINESE, shapes.write_look_alikes),
}
KINDS: dict[str, Disguise] = {
    name: Disguise(name, lossless, languages, apply)
    for lossless, kinds in ((True, _LOSSLESS), (False, _LOSSY))
    for name, (languages, apply) in kinds.items()
}


def language_of(word: str) -> str:
    """`zh` for a word with a Chinese character, else `en`."""
    return "zh" if _HAN.search(word) else "en"


def sentences(words: Iterable[str], kind: str, count: int, seed: int) -> list[Disguised]:
    """`count` carrier sentences, each with one of the words disguised; words come round in turn.

    Raises ValueError where none of the words can be disguised that way.
    """
    random = Random(seed)
    disguise = KINDS[kind]
    usable = [word for word in dict.fromkeys(words) if _attempt(disguise, word, random)]
    if not usable:
        raise ValueError(f"None of the words can be disguised as {kind!r}: give it other words.")
    random.shuffle(usable)
    carriers = {language: _rotate(texts, random) for language, texts in CARRIERS.items()}
    found: list[Disguised] = []
    while len(found) < count:
        word = usable[len(found) % len(usable)]
        if disguised := _attempt(disguise, word, random):
            found.append(_place(next(carriers[language_of(word)]), word, disguised))
    return found


def clean(texts: Iterable[str], kind: str, count: int, seed: int) -> list[str]:
    """Up to `count` of the texts, each with one or two of its ordinary words disguised.

    Texts without a word that can be disguised that way are left out.
    """
    random = Random(seed)
    pool = list(dict.fromkeys(texts))
    random.shuffle(pool)
    found: list[str] = []
    for text in pool:
        if len(found) == count:
            break
        if disguised := _disguise_some(text, KINDS[kind], random):
            found.append(disguised)
    return found


def _attempt(disguise: Disguise, word: str, random: Random) -> str | None:
    drawn = (disguise.apply(word, random) for _ in range(_TRIES))
    return next((text for text in drawn if text), None)


def _rotate(texts: tuple[str, ...], random: Random) -> Iterator[str]:
    """All the texts in random order, then all again in another."""
    while True:
        yield from random.sample(texts, len(texts))


def _place(carrier: str, word: str, disguised: str) -> Disguised:
    start = carrier.index(SLOT)
    return Disguised(carrier.replace(SLOT, disguised), word, start, start + len(disguised))


def _disguise_some(text: str, disguise: Disguise, random: Random) -> str | None:
    pieces = _pieces(text)
    ordinary = [place for place, piece in enumerate(pieces) if _ORDINARY.fullmatch(piece)]
    random.shuffle(ordinary)
    drawn = ((place, disguise.apply(pieces[place], random)) for place in ordinary)
    possible = ((place, word) for place, word in drawn if word)
    disguised = dict(islice(possible, random.choice((1, 2))))
    if not disguised:
        return None
    return "".join(disguised.get(place, piece) for place, piece in enumerate(pieces))


def _pieces(text: str) -> list[str]:
    """The text in words and what stands between them; joined they are the text."""
    pieces: list[str] = []
    for piece in re.findall(r"[\u4e00-\u9fff]+|[A-Za-z]+|[^\u4e00-\u9fffA-Za-z]+", text):
        pieces += rjieba.cut(piece) if _HAN.match(piece) else [piece]
    return pieces
