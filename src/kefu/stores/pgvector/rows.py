"""An entry as a row of the tables that are searched.

Terms are numbers of 32 bits, so that no vocabulary has to be kept: of a million different ones some
hundred share theirs with another, and a likeness hardly notices.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from kefu.knowledge.entry import Entry, IndexedEntry
from kefu.knowledge.lexical import MOST_UNITS, UNIT, Floats
from kefu.knowledge.relevance import ANSWER, BEST_COSINE, MEAN_COSINE
from kefu.knowledge.stock import answer_of, text_terms
from kefu.terms import count_terms, exact_key, weight_of

Numbers = NDArray[np.int32]
Units = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class TermLists:
    """Of some texts the numbers of their different terms and the weights in units (`lexical.UNIT`),
    one text's after another's: `ids`, `units` (t,), `sizes` (texts,)."""

    sizes: NDArray[np.int32]
    ids: Numbers
    units: Units

    @classmethod
    def of(cls, texts: Sequence[Mapping[int, int]]) -> TermLists:
        """Of the units of each term, text by text."""
        sizes = np.array([len(text) for text in texts], np.int32)
        ids = np.fromiter((id_ for text in texts for id_ in text), np.int32)
        units = np.fromiter((min(n, MOST_UNITS) for text in texts for n in text.values()), np.uint8)
        return cls(sizes, ids, units)

    def packed(self) -> bytes:
        count = np.array([len(self.sizes)], np.int32)
        return b"".join(part.tobytes() for part in (count, self.sizes, self.ids, self.units))

    @classmethod
    def unpacked(cls, packed: bytes) -> TermLists:
        count = int(np.frombuffer(packed, np.int32, 1)[0])
        sizes = np.frombuffer(packed, np.int32, count, 4)
        terms, begin = int(sizes.sum()), 4 * (count + 1)
        ids = np.frombuffer(packed, np.int32, terms, begin)
        return cls(sizes, ids, np.frombuffer(packed, np.uint8, terms, begin + 4 * terms))


@dataclass(frozen=True, eq=False)
class EntryTerms:
    """The terms of each question of an entry, and those of all that it says, as one text."""

    questions: TermLists
    text: TermLists

    @classmethod
    def of(cls, entry: Entry) -> EntryTerms:
        counted = [count_terms(question) for question in entry.questions]
        asked = [{number_of(t): units_of(t) for t in counts} for counts in counted]
        said = text_terms(entry, counted)
        text = {number_of(term): times * units_of(term) for term, times in said.items()}
        return cls(TermLists.of(asked), TermLists.of([text]))

    @property
    def text_units(self) -> int:
        """The length of the text."""
        return int(self.text.units.sum(dtype=np.int64))


def found_by(entry: Entry, terms: EntryTerms) -> list[int]:
    """The numbers of its terms and of its questions' exact keys, by which the words find it."""
    asked = entry.questions if entry.kind == "faq" else ()  # a heading is nobody's question
    keys = {number_of_key(key) for question in asked if (key := exact_key(question))}
    return sorted({*terms.text.ids.tolist(), *keys})


def near_vector(item: IndexedEntry) -> Floats:
    """(d,): its product with the vector of a question is what vectors add to `first_relevance`."""
    asked = (BEST_COSINE + MEAN_COSINE) * item.vectors.mean(0)
    return np.asarray(asked + ANSWER * answer_of(item), np.float32)


def number_of(term: str) -> int:
    return _signed(crc32(term.encode()))


def number_of_key(key: str) -> int:
    """Of an exact key: another one than that of the same text as a term."""
    return _signed(crc32(b"\0" + key.encode()))


def units_of(term: str) -> int:
    return round(weight_of(term) / UNIT)


def _signed(number: int) -> int:
    return number - (1 << 32) if number >= 1 << 31 else number


def as_text(vector: Floats) -> str:
    """As pgvector reads it."""
    return "[" + ",".join(f"{value:.6g}" for value in vector.tolist()) + "]"
