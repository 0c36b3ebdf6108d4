"""How texts are folded and cut into terms, for exact and for lexical matching."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from functools import cache, lru_cache
from operator import add

from opencc import OpenCC

from kefu.language import CJK

# How much a term counts, by its kind. Chosen on DIAC's hard negatives, StackFAQ and the sample shop
# (docs/knowledge.md). A Chinese character says nearly as much as a word, and a rewording keeps
# characters where it breaks pairs (退货 / 退个货). Runs of four letters make up for a letter that is
# wrong and for endings that `stem` leaves alone.
CHARACTER_WEIGHT = 1.0
PAIR_WEIGHT = 0.2
WORD_WEIGHT = 0.5
RUN_WEIGHT = 0.25
COMMON_WORD_WEIGHT = 0.1

_RUN_LETTERS = 4
_RUN_MARK = "#"  # no word has it

_RUN = re.compile(rf"(?P<cjk>[{CJK}]+)|[^\W_{CJK}]+")
_APOSTROPHES = re.compile(r"(?<=\w)['’](?=\w)")
_SPACE = re.compile(r"\s+")
_SPACE_AT_CJK = re.compile(rf"(?<=[{CJK}]) | (?=[{CJK}])")
_CJK_START = re.compile(f"[{CJK}]")
_POINT_IN_NUMBER = re.compile(r"(?<=\d)[.,:/-](?=\d)")

# (ending, what replaces it, least letters left): plurals and verb forms, no more. Porter's full
# stemmer merges words that a shop must keep apart (policy, police).
_ENDINGS = (
    ("ies", "y", 3),
    ("sses", "ss", 2),
    ("ing", "", 4),
    ("ed", "", 4),
    ("s", "", 3),
)


def fold(text: str) -> str:
    """One width, one case, and simplified characters."""
    return simplified(unicodedata.normalize("NFKC", text).casefold())


def simplified(text: str) -> str:
    """Chinese text with simplified characters, one for one."""
    return text.translate(_simplified_characters())


@cache
def _simplified_characters() -> dict[int, str]:
    """What each traditional character becomes.

    Character by character and not phrase by phrase, so that a character becomes the same whatever
    stands beside it: what is folded twice, or after its spaces went, stays equal.
    """
    traditional = [chr(code) for code in (*range(0x3400, 0x4DC0), *range(0x4E00, 0xA000))]
    converted = OpenCC("t2s").convert("\n".join(traditional)).split("\n")
    return {ord(a): b for a, b in zip(traditional, converted, strict=True) if a != b}


def without_apostrophes(text: str) -> str:
    """can't -> cant, so that a word stays one word."""
    return _APOSTROPHES.sub("", text)


def exact_key(text: str) -> str:
    """Equal for texts that differ only in case, width, spacing, punctuation or emoji.

    Points inside numbers stay (1.5 is not 15), and so does the space between two Latin words.
    Signs such as + and $ stay as well (C++ is not C).
    """
    folded = without_apostrophes(fold(text))
    spaced = _SPACE.sub(" ", "".join(_kept(folded)))
    return _SPACE_AT_CJK.sub("", spaced.strip())


def _kept(text: str) -> list[str]:
    points = {found.start() for found in _POINT_IN_NUMBER.finditer(text)}
    return [
        character if at in points or _is_word_or_sign(character) else " "
        for at, character in enumerate(text)
    ]


def _is_word_or_sign(character: str) -> bool:
    return unicodedata.category(character) in _KEPT_CATEGORIES


_KEPT_CATEGORIES = {"Lu", "Ll", "Lt", "Lm", "Lo", "Mn", "Mc", "Nd", "Nl", "No", "Sm", "Sc"}


def lexical_terms(text: str) -> dict[str, float]:
    """The different terms of a text with their weights."""
    return {term: weight_of(term) for term in count_terms(text)}


def count_terms(text: str) -> Counter[str]:
    """How often a text has each term: Chinese characters and pairs, stemmed words, runs of letters."""
    terms: Counter[str] = Counter()
    for run in _RUN.finditer(without_apostrophes(fold(text))):
        if run.lastgroup == "cjk":
            characters = run.group()
            terms.update(characters)
            terms.update(map(add, characters, characters[1:]))
        else:
            terms.update(_word_terms(run.group()))
    return terms


def weight_of(term: str) -> float:
    """How much a term of `count_terms` counts."""
    if term.startswith(_RUN_MARK):
        return RUN_WEIGHT
    if _CJK_START.match(term):
        return CHARACTER_WEIGHT if len(term) == 1 else PAIR_WEIGHT
    return COMMON_WORD_WEIGHT if term in _COMMON_STEMS else WORD_WEIGHT


@lru_cache(4096)  # the same words are said all day
def _word_terms(word: str) -> tuple[str, ...]:
    root = stem(word)
    if not word.isascii() or word.isdigit() or root in _COMMON_STEMS:
        return (root,)
    bounded = f"^{word}$"
    starts = range(max(1, len(bounded) - _RUN_LETTERS + 1))
    return (root, *(_RUN_MARK + bounded[start : start + _RUN_LETTERS] for start in starts))


def stem(word: str) -> str:
    """An English word without its plural or verb ending."""
    if word.endswith(("ss", "us", "is")) or not word.isascii():
        return word
    for ending, replacement, least in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= least:
            return word[: -len(ending)] + replacement
    return word


# Words that stand in any question; a customer's request is in the others.
_COMMON_WORDS = """
a an the i my me you your we our us it its they them their he she his her this that these those
there here is are was were be been being am do does did doing have has had having can could will
would shall should may might must to of in on at by for from with about into as and or but if so
than then
"""
_COMMON_STEMS = frozenset(map(stem, _COMMON_WORDS.split()))
