"""What the reader's network reads: a question, and one passage sentence by sentence.

`<s> [the question before] </s> question </s> [title] </s> sentence </s> sentence ... </s>`. A sentence
answers as far as its tokens do, on average: with one token standing for each sentence the network
did not learn to tell them apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from kefu.inference.models.e5.layout import READER_TOKENS
from kefu.paraphrase.pieces import BEGIN, END, Pieces

MOST_TOKENS_OF_QUESTION = 64


@dataclass(frozen=True)
class Row:
    """Token ids, and where each sentence begins and ends in them. A passage that is too long is
    read as far as there is room: later sentences have no place."""

    ids: tuple[int, ...]
    places: tuple[tuple[int, int], ...]


def row_of(question: str, before: str, title: str, sentences: Sequence[str], pieces: Pieces) -> Row:
    """`before` and `title` may be empty."""
    ids = [BEGIN]
    for text in (before, question, title):
        if text or text is question:
            ids += [*pieces.ids(text, MOST_TOKENS_OF_QUESTION), END]
    ids.pop()
    begins = []
    for sentence in sentences:
        if len(ids) >= READER_TOKENS - 2:
            break
        begins.append(len(ids))
        ids += [END, *pieces.ids(sentence, READER_TOKENS)]
    ids = ids[: READER_TOKENS - 1]
    return Row((*ids, END), tuple(pairwise([*begins, len(ids)])))
