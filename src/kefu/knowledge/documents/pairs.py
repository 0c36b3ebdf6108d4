"""Questions and answers that a text marks as such: 问：…答：… and Q: … A: …"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kefu.knowledge.documents.blocks import Block
from kefu.knowledge.documents.sentences import clean

_ASK = r"(?:问题?|問題?|提问|Q(?:uestion)?)\s*\d{0,4}"
_REPLY_ZH = r"(?:答案?|答复|回答|回复)\s*\d{0,4}"
_REPLY_EN = r"A(?:nswer)?\s*\d{0,4}"
_OPEN, _CLOSE = r"[【\[(（]\s*", r"\s*[】\])）]\s*[:：]?"

_ASKS = re.compile(rf"(?:{_OPEN}{_ASK}{_CLOSE}|{_ASK}\s*[:：.．、])\s*", re.IGNORECASE)
# "Option A: ..." within a question answers nothing, so the Latin mark follows a question mark or
# begins a line.
_REPLIES = re.compile(
    rf"(?<=[？?。！!\s])(?:{_OPEN}{_REPLY_ZH}{_CLOSE}|{_REPLY_ZH}\s*[:：])\s*"
    rf"|(?<=[？?\n])[^\S\n]*(?:{_OPEN}{_REPLY_EN}{_CLOSE}|{_REPLY_EN}\s*[:：.．、])\s*",
    re.IGNORECASE,
)


# Answers go out word for word: a page of text is no answer, and a paragraph no question.
LONGEST_ANSWER = 1_500
_LONGEST_QUESTION = 300


@dataclass(frozen=True)
class Pair:
    question: str
    answer: str
    page: int | None


def find_pairs(blocks: Sequence[Block]) -> tuple[list[Pair], list[Block]]:
    """The pairs of a section, and the blocks that belong to none."""
    pairs: list[Pair] = []
    rest: list[Block] = []
    for run in _runs(blocks):
        pair = _pair(run)
        if pair:
            pairs.append(pair)
        else:
            rest.extend(run)
    return pairs, rest


def _runs(blocks: Sequence[Block]) -> list[list[Block]]:
    """Blocks from one question to the next; the first run is what comes before any."""
    runs: list[list[Block]] = [[]]
    for block in blocks:
        if _ASKS.match(block.text):
            runs.append([])
        runs[-1].append(block)
    return runs


def _pair(run: Sequence[Block]) -> Pair | None:
    text = "\n".join(block.text for block in run)
    asks = _ASKS.match(text)
    replies = _REPLIES.search(text, asks.end()) if asks else None
    if not asks or not replies:
        return None
    question = clean(text[asks.end() : replies.start()]).replace("\n", " ")
    answer = clean(text[replies.end() :])
    if not 0 < len(question) <= _LONGEST_QUESTION or not 0 < len(answer) <= LONGEST_ANSWER:
        return None
    return Pair(question, answer, run[0].page)
