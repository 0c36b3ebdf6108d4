"""How texts are folded and cut into terms, for exact and for lexical matching."""

from __future__ import annotations

import re
import unicodedata
from itertools import pairwise

from kefu.language import CJK

# Bigrams carry the meaning of Chinese wording; single characters only help where a word is cut
# differently (退货 / 退个货), so they count for little.
UNIGRAM_WEIGHT = 0.3

_RUN = re.compile(rf"(?P<cjk>[{CJK}]+)|[^\W_{CJK}]+")
_APOSTROPHES = re.compile(r"(?<=\w)['’](?=\w)")
_SPACE = re.compile(r"\s+")
_SPACE_AT_CJK = re.compile(rf"(?<=[{CJK}]) | (?=[{CJK}])")
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
    """One width and one case."""
    return unicodedata.normalize("NFKC", text).casefold()


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
    """Terms of a text with their weights: Chinese bigrams and characters, stemmed words."""
    terms: dict[str, float] = {}
    for run in _RUN.finditer(without_apostrophes(fold(text))):
        if run.lastgroup == "cjk":
            _add_characters(terms, run.group())
        else:
            _add(terms, stem(run.group()), 1.0)
    return terms


def _add_characters(terms: dict[str, float], run: str) -> None:
    for character in run:
        _add(terms, character, UNIGRAM_WEIGHT)
    for first, second in pairwise(run):
        _add(terms, first + second, 1.0)


def _add(terms: dict[str, float], term: str, weight: float) -> None:
    terms[term] = max(terms.get(term, 0.0), weight)


def stem(word: str) -> str:
    """An English word without its plural or verb ending."""
    if word.endswith(("ss", "us", "is")) or not word.isascii():
        return word
    for ending, replacement, least in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= least:
            return word[: -len(ending)] + replacement
    return word
