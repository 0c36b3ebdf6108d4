"""What customers write during a load test: who, what and when, drawn from one seed.

The schedule is made before the first message is sent. Customers who wait for a reply do not write
meanwhile; others do in their place, and where nobody is left the message is late and the wait
counts: a desk that stalls is not spared the messages that would have come ("coordinated omission",
Tene 2013).
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Literal

from kefu.errors import InvalidInput
from kefu.language import Language, detect

Kind = Literal["known", "rephrased", "new", "follow_up", "blocked"]
KINDS: tuple[Kind, ...] = ("known", "rephrased", "new", "follow_up", "blocked")

# Around a known question: other words, the same wish. Their products are unique for minutes.
_BEFORE = {
    "zh": (
        "你好，", "您好，请问", "在吗，", "麻烦问一下，", "想问下", "亲，", "打扰了，", "请教一下，",
        "我想知道", "帮我看看，", "那个，", "客服你好，", "问一下哈，", "不好意思，", "急问，", "晚上好，",
    ),
    "en": (
        "Hi, ", "Hello, ", "Quick question: ", "Excuse me, ", "Good morning, ", "Hey, ",
        "Sorry to bother you, ", "I would like to know: ", "Could you tell me, ", "Hi there, ",
        "One thing: ", "Please, ", "Good evening, ", "Just wondering, ", "Morning! ", "Help: ",
    ),
}  # fmt: skip
_BEHIND = {
    "zh": ("", "，谢谢", "呀", "，麻烦了", "，急", "，在线等", "哈", "，多谢", "～", "，谢谢啦", "…", "，辛苦了"),
    "en": ("", " Thanks", " Thank you!", " please", " Cheers", " It is urgent", " ...", " Many thanks"),
}  # fmt: skip
# A situation before a question makes it one that no entry answers word for word.
_SITUATIONS = {
    "zh": (
        "我上周给我妈买了一个，现在想", "昨天和朋友一起下的单，后来", "公司集体采购的那批货，如果", "孩子不小心弄坏了包装，这样",
        "我人在国外出差，家里没人，", "两个订单合在一起寄的话，", "去年双十一买的那件，现在", "用别人的账号下的单，",
        "已经拆开用过三天了，还", "送礼用的，对方不喜欢，",
    ),
    "en": (
        "I bought one for my mother last week and now ", "A friend and I ordered together; ",
        "For the batch our company bought, ", "My child damaged the box, so ",
        "I am travelling abroad and nobody is home: ", "If two orders are sent together, ",
        "For the one I got last November, ", "I ordered with somebody else's account: ",
        "It has been used for three days; ", "It was a present and they do not like it: ",
    ),
}  # fmt: skip
_FOLLOW_UPS = {
    "zh": ("那要多久？", "那运费呢？", "那要钱吗？", "那周末呢？", "那如果超过时间呢？", "那怎么操作？"),
    "en": ("And how long does that take?", "And what does it cost?", "What about weekends?"),
}  # fmt: skip


@dataclass(frozen=True)
class Mix:
    """Shares of the messages by kind, and of those that are streamed (0 to 1).

    `zipf`: the exponent of how often the known questions are asked; 0: all alike.
    """

    known: float = 0.72
    rephrased: float = 0.20
    new: float = 0.02
    follow_up: float = 0.05
    blocked: float = 0.01
    streamed: float = 0.2
    zipf: float = 1.0

    def __post_init__(self) -> None:
        shares = self.by_kind.values()
        if min(shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            raise InvalidInput(f"The shares of the messages add up to {sum(shares):g}, not to 1.")
        if not 0 <= self.streamed <= 1 or self.zipf < 0:
            raise InvalidInput("The share of streams is 0 to 1, the Zipf exponent 0 or more.")

    @property
    def by_kind(self) -> dict[Kind, float]:
        return {kind: getattr(self, kind) for kind in KINDS}


@dataclass(frozen=True)
class Words:
    """What the messages are made of. `new` and `blocked` may be empty where their share is 0."""

    known: Sequence[str]
    new: Sequence[str] = ()
    blocked: Sequence[str] = ()


@dataclass(frozen=True)
class Arrival:
    """A message of customer number `user`, due so many seconds after the start."""

    due: float
    user: int
    kind: Kind
    message: str
    is_streamed: bool


def schedule(
    words: Words, mix: Mix, *, users: int, spawn_rate: float, rate: float, seconds: float, seed: int
) -> list[Arrival]:
    """All messages of a test, in the order in which they are due.

    They come independently of one another at `rate` a second (a Poisson process), from the start
    on as many as the customers who are there by then (`spawn_rate` a second) would send.
    """
    dice = random.Random(seed)  # noqa: S311 - the same seed, the same messages
    writer = _MessageWriter(words, mix, dice)
    arrivals = []
    for due in _times(users, spawn_rate, rate, seconds, dice):
        user = dice.randrange(_present(due, users, spawn_rate))
        kind = dice.choices(KINDS, list(mix.by_kind.values()))[0]
        if kind == "follow_up" and not writer.has_asked(user):
            kind = "known"  # there is nothing to go on from yet
        message = writer.write(kind, user)
        arrivals.append(Arrival(due, user, kind, message, dice.random() < mix.streamed))
    return arrivals


def _present(due: float, users: int, spawn_rate: float) -> int:
    return min(users, 1 + int(due * spawn_rate))


def _times(
    users: int, spawn_rate: float, rate: float, seconds: float, dice: random.Random
) -> Iterator[float]:
    """Arrivals of a Poisson process, thinned while customers are still coming."""
    due = 0.0
    while (due := due + dice.expovariate(rate)) < seconds:
        if dice.random() * users < _present(due, users, spawn_rate):
            yield due


class _MessageWriter:
    def __init__(self, words: Words, mix: Mix, dice: random.Random) -> None:
        if not words.known:
            raise InvalidInput("No questions to ask: give --questions FILE.")
        if mix.blocked and not words.blocked:
            raise InvalidInput("No messages to be blocked are known: set --blocked 0.")
        self._words = words
        self._dice = dice
        self._known = dice.sample(list(words.known), len(words.known))
        self._weights = list(
            accumulate(1 / rank**mix.zipf for rank in range(1, len(self._known) + 1))
        )
        self._new = dice.sample(list(words.new), len(words.new))
        self._language: dict[int, Language] = {}
        self._said: set[str] = set()

    def has_asked(self, user: int) -> bool:
        """Whether this customer has asked anything that did pass."""
        return user in self._language

    def write(self, kind: Kind, user: int) -> str:
        match kind:
            case "blocked":
                return self._dice.choice(self._words.blocked)
            case "follow_up":
                return self._dice.choice(_FOLLOW_UPS[self._language[user]])
            case "known":
                message = self._question()
            case "rephrased":
                message = self._unsaid(_BEFORE, _BEHIND)
            case "new":
                message = self._new.pop() if self._new else self._unsaid(_SITUATIONS, _BEHIND)
        self._language[user] = detect(message, "zh")
        return message

    def _question(self) -> str:
        return self._dice.choices(self._known, cum_weights=self._weights)[0]

    def _unsaid(
        self,
        before: Mapping[str, Sequence[str]],
        behind: Mapping[str, Sequence[str]],
        attempts: int = 20,
    ) -> str:
        """A question in words that nobody used before, as long as there are any."""
        message = ""
        for _ in range(attempts):
            question = self._dice.choice(self._known)
            language = detect(question, "zh")
            end = self._dice.choice(behind[language])
            message = f"{self._dice.choice(before[language])}{_lowered(question)}{end}"
            if message not in self._said:
                break
        self._said.add(message)
        return message


def _lowered(question: str) -> str:
    """Inside a sentence. "I" and what is written in capitals stay."""
    if question[1:2].isupper() or question.startswith(("I ", "I'")):
        return question
    return question[:1].lower() + question[1:]
