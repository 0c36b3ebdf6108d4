"""Follow-ups: messages that say too little alone ("那运费呢？", "and for shoes?").

Such a message is looked up three times: alone, after the question before it, and after the entry
that the talk is about. What is found is weighed together, entries of the same topic a little higher
and the one that was just given a little lower: who asks on wants to hear something else. The
weights were chosen on 40 dialogues (docs/knowledge.md has the figures).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from kefu.knowledge.entry import Entry
from kefu.knowledge.index import Match
from kefu.language import CJK, Language

# Entries looked at in each of the three searches. With 100 the same are found on the dialogues, with 20
# one less; and what is weighed takes the event loop.
SEARCHED = 30
# Of those the most relevant in the talk, of each the customer's language and others.
KEPT = 8

_WEIGHT_OF_JOINED = 0.5
_WEIGHT_OF_TOPIC = 0.5
_SAME_TOPIC = 0.1
_JUST_GIVEN = -0.1

# Words that point back, and how messages begin and end that go on from something.
_POINTS_BACK: Mapping[Language, re.Pattern[str]] = {
    "zh": re.compile(
        r"^(?:那|还有|另外|要是|如果|万一|假如|再|也|又|但|可是|不过|然后|接着|所以|或者|同样|换成)|"
        r"[呢呐][？?。！!\s]*$|这个|那个|这种|那种|这样|那样|它|刚才|刚刚|上面|前面|另一|其他的|别的|"
        r"一样|同一|[这那][张单件笔款]|也(?:是|能|可以|要|行|算|会)|对方|他们|里面"
    ),
    "en": re.compile(
        r"^(?:and|but|or|so|also|then|what about|how about|what if|what then|ok|okay|same|still|"
        r"(?:does|is|will|can) (?:that|it)|(?:will|do|can) they|if|even|any)\b|"
        r"\b(?:it|its|that|this|them|they|those|these|one|ones|there|too|either|as well|instead|"
        r"the other|same|the first|earlier)\b|\bthen\?*$"
    ),
}
# As short as this hardly anything is said in full.
_FEW_CHARACTERS = 7
_FEW_WORDS = 4
_CJK_CHARACTER = re.compile(f"[{CJK}]")


@dataclass(frozen=True)
class Topic:
    """What the talk is about: the question before, and the entry that answered it."""

    question: str
    entry: Entry | None

    def completed(self, text: str) -> str:
        """The question and what is asked on."""
        return f"{self.question} {text}"

    def under_entry(self, text: str) -> str:
        """What is asked on, with the topic as the shop itself calls it."""
        return f"{self.entry.question if self.entry else self.question} {text}"


class Searched(Protocol):
    """What is asked of `Knowledge`."""

    async def search(
        self, text: str, vector: NDArray[np.float32], language: str, limit: int
    ) -> list[Match]: ...


class Encoder(Protocol):
    """What is asked of `BatchedEncoder`."""

    async def encode_many(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


async def search_in_talk(
    knowledge: Searched,
    encoder: Encoder,
    text: str,
    vector: NDArray[np.float32],
    language: Language,
    topic: Topic,
) -> list[Match]:
    """What is found for a follow-up in the light of the talk; `vector` is that of `text` alone."""
    completed = [topic.completed(text), topic.under_entry(text)]
    vectors = [vector, *await encoder.encode_many(completed)]
    searches = await asyncio.gather(
        *(
            knowledge.search(words, row, language, SEARCHED)
            for words, row in zip([text, *completed], vectors, strict=True)
        )
    )
    return weigh(topic, *searches)


def goes_on(text: str, language: Language) -> bool:
    """Whether a message in a talk may be a follow-up: it points back or is very short."""
    return points_back(text, language) or _is_short(text)


def points_back(text: str, language: Language) -> bool:
    """Whether a message says by its wording that it goes on from something."""
    return _POINTS_BACK[language].search(text.strip().casefold()) is not None


def weigh(
    topic: Topic, alone: Sequence[Match], joined: Sequence[Match], under: Sequence[Match]
) -> list[Match]:
    """The matches of the three searches by their relevance in the talk, most relevant first.

    An entry that one of the searches did not find counts there as the least relevant it did find.
    """
    searches = ((alone, 1.0), (joined, _WEIGHT_OF_JOINED), (under, _WEIGHT_OF_TOPIC))
    found = {match.entry.id: match for matches, _ in reversed(searches) for match in matches}
    total = dict.fromkeys(found, 0.0)
    for matches, weight in searches:
        relevance = {match.entry.id: match.relevance for match in matches}
        least = min(relevance.values(), default=0.0)
        for id_ in total:
            total[id_] += weight * relevance.get(id_, least)
    whole = sum(weight for _, weight in searches)
    bonus = _bonuses(topic)
    rank = {id_: total[id_] / whole + bonus(match.entry) for id_, match in found.items()}
    best_first = sorted(found.values(), key=lambda m: (-rank[m.entry.id], m.entry.id))
    own = [match for match in best_first if not match.foreign]
    foreign = [match for match in best_first if match.foreign]
    # What the words alone are near to, they are no less near to in a talk.
    by_itself = {match.entry.id: match.relevance for match in alone}
    return [
        replace(m, relevance=_share(max(rank[m.entry.id], by_itself.get(m.entry.id, 0.0))))
        for m in own[:KEPT] + foreign[:KEPT]
    ]


def _bonuses(topic: Topic) -> Callable[[Entry], float]:
    """How much higher or lower an entry is for what the talk is about."""
    about = topic.entry
    if about is None:
        return lambda _: 0.0
    tags = frozenset(about.tags)

    def bonus(entry: Entry) -> float:
        same_topic = 0.0 if tags.isdisjoint(entry.tags) else _SAME_TOPIC
        return same_topic + (_JUST_GIVEN if entry.id == about.id else 0.0)

    return bonus


def _is_short(text: str) -> bool:
    if _CJK_CHARACTER.search(text):
        return sum(character.isalnum() for character in text) <= _FEW_CHARACTERS
    return len(text.split()) <= _FEW_WORDS


def _share(value: float) -> float:
    return min(1.0, max(0.0, value))
