"""Likeness by wording: cosine of IDF-weighted term vectors over an in-memory inverted index."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kefu.terms import lexical_terms

Floats = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class LexicalIndex:
    """Postings of all terms in two long arrays; those of term t are `starts[t]:starts[t + 1]`.

    Cosine and not BM25, because its 0 to 1 can be added to the vectors' likeness without a scale
    that depends on the collection. Terms that no question has count in the length of a query, so
    one that talks of something unknown scores lower.
    """

    size: int
    term_ids: dict[str, int]
    idf: Floats
    unknown_idf: float
    starts: NDArray[np.int64]
    rows: NDArray[np.int32]
    weights: Floats

    def scores(self, text: str) -> Floats:
        """(size,) likeness of a text with every row, 0 to 1."""
        scores = np.zeros(self.size, np.float32)
        weighted = self._weighted(text)
        length = float(np.sqrt(sum(weight**2 for _, weight in weighted)))
        for term, weight in weighted:
            if term is not None:
                postings = slice(self.starts[term], self.starts[term + 1])
                scores[self.rows[postings]] += (weight / length) * self.weights[postings]
        return scores

    def _weighted(self, text: str) -> list[tuple[int | None, float]]:
        found = [(self.term_ids.get(term), tf) for term, tf in lexical_terms(text).items()]
        return [
            (term, tf * (self.unknown_idf if term is None else float(self.idf[term])))
            for term, tf in found
        ]


def build_lexical_index(texts: Sequence[str]) -> LexicalIndex:
    """Index `texts`; row i is `texts[i]`."""
    term_ids: dict[str, int] = {}
    terms, rows, frequencies = array("i"), array("i"), array("f")
    for row, text in enumerate(texts):
        for term, weight in lexical_terms(text).items():
            terms.append(term_ids.setdefault(term, len(term_ids)))
            rows.append(row)
            frequencies.append(weight)
    return _invert(len(texts), term_ids, _int32(terms), _int32(rows), _float32(frequencies))


def _invert(
    size: int,
    term_ids: dict[str, int],
    terms: NDArray[np.int32],
    rows: NDArray[np.int32],
    frequencies: Floats,
) -> LexicalIndex:
    found_in = np.bincount(terms, minlength=len(term_ids))
    idf = np.log1p(size / np.maximum(found_in, 1)).astype(np.float32)
    weights = frequencies * idf[terms]
    lengths = np.sqrt(np.bincount(rows, weights=weights**2, minlength=size))
    by_term = np.argsort(terms, kind="stable")
    return LexicalIndex(
        size=size,
        term_ids=term_ids,
        idf=idf,
        unknown_idf=float(np.log1p(2 * size)),
        starts=np.concatenate(([0], np.cumsum(found_in))),
        rows=rows[by_term],
        weights=(weights / lengths[rows]).astype(np.float32)[by_term],
    )


def _int32(values: array[int]) -> NDArray[np.int32]:
    return np.frombuffer(values, np.int32) if values else np.zeros(0, np.int32)


def _float32(values: array[float]) -> Floats:
    return np.frombuffer(values, np.float32) if values else np.zeros(0, np.float32)
