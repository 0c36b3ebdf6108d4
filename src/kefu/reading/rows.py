"""What the reader's network reads: a question, and the passages sentence by sentence.

`<s> [the question before] </s> question </s> [title] </s> sentence </s> sentence ... </s> [title] </s>
sentence ...`. Passages are read together as far as there is room: which of two twins is meant (green tea,
white tea) shows beside the other. A sentence answers as far as its tokens do, on average: with one token
standing for each sentence the network did not learn to tell them apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from kefu.clauses import sentences_of
from kefu.inference.models.e5.layout import READER_TOKENS
from kefu.paraphrase.pieces import BEGIN, END, Pieces

MOST_TOKENS_OF_QUESTION = 64


@dataclass(frozen=True)
class Passage:
    """`title`: its question or headings; may be empty."""

    title: str
    text: str


@dataclass(frozen=True)
class Place:
    """A sentence: whose it is, the how many'th of its passage, and where it stands in the row."""

    passage: int
    number: int
    begin: int
    end: int


@dataclass(frozen=True)
class Row:
    """Token ids, and the place of each sentence in them. One that there is no room for has none."""

    ids: tuple[int, ...]
    places: tuple[Place, ...]


def rows_of(
    question: str, before: str, passages: Sequence[Passage], pieces: Pieces
) -> Iterator[Row]:
    """As few rows as the passages fit into; one that is too long for a row is cut. `before`: the
    question of the turn before, "" where this one does not go on from it."""
    asked = [BEGIN]
    for text in (before, question):
        if text or text is question:
            asked += [*pieces.ids(text, MOST_TOKENS_OF_QUESTION), END]
    ids, places = list(asked), list[Place]()
    for number, passage in enumerate(passages):
        read, inside = _read(passage, pieces)
        if len(ids) + len(read) > READER_TOKENS and places:
            yield Row(tuple(ids), tuple(places))
            ids, places = list(asked), []
        begin = len(ids)
        ids = (ids + read)[:READER_TOKENS]
        places += [
            Place(number, place, begin + first, min(begin + last, len(ids)))
            for place, (first, last) in enumerate(inside)
            if begin + first < len(ids)
        ]
    if places:
        yield Row(tuple(ids), tuple(places))


def _read(passage: Passage, pieces: Pieces) -> tuple[list[int], list[tuple[int, int]]]:
    """A passage as ids, and where its sentences begin and end in them, with the mark behind."""
    ids = [*pieces.ids(passage.title, MOST_TOKENS_OF_QUESTION), END] if passage.title else []
    inside = []
    for sentence in sentences_of(passage.text):
        begin = len(ids)
        ids += [*pieces.ids(sentence, READER_TOKENS), END]
        inside.append((begin, len(ids)))
    return ids, inside
