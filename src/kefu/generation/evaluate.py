"""A generator on tasks, as it writes and as the guard lets it through."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import cached_property
from statistics import median

from kefu.generation.judging import Judged, Outcome, judge, says
from kefu.generation.tasks import Task
from kefu.inference.generator.protocol import Generator, Piece, Usage
from kefu.knowledge.entry import Entry
from kefu.knowledge.shelf import Match
from kefu.reading.reader import Told
from kefu.reading.rows import Passage
from kefu.settings import RepliesSettings
from kefu.turn.certainty import certainty
from kefu.turn.extraction import extract
from kefu.turn.grounding import Grounding
from kefu.turn.grounding import Verdict as Fault
from kefu.turn.prompt import PromptWriter
from kefu.turn.reply import Round
from kefu.turn.writer import MOST_READ
from kefu.turn.written import Written

MAX_TOKENS = 256

Progress = Callable[[int, int], None]
Read = Callable[[str, str, Sequence[Passage]], Sequence[Told]]
"""`Reader.read`."""


@dataclass(frozen=True)
class Answer:
    """What was written for a task. `guarded`: what of it a customer would read; `fault`: why not all.

    `certainty`: how likely what is guarded is right, where that is asked. `told`: the sentences that the reader found to answer, None where it found none. `desk`: what a
    customer reads of the whole desk: those, else what is guarded.
    `shows_passage`: nothing of it held, so that the nearest passage is shown as what was found.
    """

    task: Task
    written: str
    guarded: str
    fault: Fault | None
    usage: Usage | None
    certainty: float | None = None
    told: str | None = None

    @property
    def desk(self) -> str:
        return self.guarded if self.told is None else self.told

    @cached_property
    def of_written(self) -> Judged:
        return judge(self.task, self.written)

    @cached_property
    def of_guarded(self) -> Judged:
        return judge(self.task, self.guarded)

    @cached_property
    def of_desk(self) -> Judged:
        return judge(self.task, self.desk)

    @property
    def shows_passage(self) -> bool:
        return not self.guarded and self.fault is not Fault.REFUSED

    @property
    def passage_tells(self) -> bool:
        """Whether that passage has all facts."""
        text = self.task.passages[0].text
        return all(any(says(text, way) for way in ways) for ways in self.task.facts)


@dataclass(frozen=True)
class Figures:
    """Shares of tasks, 0 to 1; a share of nothing is None.

    `answered`: of the answerable ones, those answered rightly; `refused_wrongly`: those refused;
    `shown`: those where the guard left nothing and the passage that is shown has the answer.
    `refused`: of the unanswerable ones, those that are not answered. `invented`: of the replies
    that say something, those with a number, price, date or address that the model did not read.
    `wrong`: of them, those that are not right.
    """

    tasks: int
    answered: float | None
    refused_wrongly: float | None
    shown: float | None
    refused: float | None
    wrong: float | None
    invented: float | None
    own_language: float | None
    characters: float | None


@dataclass(frozen=True)
class Report:
    """`desk` and `by_kind` are of what a customer reads. Times are medians; writing speed is without
    reading the prompt."""

    model: str
    style: str
    written: Figures
    guarded: Figures
    desk: Figures
    by_kind: dict[str, Figures]
    prompt_tokens: float | None
    tokens_per_second: float | None
    answers: tuple[Answer, ...]


async def evaluate(
    tasks: Sequence[Task],
    generator: Generator | None,
    prompts: PromptWriter,
    model: str,
    *,
    read: Read | None = None,
    replies: RepliesSettings | None = None,
    parallel: int = 1,
    on_progress: Progress = lambda done, total: None,
) -> Report:
    """Have every task answered, `parallel` at a time. Raises as the generator does.

    Without a generator nothing is written; the reader is asked first in any case."""
    places = asyncio.Semaphore(parallel)
    settings = replies or RepliesSettings()
    done = 0

    async def answer(task: Task) -> Answer:
        nonlocal done
        async with places:
            told = await asyncio.to_thread(_read, task, read) if read else ()
            found = _nothing(task)
            if generator:
                found = await _answer(task, generator, prompts, told, settings)
            extraction = extract(told, settings.tells_score, task.language)
            found = replace(found, told=extraction.text if extraction else None)
        done += 1
        on_progress(done, len(tasks))
        return found

    async with asyncio.TaskGroup() as group:
        running = [group.create_task(answer(task)) for task in tasks]
    return report(model, prompts.style, [task.result() for task in running])


def report(model: str, style: str, answers: Sequence[Answer]) -> Report:
    usages = [answer.usage for answer in answers if answer.usage]
    speeds = [
        u.tokens_per_second for u in usages if u.tokens_per_second and u.completion_tokens > 4
    ]
    kinds = dict.fromkeys(answer.task.kind for answer in answers)
    return Report(
        model=model,
        style=style,
        written=_figures([(a, a.written, a.of_written) for a in answers]),
        guarded=_figures([(a, a.guarded, a.of_guarded) for a in answers]),
        desk=_of_desk(answers),
        by_kind={kind: _of_desk([a for a in answers if a.task.kind == kind]) for kind in kinds},
        prompt_tokens=median([u.prompt_tokens for u in usages]) if usages else None,
        tokens_per_second=median(speeds) if speeds else None,
        answers=tuple(answers),
    )


async def _answer(
    task: Task,
    generator: Generator,
    prompts: PromptWriter,
    told: Sequence[Told],
    replies: RepliesSettings,
) -> Answer:
    matches = tuple(_matches(task))
    rounds = [Round(turn.question, turn.reply) for turn in task.turns]
    prompt = prompts.write(task.question, rounds, matches, task.language)
    entries = [match.entry for match in prompts.choose(matches)]
    grounding = Grounding(task.question, entries, copies_only=prompts.copies_only)
    written, whole = Written(grounding, prompts.refusal(task.language)), ""
    last = Piece("")
    async with aclosing(generator.stream(prompt, max_tokens=MAX_TOKENS)) as pieces:
        async for last in pieces:
            whole += last.text
            written.add(last.text, last.logprob)
    if not written.fault:
        written.finish(last.finish_reason)
    probability = None
    if prompts.is_doubted and written.text:
        probability = certainty(written.logprob or 0.0, told, written.text)
        if probability < replies.least_certainty:
            written.doubt()
    return Answer(task, whole.strip(), written.text, written.fault, last.usage, probability)


def _nothing(task: Task) -> Answer:
    return Answer(task, "", "", Fault.REFUSED, None)


def _read(task: Task, read: Read) -> Sequence[Told]:
    """As the desk asks its reader: with the question before, where there is one."""
    before = task.turns[-1].question if task.turns else ""
    passages = [Passage(p.title, p.text) for p in task.passages[:MOST_READ]]
    return read(task.question, before, passages)


def _matches(task: Task) -> Iterable[Match]:
    """The passages as a search would give them; nothing asks for their scores here."""
    for number, passage in enumerate(task.passages):
        entry = Entry(
            f"p{number}", passage.title, passage.text, language=task.language, kind="passage"
        )
        yield Match(entry, passage.title, 0.5, 0.5, 0.5, 0.5, 0.0)


def _of_desk(answers: Sequence[Answer]) -> Figures:
    return _figures([(a, a.desk, a.of_desk) for a in answers])


def _figures(rows: Sequence[tuple[Answer, str, Judged]]) -> Figures:
    can = [row for row in rows if row[0].task.is_answerable]
    cannot = [row for row in rows if not row[0].task.is_answerable]
    saying = [row for row in rows if row[1] and not _refuses(row)]
    return Figures(
        tasks=len(rows),
        answered=_share(judged.outcome is Outcome.RIGHT for _, _, judged in can),
        refused_wrongly=_share(judged.outcome is Outcome.REFUSED for _, _, judged in can),
        shown=_share(not text and a.shows_passage and a.passage_tells for a, text, _ in can),
        refused=_share(judged.outcome is Outcome.RIGHT for _, _, judged in cannot),
        wrong=_share(judged.outcome is Outcome.WRONG for _, _, judged in saying),
        invented=_share(bool(judged.invented) for _, _, judged in saying),
        own_language=_share(judged.is_own_language for _, _, judged in saying),
        characters=median(len(text) for _, text, _ in saying) if saying else None,
    )


def _refuses(row: tuple[Answer, str, Judged]) -> bool:
    answer, _, judged = row
    right = judged.outcome is Outcome.RIGHT
    return judged.outcome is Outcome.REFUSED or (right and not answer.task.is_answerable)


def _share(marks: Iterable[bool]) -> float | None:
    known = list(marks)
    return sum(known) / len(known) if known else None
