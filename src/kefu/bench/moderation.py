"""How long a word filter takes for a sentence, on this machine and beside others in one run.

All look for the same words in the same sentences, those of the sample shop cut to 50 characters.
kefu's times are of everything it does: folding, disguises, word borders and allowed phrases.
"""

from __future__ import annotations

import importlib
import random
import time
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from itertools import chain, repeat
from typing import Any

import numpy as np

from kefu.bench.machine import describe_machine
from kefu.knowledge.sample_shop import sample_entries
from kefu.language import Language
from kefu.moderation.categories import Category, Severity
from kefu.moderation.filter import WordFilter
from kefu.moderation.hit import Word
from kefu.moderation.lexicon import starter_lexicon

WORDS = 20_000
CHARACTERS = 50
ROUNDS = 20

_SEED = 20_261_122
# One call of a filter that compares with every word can take a second.
_SECONDS_PER_CELL = 5.0
_WARM_UP = 50
_LANGUAGES: tuple[Language, ...] = ("zh", "en")
# Each of its words stands for all ways to write it with other signs: 20,000 need gigabytes.
_MOST_FOR_BETTER_PROFANITY = 2_000

Find = Callable[[str], object]
OnProgress = Callable[[str, int, int], None]
"""Told what goes on, how much of it is done, and of how much."""


@dataclass(frozen=True)
class Cell:
    """Times of one sentence in microseconds."""

    language: Language
    calls: int
    p50_us: float
    p99_us: float


@dataclass(frozen=True)
class Row:
    """One filter. `missing` says why there are no figures; "" where there are."""

    name: str
    words: int
    missing: str = ""
    build_seconds: float | None = None
    cells: tuple[Cell, ...] = ()
    note: str = ""


@dataclass(frozen=True)
class Report:
    machine: dict[str, Any]
    words: int
    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class _Candidate:
    """`build` takes the words and gives what looks for them. Raises `ImportError`."""

    name: str
    package: str
    build: Callable[[Sequence[str]], Find]
    most_words: int | None = None
    note: str = ""


def compare_filters(
    words: int = WORDS, rounds: int = ROUNDS, on_progress: OnProgress = lambda *_: None
) -> Report:
    """Measure kefu's word filter and those of others that are installed."""
    on_progress("looking at the machine", 0, len(_CANDIDATES) + 1)
    machine = describe_machine()
    listed = make_words(words)
    sentences = {language: make_sentences(language) for language in _LANGUAGES}
    rows = []
    for number, candidate in enumerate(_CANDIDATES, 1):
        on_progress(candidate.name, number, len(_CANDIDATES) + 1)
        rows.append(_measure(candidate, listed, sentences, rounds))
    return Report(machine, words, tuple(rows))


def make_words(count: int) -> list[str]:
    """The words that come with kefu and made-up ones of their kind, the same in every run.

    Two in three are Chinese, of the characters that the sample shop writes with.
    """
    dice = random.Random(_SEED)  # noqa: S311 - reproducible, not secret
    characters = sorted({c for text in _texts("zh") for c in text if c >= "\u4e00"})
    syllables = [a + b for a in "bcdfghklmnprstvwz" for b in ("a", "e", "i", "o", "u", "ou", "en")]
    found = dict.fromkeys(starter_lexicon().words)
    while len(found) < count:
        is_chinese = dice.random() < 2 / 3
        pieces = characters if is_chinese else syllables
        lengths = (3, 4, 4, 5, 6) if is_chinese else (3, 4, 5)
        found["".join(dice.choices(pieces, k=dice.choice(lengths)))] = None
    return list(found)[:count]


def make_sentences(language: Language) -> list[str]:
    """What the sample shop writes, cut to pieces of `CHARACTERS`."""
    text = "".join(_texts(language))
    return [
        text[start : start + CHARACTERS] for start in range(0, len(text) - CHARACTERS, CHARACTERS)
    ]


def _texts(language: Language) -> list[str]:
    return [
        text
        for entry in sample_entries()
        if entry.language == language
        for text in (*entry.questions, entry.answer)
    ]


def _measure(
    candidate: _Candidate,
    words: Sequence[str],
    sentences: dict[Language, list[str]],
    rounds: int,
) -> Row:
    used = words[: candidate.most_words]
    began = time.perf_counter()
    try:
        find = candidate.build(used)
    except ImportError:
        return Row(candidate.name, len(used), f"pip install {candidate.package}")
    seconds = time.perf_counter() - began
    cells = tuple(_timed(find, language, texts, rounds) for language, texts in sentences.items())
    return Row(candidate.name, len(used), "", round(seconds, 3), cells, candidate.note)


def _timed(find: Find, language: Language, sentences: Sequence[str], rounds: int) -> Cell:
    """Every sentence in each round, after some to warm up, as long as there is time."""
    for sentence in sentences[:_WARM_UP]:
        find(sentence)
    ends = time.perf_counter() + _SECONDS_PER_CELL
    times: list[float] = []
    for sentence in chain.from_iterable(repeat(sentences, rounds)):
        began = time.perf_counter()
        find(sentence)
        now = time.perf_counter()
        times.append(now - began)
        if now > ends:
            break
    return _cell(language, times)


def _cell(language: Language, times: Sequence[float]) -> Cell:
    p50, p99 = (round(1e6 * float(value), 2) for value in np.percentile(times, (50, 99)))
    return Cell(language, len(times), p50, p99)


# --- the filters ---------------------------------------------------------------------------------


def _kefu(words: Sequence[str]) -> Find:
    listed = (Word(word, Category.ABUSE, Severity.HIGH) for word in words)
    return WordFilter(listed, starter_lexicon().allowed).find


def _pyahocorasick(words: Sequence[str]) -> Find:
    automaton = importlib.import_module("ahocorasick").Automaton()
    for word in words:
        automaton.add_word(word, word)
    automaton.make_automaton()
    return lambda text: list(automaton.iter(text))


def _pyahocorasick_folded(words: Sequence[str]) -> Find:
    find = _pyahocorasick(words)
    return lambda text: find(unicodedata.normalize("NFKC", text).lower())


def _better_profanity(words: Sequence[str]) -> Find:
    profanity = importlib.import_module("better_profanity").Profanity(list(words))
    found: Find = profanity.contains_profanity
    return found


_CANDIDATES = (
    _Candidate("kefu", "kefu", _kefu),
    _Candidate("pyahocorasick", "pyahocorasick", _pyahocorasick, note="finds the plain words only"),
    _Candidate(
        "pyahocorasick+NFKC",
        "pyahocorasick",
        _pyahocorasick_folded,
        note="after folding width and case",
    ),
    _Candidate(
        "better-profanity",
        "better-profanity",
        _better_profanity,
        _MOST_FOR_BETTER_PROFANITY,
        "undoes leetspeak; does not read Chinese",
    ),
)
