"""One thing the company knows: a question with its vetted answer, or a passage of a document."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import date
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kefu.language import detect

MAX_ID = 128
MAX_QUESTION = 500
MAX_ANSWER = 8000
MAX_ALTERNATIVES = 100
MAX_TAGS = 32
MAX_TAG = 64
MAX_SOURCE = 500

# An id stands in URLs, file names and citations.
_SAFE_ID = re.compile(r"[0-9A-Za-z_\u3400-\u9fff][0-9A-Za-z_.:\u3400-\u9fff-]*")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")


# `faq`: a question that a person wrote with its answer, which may go out word for word.
# `passage`: a piece of a document under its headings, for the generator to write from.
Kind = Literal["faq", "passage"]


@dataclass(frozen=True)
class Entry:
    """`language` is that of the answer: "zh", "en", or "" until it is looked at.

    Of a passage `question` is the path of its headings, `answer` its text and `alternatives` its
    sentences. `source` names the file or page an entry came from, "" where a person entered it.
    `valid_from` and `valid_until` are the first and the last day on which it may be used.
    """

    id: str
    question: str
    answer: str
    alternatives: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    language: str = ""
    kind: Kind = "faq"
    source: str = ""
    page: int | None = None
    enabled: bool = True
    valid_from: date | None = None
    valid_until: date | None = None

    @property
    def questions(self) -> tuple[str, ...]:
        return (self.question, *self.alternatives)

    @property
    def is_dated(self) -> bool:
        return self.valid_from is not None or self.valid_until is not None

    def is_valid_on(self, day: date) -> bool:
        """Whether it may be used on that day; disabled entries never."""
        started = self.valid_from is None or self.valid_from <= day
        ended = self.valid_until is not None and self.valid_until < day
        return self.enabled and started and not ended

    @property
    def content_hash(self) -> str:
        """Same hash, same content: such an entry is not saved again."""
        days = [str(day) if day else "" for day in (self.valid_from, self.valid_until)]
        written = [self.question, self.answer, self.alternatives, self.tags, self.language]
        about = [self.kind, self.source, self.page, self.enabled, *days]
        text = json.dumps([self.id, *written, *about], ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()


@dataclass(frozen=True, eq=False)
class IndexedEntry:
    """An entry with one vector for each of its questions: (1 + len(alternatives), d) float32.

    `answer` (d,) stands for what the answer says (`vectors.indexed`); None: nothing is known of it.
    """

    entry: Entry
    vectors: NDArray[np.float32]
    answer: NDArray[np.float32] | None = None


def with_language(entry: Entry) -> Entry:
    """Fill in a missing language. The answer decides it: a question may be a product's name."""
    if entry.language:
        return entry
    return replace(entry, language=detect(f"{entry.question} {entry.answer}"))


def problems_of(entry: Entry) -> Iterator[tuple[str, str]]:
    """What keeps an entry out of the knowledge: (field, reason) for each thing wrong."""
    yield from _id_problems(entry.id)
    yield from _text_problems("question", entry.question, MAX_QUESTION)
    yield from _text_problems("answer", entry.answer, MAX_ANSWER)
    yield from _list_problems("alternatives", entry.alternatives, MAX_ALTERNATIVES, MAX_QUESTION)
    yield from _list_problems("tags", entry.tags, MAX_TAGS, MAX_TAG)
    if entry.language not in ("zh", "en", ""):
        yield "language", f"{entry.language[:20]!r} is not zh, en or empty"
    if len(entry.source) > MAX_SOURCE:
        yield "source", f"has {len(entry.source)} characters; {MAX_SOURCE} are allowed"
    if entry.valid_from and entry.valid_until and entry.valid_until < entry.valid_from:
        yield "valid_until", f"{entry.valid_until} is before valid_from, {entry.valid_from}"


def _id_problems(id_: str) -> Iterator[tuple[str, str]]:
    if not id_:
        yield "id", "is empty"
    elif len(id_) > MAX_ID:
        yield "id", f"has {len(id_)} characters; {MAX_ID} are allowed"
    elif not _SAFE_ID.fullmatch(id_):
        yield "id", f"{id_[:40]!r} has characters other than letters, digits, Han, and _ . : -"


def _text_problems(field: str, text: str, longest: int) -> Iterator[tuple[str, str]]:
    if not text.strip():
        yield field, "is empty"
    if len(text) > longest:
        yield field, f"has {len(text)} characters; {longest} are allowed"
    if found := _FORBIDDEN.search(text):
        yield field, f"has a character that is not text (U+{ord(found.group()):04X})"


def _list_problems(
    field: str, texts: tuple[str, ...], most: int, longest: int
) -> Iterator[tuple[str, str]]:
    if len(texts) > most:
        yield field, f"has {len(texts)} items; {most} are allowed"
    for text in texts:
        yield from _text_problems(field, text, longest)
