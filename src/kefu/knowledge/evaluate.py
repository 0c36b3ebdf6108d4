"""How well does the knowledge answer questions that people labelled?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kefu.courtesies import without_courtesies
from kefu.errors import InvalidFile
from kefu.knowledge.index import Match
from kefu.knowledge.match import Decision, Sure
from kefu.knowledge.service import Encoder, Knowledge
from kefu.language import Language, detect
from kefu.tables import Cell, read_table

_RANKS = 50


@dataclass(frozen=True)
class LabelledQuery:
    """`faq_id` is the entry that answers, "" where none does."""

    query: str
    faq_id: str


@dataclass(frozen=True)
class Evaluation:
    """Shares, 0 to 1; a share of nothing is None.

    `hit_at_1`, `hit_at_5` and `mrr` (of the first 50) are over queries that an entry answers;
    `wrong_sure_rate` is over those that none answers. `sure_precision` is the share of right ones
    among all answers given word for word, `sure_recall` the share of answerable queries that got
    the right one. `unknown_ids` counts labels that name no entry: each is a miss.
    """

    hit_at_1: float | None
    hit_at_5: float | None
    mrr: float | None
    n: int
    sure_precision: float | None
    sure_recall: float | None
    wrong_sure_rate: float | None
    n_unanswerable: int
    unknown_ids: int


@dataclass(frozen=True)
class _Outcome:
    faq_id: str
    rank: int | None
    sure_id: str | None


def read_queries(source: Path | bytes, name: str = "") -> list[LabelledQuery]:
    """Read a CSV or JSON lines file with `query` and `faq_id`. Raises `InvalidFile`."""
    table = read_table(source, name, ("query", "faq_id"), {}, lambda _: None)
    if table.problems:
        raise InvalidFile(f"{table.name} has rows that cannot be read.", tuple(table.problems))
    queries = [
        LabelledQuery(_text(row.cells.get("query")), _text(row.cells.get("faq_id")))
        for row in table.rows
    ]
    return [query for query in queries if query.query]


async def evaluate(
    queries: Sequence[LabelledQuery],
    knowledge: Knowledge,
    encoder: Encoder,
    default_language: Language = "zh",
    on_progress: Callable[[int, int], None] | None = None,
) -> Evaluation:
    """Ask every query as a customer would, one by one, in the language it is written in."""
    outcomes = []
    for number, query in enumerate(queries, 1):
        question = without_courtesies(query.query)
        vector = await encoder.encode(question)
        language = detect(query.query, default_language)
        found = await knowledge.search(question, vector, language, _RANKS)
        outcomes.append(_outcome(query.faq_id, found, knowledge.decide(question, found)))
        if on_progress:
            on_progress(number, len(queries))
    unknown = sum(bool(q.faq_id) and q.faq_id not in knowledge.entries for q in queries)
    return _summary(outcomes, unknown)


def _outcome(faq_id: str, found: Sequence[Match], decision: Decision) -> _Outcome:
    ids = [match.entry.id for match in found]
    return _Outcome(
        faq_id,
        rank=ids.index(faq_id) + 1 if faq_id in ids else None,
        sure_id=decision.entry.id if isinstance(decision, Sure) else None,
    )


def _summary(outcomes: Sequence[_Outcome], unknown_ids: int) -> Evaluation:
    answerable = [o for o in outcomes if o.faq_id]
    unanswerable = [o for o in outcomes if not o.faq_id]
    ranks = [o.rank for o in answerable]
    sure = [o for o in outcomes if o.sure_id is not None]
    return Evaluation(
        hit_at_1=_mean([rank == 1 for rank in ranks]),
        hit_at_5=_mean([rank is not None and rank <= 5 for rank in ranks]),
        mrr=_mean([1 / rank if rank else 0.0 for rank in ranks]),
        n=len(outcomes),
        sure_precision=_mean([o.sure_id == o.faq_id for o in sure]),
        sure_recall=_mean([o.sure_id == o.faq_id for o in answerable]),
        wrong_sure_rate=_mean([o.sure_id is not None for o in unanswerable]),
        n_unanswerable=len(unanswerable),
        unknown_ids=unknown_ids,
    )


def _mean(values: Sequence[float]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None


def _text(cell: Cell) -> str:
    return "" if cell is None or isinstance(cell, list) else cell.strip()
