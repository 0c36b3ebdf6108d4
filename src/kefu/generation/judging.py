"""What a reply to a task is worth, without another model: strings that must and must not be said."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

from kefu.generation.tasks import Task
from kefu.language import detect
from kefu.terms import fold
from kefu.turn.quantities import WEB_ADDRESS, find_quantities

_SPACE = re.compile(r"\s+")
# How models say that they cannot tell. A reply begins so: "no" in the middle of one is an answer.
_OPENING = r"(?:抱歉|对不起|不好意思|很遗憾|您好|sorry|unfortunately|i(?:'m| am) sorry)?[,.!，。！\s]*(?:but )?"
_TELLS_NOT_ZH = (
    r".{0,8}(?:资料|信息|文中|上文|内容)[里中内]?.{0,4}(?:没有|并未|未|无法|不).{0,3}"
    r"(?:提|说明|说|写|涉及|包含|显示|回答|相关|找到|确定|给出)"
)
_KNOWS_NOT_ZH = r"我?(?:无法|不能)(?:回答|确定|确认|提供)|我?不(?:清楚|知道|确定)"
_TELLS_NOT_EN = (
    r"(?:that |it |this |i |the |information |passages? |text |provided )*"
    r"(?:is not in|(?:is not|isn't) (?:mentioned|stated)|"
    r"(?:does not|doesn't|do not|don't|cannot|can't) "
    r"(?:say|mention|state|specify|provide|tell|know|have|find|determine|contain))"
)
_REFUSES = re.compile(f"{_OPENING}(?:{_TELLS_NOT_ZH}|{_KNOWS_NOT_ZH}|{_TELLS_NOT_EN})")


class Outcome(StrEnum):
    RIGHT = "right"  # all facts, nothing wrong; or refused where nothing tells
    REFUSED = "refused"  # though a passage tells
    WRONG = "wrong"  # facts missing, something wrong said, or answered what nothing tells


@dataclass(frozen=True)
class Judged:
    """`invented`: numbers, prices, dates and addresses that stand nowhere in what the model read.

    `is_own_language`: the reply is in the customer's.
    """

    outcome: Outcome
    invented: tuple[str, ...]
    is_own_language: bool


def judge(task: Task, reply: str) -> Judged:
    """Judge a reply; an empty one refuses."""
    return Judged(_outcome(task, reply), _invented(task, reply), _is_own_language(task, reply))


def is_refusal(reply: str) -> bool:
    return not reply.strip() or _REFUSES.match(fold(reply).strip()) is not None


def says(text: str, way: str) -> bool:
    """Whether a text has these words, however spaced and wide."""
    return _bare(way) in _bare(text)


def _outcome(task: Task, reply: str) -> Outcome:
    if is_refusal(reply):
        return Outcome.REFUSED if task.is_answerable else Outcome.RIGHT
    if not task.is_answerable:
        return Outcome.WRONG
    told = all(any(says(reply, way) for way in ways) for ways in task.facts)
    is_wrong = any(says(reply, wrong) for wrong in task.wrong)
    return Outcome.RIGHT if told and not is_wrong else Outcome.WRONG


def _invented(task: Task, reply: str) -> tuple[str, ...]:
    read = [f"{passage.title} {passage.text}" for passage in task.passages]
    read += [f"{turn.question} {turn.reply}" for turn in task.turns]
    known = fold(" ".join([*read, task.question]))
    values = {quantity.value for quantity in find_quantities(known)}
    folded = fold(reply)
    numbers = [q.value for q in find_quantities(folded) if q.value not in values]
    addresses = [found for found in WEB_ADDRESS.findall(folded) if found not in known]
    return (*numbers, *addresses)


def _is_own_language(task: Task, reply: str) -> bool:
    return not reply.strip() or detect(reply, task.language) == task.language


def _bare(text: str) -> str:
    return _SPACE.sub("", fold(text))
