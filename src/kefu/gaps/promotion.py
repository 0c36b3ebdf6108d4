"""A question and a person's answer become an entry, if that breaks no golden question."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kefu.errors import InvalidInput
from kefu.gaps.golden import Change, GoldenQuestion, GoldenStore, Searched, changes, replay
from kefu.knowledge.entry import Entry, with_language
from kefu.knowledge.importing import derived_id
from kefu.knowledge.match import Choices, Passages, Sure
from kefu.knowledge.service import Encoder, Knowledge
from kefu.language import Language, detect
from kefu.terms import exact_key


@dataclass(frozen=True)
class Draft:
    """What a person wrote. With the `id` of an entry it takes that one's place; where it then has
    no alternatives or tags, the entry keeps its own.
    """

    question: str
    answer: str
    alternatives: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    language: str = ""
    id: str = ""


@dataclass(frozen=True)
class PromotionReport:
    """What a draft does, or would do.

    `doubt` says why the question itself would still not be answered word for word, "" where it
    would. `replayed` golden questions were asked: `broken` ones would be served worse, `mended`
    ones better.
    """

    entry: Entry
    saved: bool
    doubt: str
    replayed: int
    broken: tuple[Change, ...]
    mended: tuple[Change, ...]

    @property
    def is_harmless(self) -> bool:
        return not self.doubt and not self.broken


async def promote(
    draft: Draft,
    knowledge: Knowledge,
    encoder: Encoder,
    golden: GoldenStore,
    *,
    default_language: Language = "zh",
    dry_run: bool = False,
    force: bool = False,
) -> PromotionReport:
    """Save the draft as an entry, and its question as a golden one.

    Nothing is saved with `dry_run`, or where the report is not harmless, unless by `force`. Raises
    `InvalidInput` for a draft that can be no entry.
    """
    entry = with_language(_entry_of(draft, knowledge.entries))
    kept = await asyncio.to_thread(golden.all)
    replayed = [one for one in kept if not _is_settled(one, entry)]
    trial = await knowledge.with_entries([entry])
    vectors = await encoder.encode_many([*(one.question for one in replayed), entry.question])
    before = await replay(replayed, vectors[:-1], knowledge, default_language)
    after = await replay(replayed, vectors[:-1], trial, default_language)
    broken, mended = changes(replayed, before, after)
    doubt = await _find_doubt(entry, vectors[-1], trial, default_language)
    report = PromotionReport(entry, False, doubt, len(replayed), broken, mended)
    if dry_run or not (report.is_harmless or force):
        return report
    await knowledge.import_entries([entry])
    settled = [one.question for one in kept if _is_settled(one, entry)]
    await asyncio.to_thread(golden.save, [GoldenQuestion(entry.question, entry.id)], settled)
    return replace(report, saved=True)


def _entry_of(draft: Draft, known: Mapping[str, Entry]) -> Entry:
    question, answer = draft.question.strip(), draft.answer.strip()
    id_ = draft.id or derived_id(question)
    found = known.get(id_)
    if found is None:
        alternatives = _without(question, draft.alternatives)
        return Entry(id_, question, answer, alternatives, draft.tags, draft.language)
    if not draft.id:
        raise InvalidInput(
            f"The entry {id_} has this question already. Give its id to replace its answer."
        )
    if found.kind != "faq":
        raise InvalidInput(
            f"{id_} is a passage of {found.source or 'a document'}, which its next import would "
            "bring back. Leave the id out to make an entry of your own."
        )
    return replace(
        found,
        question=question,
        answer=answer,
        alternatives=_without(question, draft.alternatives or found.alternatives),
        tags=draft.tags or found.tags,
        language=draft.language,
        enabled=True,
    )


def _without(question: str, alternatives: Sequence[str]) -> tuple[str, ...]:
    """Each once, and none that is the question."""
    stripped = (text.strip() for text in alternatives)
    return tuple(text for text in dict.fromkeys(stripped) if text and text != question)


def _is_settled(golden: GoldenQuestion, entry: Entry) -> bool:
    """Whether the draft itself says what becomes of this golden question.

    One that another entry answers is not settled: that there are two answers now is news.
    """
    same = exact_key(golden.question) == exact_key(entry.question)
    return same and golden.entry_id in ("", entry.id)


async def _find_doubt(
    entry: Entry, vector: NDArray[np.float32], trial: Searched, default_language: Language
) -> str:
    question = entry.question
    found = await trial.search(question, vector, detect(question, default_language))
    match trial.decide(question, found):
        case Sure(match=best) if best.entry.id == entry.id:
            return ""
        case Sure(match=best):
            return f"{best.entry.id} answers it"
        case Choices(doubt=doubt) | Passages(doubt=doubt):
            return doubt
        case _:
            return "it would not be found"
