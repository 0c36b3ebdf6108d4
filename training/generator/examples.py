"""From the businesses in `data/` to training examples: passages, earlier rounds, question, answer.

Deterministic: one seed, one list. Every example is written by hand; chance draws the values of its
slots, the passages that stand beside it, and their order.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

DATA = Path(__file__).parent / "data"

Language = Literal["zh", "en"]
Kind = Literal["answer", "pair", "double", "follow_up", "near_miss", "elsewhere", "ask_back"]

_SLOT = re.compile(r"\{(?:(\w+)\.)?(\w+)\}")
_TERM = re.compile(r"[a-z']{3,}|[\u4e00-\u9fff]{2}")
# How many passages stand beside the right one, and at which place (0: the best) it is then found.
_BESIDE = (0, 1, 1, 2, 2, 2)
# How often they are among the four most alike.
_NEAR = 0.6
_PLACES = (0, 0, 0, 1, 1, 2)
# So many entries are missing at a time.
_MISSING = 3
# The share of contexts that another round about them stands before.
_TALKED = 0.15

# A yes or no that opens an answer, before the sentence that says it.
_LEAD = {
    "zh": re.compile(
        r"(?:是的|不是|没有|(?:不)?(?:可以|能|行|会|用|需要|收|要|算|支持|够|包|是)|有|可|对|没事)"
        r"[，,]\s*(?=.{4})"
    ),
    "en": re.compile(r"(?:yes|no|sure),\s+(?=\S+ \S+ \S)", re.IGNORECASE),
}
# How people put two questions into one message.
_JOINTS = {
    "zh": ("？", "，", "，还有", "，另外", " "),
    "en": ("? ", "? ", ", and ", " and ", "? also "),
}


@dataclass(frozen=True)
class Passage:
    title: str
    text: str


@dataclass(frozen=True)
class Asked:
    """`answer` None: the passages do not tell."""

    kind: Kind
    question: str
    answer: str | None


@dataclass(frozen=True)
class Context:
    """What a model reads once, and questions that are asked about it, each for itself.

    `passages` best first, as a search gives them; `rounds` are the turns before; `right` are the
    numbers of the passages that answers come from.
    """

    language: Language
    passages: tuple[Passage, ...]
    rounds: tuple[tuple[str, str], ...]
    asked: tuple[Asked, ...]
    right: tuple[int, ...]


def contexts(
    seed: int, folder: Path = DATA, beside: Sequence[int] = _BESIDE, near: float = _NEAR
) -> list[Context]:
    """One pass over the data, in random order; another seed draws other values and neighbours.

    `beside`: how many passages may stand beside the right one; `near`: the share of them that are
    among the most alike.
    """
    chance = random.Random(seed)
    found = [
        context
        for path in sorted(folder.glob("*.jsonl"))
        for line in path.read_text("utf-8").splitlines()
        for context in _of_business(json.loads(line), chance, beside, near)
    ]
    chance.shuffle(found)
    return found


def _of_business(
    business: Mapping[str, Any], chance: random.Random, beside: Sequence[int], near: float
) -> Iterator[Context]:
    language = business["language"]
    drawn = {entry["id"]: _drawn(entry, language, chance) for entry in business["entries"]}
    shelf = _Shelf(drawn, chance, beside, near)
    for entry in drawn.values():
        asked = [Asked("answer", ask["q"], ask["a"]) for ask in entry["asks"]]
        asked += [Asked("near_miss", question, None) for question in entry["near_misses"]]
        rounds: tuple[tuple[str, str], ...] = ()
        if len(asked) > 2 and chance.random() < _TALKED:
            earlier = entry["asks"][0]
            rounds, asked = ((earlier["q"], earlier["a"]),), asked[1:]
        passages, right = shelf.around([entry["id"]])
        yield Context(language, passages, rounds, tuple(asked), right)
        for follow in entry.get("follow_ups", ()):
            round_ = (follow["first"]["q"], follow["first"]["a"])
            after = Asked("follow_up", follow["q"], follow["a"])
            passages, right = shelf.around([entry["id"]])
            yield Context(language, passages, (round_,), (after,), right)
    yield from _elsewhere(language, drawn, shelf, chance)
    for pair in business.get("pairs", ()):
        values = {key: drawn[key]["values"] for key in pair["entries"]}
        question, answer = (_filled(pair[key], {}, values) for key in ("q", "a"))
        answer = _alone(language, answer)
        both = [chance.choice(drawn[key]["asks"]) for key in pair["entries"][:2]]
        asked = [Asked("pair", question, answer)]
        asked.append(Asked("double", *_joined(language, *both, chance)))
        passages, right = shelf.around(pair["entries"])
        yield Context(language, passages, (), tuple(asked), right)
    for short in business.get("ask_backs", ()):
        asked = [Asked("ask_back", short["q"], short["a"])]
        passages = shelf.passages(short["entries"])
        yield Context(language, passages, (), tuple(asked), tuple(range(len(passages))))


def _elsewhere(
    language: Language, drawn: Mapping[str, Any], shelf: _Shelf, chance: random.Random
) -> Iterator[Context]:
    """What an entry answers is not told where that entry is missing."""
    keys = chance.sample(sorted(drawn), len(drawn))
    for begin in range(0, len(keys), _MISSING):
        missing = keys[begin : begin + _MISSING]
        asks = [ask for key in missing for ask in chance.sample(drawn[key]["asks"], 2)]
        asked = tuple(Asked("elsewhere", ask["q"], None) for ask in asks)
        yield Context(language, shelf.others(missing, chance.randint(1, 3)), (), asked, ())


def _joined(
    language: Language, first: Mapping[str, str], second: Mapping[str, str], chance: random.Random
) -> tuple[str, str]:
    """Two questions in one message, and both answers."""
    question = first["q"].rstrip("？?。. ") + chance.choice(_JOINTS[language]) + second["q"]
    if language == "zh":
        return question, f"{first['a'].rstrip('。')}；{second['a']}"
    return question, f"{first['a']} {second['a']}"


def _drawn(entry: Mapping[str, Any], language: Language, chance: random.Random) -> dict[str, Any]:
    """The entry with a value for each slot, in all of its texts."""
    values = {name: chance.choice(options) for name, options in entry.get("slots", {}).items()}
    filled = _filled_all(entry, values)
    for ask in filled["asks"]:
        ask["a"] = _alone(language, ask["a"])
    for follow in filled.get("follow_ups", ()):
        follow["a"] = _alone(language, follow["a"])
    return {**filled, "values": values}


def _alone(language: Language, answer: str) -> str:
    """Without the yes or no before it.

    The sentence of the passage says it anyway. A model this small settles on yes or no before it has
    found that sentence, and is wrong as often as right.
    """
    rest = _LEAD[language].sub("", answer, count=1) if _LEAD[language].match(answer) else answer
    return rest[:1].upper() + rest[1:]


def _filled_all(value: Any, values: Mapping[str, str]) -> Any:
    if isinstance(value, str):
        return _filled(value, values, {})
    if isinstance(value, list):
        return [_filled_all(item, values) for item in value]
    if isinstance(value, Mapping):
        return {k: v if k == "slots" else _filled_all(v, values) for k, v in value.items()}
    return value


def _filled(text: str, own: Mapping[str, str], others: Mapping[str, Mapping[str, str]]) -> str:
    def value(found: re.Match[str]) -> str:
        entry, name = found.groups()
        known = others.get(entry, {}) if entry else own
        return known.get(name, found.group())

    return _SLOT.sub(value, text)


class _Shelf:
    """The entries of a business, as a search would bring them: the like ones first."""

    def __init__(
        self,
        entries: Mapping[str, Mapping[str, Any]],
        chance: random.Random,
        beside: Sequence[int],
        near: float,
    ) -> None:
        self._entries = entries
        self._chance = chance
        self._beside = beside
        self._near = near
        self._terms = {
            key: frozenset(_TERM.findall(f"{e['title']} {e['text']}".lower()))
            for key, e in entries.items()
        }

    def passages(self, keys: Iterable[str]) -> tuple[Passage, ...]:
        return tuple(Passage(self._entries[k]["title"], self._entries[k]["text"]) for k in keys)

    def around(self, right: Sequence[str]) -> tuple[tuple[Passage, ...], tuple[int, ...]]:
        """The right ones among others that are like them, and where they stand."""
        keys = list(self._like(right, self._chance.choice(self._beside)))
        for key in self._chance.sample(right, len(right)):
            keys.insert(min(len(keys), self._chance.choice(_PLACES)), key)
        return self.passages(keys), tuple(keys.index(key) for key in right)

    def others(self, missing: Sequence[str], count: int) -> tuple[Passage, ...]:
        return self.passages(self._like(missing, count))

    def _like(self, keys: Sequence[str], count: int) -> list[str]:
        """Half of them the most alike, the rest by chance."""
        own = frozenset().union(*(self._terms[key] for key in keys))
        rest = [key for key in self._entries if key not in keys]
        rest.sort(key=lambda key: -len(self._terms[key] & own) / (1 + len(self._terms[key])))
        near, far = rest[:4], rest[4:]
        found = []
        for _ in range(count):
            pool = near if (self._chance.random() < self._near and near) or not far else far
            found.append(pool.pop(self._chance.randrange(len(pool))))
        return found
