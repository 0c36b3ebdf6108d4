"""What of an entry is encoded, and how its vectors are put together."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from kefu.knowledge.entry import Entry, IndexedEntry

# A longer answer wanders off, and each sentence costs as much to encode as a question.
MOST_ANSWER_SENTENCES = 12

_SENTENCE_END = re.compile(r"(?<=[。！？!?；;])|(?<=\.)\s+|\n+")


def texts_of(entry: Entry) -> list[str]:
    """The texts whose vectors `indexed` wants. Entries with the same ones share their vectors."""
    return [*entry.questions, *_answer_sentences(entry)]


def indexed(entry: Entry, vectors: NDArray[np.float32]) -> IndexedEntry:
    """An entry with the vectors of `texts_of(entry)`: (n, d).

    What the answer says is the mean of its sentences, longer ones counting more. A passage's
    sentences are its alternatives.
    """
    count = len(entry.questions)
    said = _answer_sentences(entry) or list(entry.alternatives)
    if not said:
        return IndexedEntry(entry, vectors)
    weights = np.sqrt([len(sentence) for sentence in said]).astype(np.float32)
    mean = weights @ vectors[-len(said) :]
    return IndexedEntry(entry, vectors[:count], mean / max(float(np.linalg.norm(mean)), 1e-9))


def _answer_sentences(entry: Entry) -> list[str]:
    if entry.kind == "passage":
        return []
    parts = (part.strip() for part in _SENTENCE_END.split(entry.answer))
    sentences = [part for part in parts if len(part) > 1] or [entry.answer]
    return sentences[:MOST_ANSWER_SENTENCES]
