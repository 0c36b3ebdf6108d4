"""Candidates weighed as a shelf in memory weighs them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kefu.knowledge.closely import Close, Match
from kefu.knowledge.lexical import UNIT, Ints, Queries, QuestionTerms, TermRows, TextTerms
from kefu.knowledge.shelf import Wording
from kefu.knowledge.stock import answer_of
from kefu.stores.pgvector.candidates import Asked, Candidate
from kefu.stores.pgvector.counts import LanguageCounts
from kefu.stores.pgvector.rows import Numbers, TermLists
from kefu.terms import exact_key


def weighed(
    candidates: Sequence[Candidate],
    wording: Wording,
    asked: Asked,
    counts: LanguageCounts,
    limit: int,
    *,
    foreign: bool,
) -> list[Match]:
    """The most relevant `limit` of candidates of one language, in no order."""
    if not candidates:
        return []
    close, ids = _close(candidates, asked, counts)
    n = len(asked.ids)
    queries = Queries(
        np.zeros(n, np.int64),
        np.searchsorted(ids, asked.ids),
        (asked.units * np.float32(UNIT)).astype(np.float32),
        np.zeros(1),
        np.zeros(1),
    )
    exact = _same_rows(candidates, close.starts, wording.key)
    cosine, answer = close.vectors @ asked.vector, close.answers @ asked.vector
    scored = close.score(queries, [exact], cosine[np.newaxis], answer[np.newaxis])
    return scored.matches(limit, foreign=foreign)[0]


def _close(
    candidates: Sequence[Candidate], asked: Asked, counts: LanguageCounts
) -> tuple[Close, Numbers]:
    """The candidates with their terms numbered anew, and the numbers those had, in order."""
    items = [candidate.item for candidate in candidates]
    vectors = np.concatenate([item.vectors for item in items])
    questions = _joined([candidate.terms.questions for candidate in candidates])
    # Of what an entry says nothing counts but what was asked, and its length.
    texts = _among(_joined([candidate.terms.text for candidate in candidates]), asked.ids)
    ids = np.unique(np.concatenate((questions.ids, asked.ids)))
    lengths = np.array([candidate.terms.text_units for candidate in candidates], np.float32)
    sizes = np.array([len(item.vectors) for item in items], np.int64)
    numbers: dict[str, int] = {}
    close = Close(
        [item.entry for item in items],
        np.arange(len(vectors)),
        np.cumsum(sizes) - sizes,
        sizes,
        vectors,
        np.stack([answer_of(item) for item in items]),
        QuestionTerms.of(_rows(questions, ids), counts.of_questions(ids), np.arange(len(vectors))),
        TextTerms.of(
            _rows(texts, ids),
            counts.of_texts(ids),
            np.arange(len(items)),
            (lengths / np.float32(counts.average_units)).astype(np.float32),
        ),
        np.array([numbers.setdefault(i.entry.answer, len(numbers)) for i in items], np.int64),
        np.array([item.entry.kind == "passage" for item in items]),
    )
    return close, ids


def _joined(lists: Sequence[TermLists]) -> TermLists:
    return TermLists(
        np.concatenate([terms.sizes for terms in lists]),
        np.concatenate([terms.ids for terms in lists]),
        np.concatenate([terms.units for terms in lists]),
    )


def _among(lists: TermLists, ids: Numbers) -> TermLists:
    """Only these terms."""
    is_kept = np.isin(lists.ids, ids)
    owners = np.repeat(np.arange(len(lists.sizes)), lists.sizes)[is_kept]
    sizes = np.bincount(owners, minlength=len(lists.sizes)).astype(np.int32)
    return TermLists(sizes, lists.ids[is_kept], lists.units[is_kept])


def _rows(lists: TermLists, ids: Numbers) -> TermRows:
    starts = np.concatenate(([0], np.cumsum(lists.sizes, dtype=np.int64)))
    return TermRows(np.searchsorted(ids, lists.ids).astype(np.int32), lists.units, starts)


def _same_rows(candidates: Sequence[Candidate], starts: Ints, key: str) -> Ints:
    """Where the questions stand that are the very one that is asked."""
    rows = [
        start + number
        for candidate, start in zip(candidates, starts.tolist(), strict=True)
        if key and candidate.may_be_same and candidate.item.entry.kind == "faq"
        for number, question in enumerate(candidate.item.entry.questions)
        if exact_key(question) == key
    ]
    return np.array(rows, np.int64)
