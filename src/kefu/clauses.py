"""Where clauses and sentences end, in Chinese and English, the same however a text is cut."""

from __future__ import annotations

import re
from itertools import pairwise

from kefu.terms import fold

# Where a clause ends. ASCII signs also stand inside numbers and addresses: there a space follows.
# The sign after it must be there, so that a text cut into pieces has the same clauses.
_CLAUSE_END = re.compile(
    r"[。！？；，…\n]+[”』」’)）]*(?=[^。！？；，…\n”』」’)）])|[.,!?;]+[\"')]*(?=\s)"
)
_SENTENCE_END = re.compile(r"(?:[。！？；…\n]|[.!?;])[”』」’\"')）]*\s*$")

_NOT_SAID = re.compile(r"[\s\"'“”‘’『』「」*]+")
OUTER_SIGNS = " \t\n。！？；，…,.!?;:："


def clause_ends(text: str, begin: int) -> list[int]:
    """Where the clauses that are complete end, after `begin`."""
    return [found.end() for found in _CLAUSE_END.finditer(text, begin)]


def ends_sentence(text: str) -> bool:
    return _SENTENCE_END.search(text) is not None


def said(text: str) -> str:
    """What is compared where wording must be the same: no spaces, quotation or outer signs."""
    return _NOT_SAID.sub("", fold(text)).strip(OUTER_SIGNS)


def clauses_of(text: str) -> list[str]:
    """At least one; the last may be incomplete."""
    ends = [0, *clause_ends(text, 0), len(text)]
    clauses = [text[a:b] for a, b in pairwise(ends)]
    return [clause for clause in clauses if said(clause)] or [text]


def sentences_of(text: str) -> list[str]:
    sentences = [""]
    for clause in clauses_of(text):
        sentences[-1] += clause
        if ends_sentence(clause):
            sentences.append("")
    return [sentence for sentence in sentences if sentence]
