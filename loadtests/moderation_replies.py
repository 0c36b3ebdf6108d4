"""Replies as a model streams them: made from the sample shop's answers, some with a listed word."""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from random import Random

from loadtests.evasion import KINDS, language_of

from kefu.knowledge.sample_shop import sample_entries
from kefu.language import Language

_TRIES = 50


@dataclass(frozen=True)
class Streamed:
    """A reply. `kind` is how the word in it is disguised, "" where it has none."""

    text: str
    kind: str = ""


def made_replies(words: Sequence[str], count: int, seed: int) -> list[Streamed]:
    """`count` replies of one to three answers; every other one has one of `words` in some disguise
    at some place, also in the middle of another word."""
    random = Random(seed)
    answers: dict[Language, list[str]] = {"zh": [], "en": []}
    for entry in sample_entries():
        answers[entry.language].append(entry.answer)
    own = {language: [w for w in words if language_of(w) == language] for language in answers}
    replies = []
    for number in range(count):
        language = random.choice(("zh", "zh", "en")) if own["en"] else "zh"
        parts = random.sample(answers[language], random.randint(1, 3))
        text = ("" if language == "zh" else " ").join(parts)
        replies.append(_with_word(text, own[language], random) if number % 2 else Streamed(text))
    return replies


def _with_word(text: str, words: Sequence[str], random: Random) -> Streamed:
    for _ in range(_TRIES):
        word = random.choice(words)
        kind = random.choice(list(KINDS.values()))
        disguised = kind.apply(word, random) if language_of(word) in kind.languages else None
        if disguised:
            place = random.choice(_places(text))
            return Streamed(text[:place] + disguised + text[place:], kind.name)
    raise ValueError("none of the words can be disguised")


def _places(text: str) -> list[int]:
    """Anywhere in Chinese, between words in English."""
    is_chinese = language_of(text) == "zh"
    return [n for n in range(len(text) + 1) if is_chinese or not text[n - 1 : n].isalnum()]


def by_character(text: str, random: Random) -> Iterator[str]:
    """Pieces of one to eight characters."""
    at = 0
    while at < len(text):
        size = random.choice((1, 1, 1, 2, 2, 3, 5, 8))
        yield text[at : at + size]
        at += size


def by_byte(text: str, random: Random) -> Iterator[str]:
    """What a decoder makes of chunks of one to twelve bytes, which may end inside a character."""
    decoder, data, at = codecs.getincrementaldecoder("utf-8")(), text.encode(), 0
    while at < len(data):
        size = random.randint(1, 12)
        yield decoder.decode(data[at : at + size])
        at += size
    yield decoder.decode(b"", final=True)


CUTS: Mapping[str, Callable[[str, Random], Iterator[str]]] = {
    "character": by_character,
    "byte": by_byte,
}
