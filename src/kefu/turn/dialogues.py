"""Does kefu find the right entry for what customers ask on? Measured on labelled dialogues."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kefu.courtesies import without_courtesies
from kefu.errors import InvalidFile, RowProblem
from kefu.knowledge.service import Knowledge
from kefu.language import Language, detect
from kefu.tables import read_text
from kefu.turn.follow_up import Topic, goes_on, search_in_talk


@dataclass(frozen=True)
class LabelledTurn:
    """`faq_id` is the entry that answers; `is_new_topic`: it can be understood alone."""

    text: str
    faq_id: str
    is_new_topic: bool


@dataclass(frozen=True)
class DialogueEvaluation:
    """Shares, 0 to 1, of turns whose right entry is ranked first; None where there is no such turn.

    `follow_up_hit` is over turns that need the one before, each asked on from the entry that rightly
    answered that one; in `follow_up_hit_running` it is the entry that kefu itself ranked first.
    `recognised` is the share of these turns taken for follow-ups by their words, and
    `standalone_kept` the share of new topics that were not.
    """

    first_hit: float | None
    follow_up_hit: float | None
    follow_up_hit_running: float | None
    new_topic_hit: float | None
    recognised: float | None
    standalone_kept: float | None
    n_dialogues: int
    n_follow_ups: int
    n_new_topics: int


class Encoder(Protocol):
    """What is asked of `BatchedEncoder`."""

    async def encode(self, text: str) -> NDArray[np.float32]: ...
    async def encode_many(self, texts: Sequence[str]) -> NDArray[np.float32]: ...


def is_dialogues(text: str) -> bool:
    """Whether a JSON lines text holds dialogues rather than single queries."""
    first = next((line for line in text.splitlines() if line.strip()), "")
    try:
        value = json.loads(first)
    except ValueError:
        return False
    return isinstance(value, dict) and "turns" in value


def read_dialogues(source: Path | bytes, name: str) -> list[list[LabelledTurn]]:
    """Read JSON lines with `turns`, each with `customer`, `faq_id` and, where so, `new_topic`.

    Raises `InvalidFile` that names each bad line.
    """
    dialogues, problems = [], []
    for number, line in enumerate(read_text(source, name, lambda _: None).split("\n"), 1):
        if not line.strip():
            continue
        try:
            dialogues.append([_turn(turn) for turn in json.loads(line)["turns"]])
        except (ValueError, TypeError, KeyError) as error:
            problems.append(RowProblem(number, "turns", f"is not a dialogue: {error!r}"))
    if problems or not dialogues:
        raise InvalidFile(f"{name} has lines that are not dialogues.", tuple(problems))
    return dialogues


def _turn(turn: Any) -> LabelledTurn:
    text = turn["customer"]
    if not isinstance(text, str) or not text.strip():
        raise ValueError("customer is empty")
    return LabelledTurn(text, turn["faq_id"] or "", bool(turn.get("new_topic", False)))


@dataclass(frozen=True)
class _Outcome:
    place: int
    turn: LabelledTurn
    is_hit: bool
    is_hit_running: bool
    is_taken_for_follow_up: bool


async def evaluate_dialogues(
    dialogues: Sequence[Sequence[LabelledTurn]],
    knowledge: Knowledge,
    encoder: Encoder,
    default_language: Language = "zh",
    on_progress: Callable[[int, int], None] | None = None,
) -> DialogueEvaluation:
    """Ask every turn as a customer would. Turns that no entry answers (`faq_id` "") only lead on."""
    outcomes: list[_Outcome] = []
    for number, dialogue in enumerate(dialogues, 1):
        outcomes += await _ask(dialogue, knowledge, encoder, default_language)
        if on_progress:
            on_progress(number, len(dialogues))
    return _summary(outcomes, len(dialogues))


async def _ask(
    dialogue: Sequence[LabelledTurn],
    knowledge: Knowledge,
    encoder: Encoder,
    default_language: Language,
) -> list[_Outcome]:
    outcomes = []
    running = ""
    for place, turn in enumerate(dialogue):
        before = dialogue[place - 1] if place else None
        is_taken = before is not None and goes_on(turn.text, detect(turn.text, default_language))
        found = []
        for entry_id in (before.faq_id if before else "", running):
            entry = knowledge.entries.get(entry_id)
            topic = Topic(before.text, entry) if before and is_taken else None
            found.append(await _first(turn.text, topic, knowledge, encoder, default_language))
        running = found[1]
        if turn.faq_id:
            hits = [id_ == turn.faq_id for id_ in found]
            outcomes.append(_Outcome(place, turn, hits[0], hits[1], is_taken))
    return outcomes


async def _first(
    text: str,
    topic: Topic | None,
    knowledge: Knowledge,
    encoder: Encoder,
    default_language: Language,
) -> str:
    """The id of the entry ranked first, "" where nothing is found."""
    language = detect(text, default_language)
    text = without_courtesies(text)
    vector = await encoder.encode(text)
    if topic:
        found = await search_in_talk(knowledge, encoder, text, vector, language, topic)
    else:
        found = await knowledge.search(text, vector, language, 1)
    return found[0].entry.id if found else ""


def _summary(outcomes: Sequence[_Outcome], n_dialogues: int) -> DialogueEvaluation:
    first = [o for o in outcomes if o.place == 0]
    new = [o for o in outcomes if o.place and o.turn.is_new_topic]
    on = [o for o in outcomes if o.place and not o.turn.is_new_topic]
    return DialogueEvaluation(
        first_hit=_mean([o.is_hit for o in first]),
        follow_up_hit=_mean([o.is_hit for o in on]),
        follow_up_hit_running=_mean([o.is_hit_running for o in on]),
        new_topic_hit=_mean([o.is_hit for o in new]),
        recognised=_mean([o.is_taken_for_follow_up for o in on]),
        standalone_kept=_mean([not o.is_taken_for_follow_up for o in new]),
        n_dialogues=n_dialogues,
        n_follow_ups=len(on),
        n_new_topics=len(new),
    )


def _mean(values: Sequence[bool]) -> float | None:
    return round(sum(values) / len(values), 4) if values else None
