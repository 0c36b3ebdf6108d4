"""What an answer depends on besides the entries it was written from, as one SHA-256."""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from kefu.language import CJK
from kefu.terms import fold, without_apostrophes

# Stands for any punctuation, emoji or space between Han characters: "不，要退货" is not "不要退货".
_PAUSE = "|"
# C# is not C, 50% is not 50, A/B is not AB, and -5 is not 5.
_SIGNS = frozenset("#%&@*/\\_-°‰§")
_MARKS = frozenset({"Mn", "Mc", "Sm", "Sc"})
# Mathematical signs to Unicode; to customers a friendly end of the sentence, and our own mark.
_NO_SIGNS = frozenset("~|")

_POINT_IN_NUMBER = re.compile(r"(?<=\d)[.,:~](?=\d)")
_SPACES = re.compile(r"\s+")
_SPACE_BETWEEN_CJK = re.compile(rf"(?<=[{CJK}]) (?=[{CJK}])")
_SPACE_BESIDE_CJK = re.compile(rf"(?<=[{CJK}]) | (?=[{CJK}])")
_PAUSES = re.compile(rf"\s*{re.escape(_PAUSE)}[\s{re.escape(_PAUSE)}]*")
_LOOSE_SIGN = re.compile(rf"(?<!\S)[-_*/]+(?=[\s{re.escape(_PAUSE)}]|$)")


@dataclass(frozen=True)
class Scope:
    """Answers are shared within a scope only.

    `prompt` is a digest of everything that shapes what the generator reads and what may be sent of
    what it writes, besides the question and the passages.
    """

    language: str
    model: str
    prompt: str
    max_tokens: int
    tenant: str = ""

    @property
    def of_people(self) -> Scope:
        """Where people's own answers are: whichever model writes the others."""
        return Scope(self.language, "", "", 0, self.tenant)


def key_of(question: str, scope: Scope) -> str:
    """The key of the answer to a question in a scope; "" for a question without any words."""
    return key_of_words(words_of(question), scope)


def key_of_words(words: str, scope: Scope) -> str:
    """As `key_of`, of what `words_of` made of the question."""
    if not words:
        return ""
    parts = [words, scope.tenant, scope.language, scope.model, scope.prompt, scope.max_tokens]
    return _sha256(parts)


def key_in_flight(key: str, entry_hashes: Mapping[str, str]) -> str:
    """The key of a generation: its answer's key, and exactly what it reads, in that order.

    A question asked after a change of an entry so never follows a generation that began before.
    """
    return _sha256([key, *entry_hashes.items()])


def words_of(question: str) -> str:
    """Equal for questions that differ in case, width, the kind of punctuation and the end only.

    Finer than `terms.exact_key`, because nobody looks at the two questions again: it keeps where
    the pauses are, and signs that make another word.
    """
    folded = without_apostrophes(fold(question))
    points = {found.start() for found in _POINT_IN_NUMBER.finditer(folded)}
    kept = "".join(c if at in points or _is_kept(c) else _PAUSE for at, c in enumerate(folded))
    spaced = _LOOSE_SIGN.sub(_PAUSE, _SPACES.sub(" ", kept))
    cut = _PAUSES.sub(_PAUSE, _SPACE_BETWEEN_CJK.sub(_PAUSE, spaced))
    return _SPACE_BESIDE_CJK.sub("", cut).strip(f"{_PAUSE} ")


def _is_kept(character: str) -> bool:
    if character.isalnum() or character.isspace() or character in _SIGNS:
        return True
    return character not in _NO_SIGNS and unicodedata.category(character) in _MARKS


def _sha256(parts: list[object]) -> str:
    return hashlib.sha256(json.dumps(parts, ensure_ascii=True).encode()).hexdigest()
