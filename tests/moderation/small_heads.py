"""A small head of two categories, and the examples that it is made of."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from kefu.moderation.categories import Category
from kefu.moderation.examples import Example
from kefu.moderation.training import Trained, train
from tests.fakes import HashingEncoder

ABUSE = ("你就是个白痴", "你这个废物", "蠢猪一样的店", "you stupid idiot")
GAMBLING = ("开户送彩金", "百家乐稳赢", "线上赌场注册", "online casino bonus")
RAFFLES = ("店里抽奖规则", "抽奖怎么参加", "抽奖送什么奖品", "lucky draw rules")
EVERYDAY = ("什么时候发货", "运费多少钱", "可以退货吗", "when do you ship")
# With letters of the insults, and each only once.
CONFUSING = ("你这个猪蹄", "废物箱有吗", "白痴的书", "stupid phone")

_BEGINNINGS = ("", "请问", "老板，", "hi ", "哎")
_ENDS = ("", "？", "啊", "呢", " ok", "哦", "！", "嘛")


def varied(texts: Sequence[str], count: int = 40) -> list[str]:
    """Different texts that say these things, as many of each."""
    found = [
        f"{beginning}{text}{end}" for end in _ENDS for beginning in _BEGINNINGS for text in texts
    ]
    return found[:count]


@cache
def examples() -> list[Example]:
    """40 insults, 40 casinos, 40 raffles that are none, 40 everyday messages."""
    return [
        *(Example(text, True, Category.ABUSE) for text in varied(ABUSE)),
        *(Example(text, True, Category.GAMBLING) for text in varied(GAMBLING)),
        *(Example(text, False, Category.GAMBLING) for text in varied(RAFFLES)),
        *(Example(text, False) for text in (*varied(EVERYDAY, 36), *CONFUSING)),
    ]


@cache
def trained() -> Trained:
    encoder = HashingEncoder()
    return train(examples(), encoder.encode, encoder.id)
