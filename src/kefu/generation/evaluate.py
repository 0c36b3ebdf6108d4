"""A generator on tasks, as it writes and as the guard lets it through."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from statistics import median

from kefu.generation.judging import Judged, Outcome, judge, says
from kefu.generation.tasks import Task
from kefu.inference.generator.protocol import Generator, Piece, Usage
from kefu.knowledge.entry import Entry
from kefu.knowledge.index import Match
from kefu.reading.reader import Told
from kefu.reading.rows import Passage
from kefu.settings import RepliesSettings
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
"""`Reader.read`: the question, the one before it, and the passages."""


@dataclass(frozen=True)
class Answer:
    """What was written for a task. `guarded`: what of it a customer would read; `fault`: why not all.

    `quoted`: what of the passages is shown instead where nothing of it held.
    """

    task: Task
    written: str
    guarded: str
    fault: Fault | None
    quoted: str
    usage: Usage | None
    of_written: Judged
    of_guarded: Judged

    @property
    def quote_tells(self) -> bool:
        """Whether what is quoted has all facts."""
        if not self.quoted:
            return False
        return all(any(says(self.quoted, way) for way in ways) for ways in self.task.facts)


@dataclass(frozen=True)
class Figures:
    """Shares of tasks, 0 to 1; a share of nothing is None.

    `answered`: of the answerable ones, those answered rightly; `refused_wrongly`: those refused;
    `shown`: those where the guard left nothing and what is quoted has the answer. `refused`: of the
    unanswerable ones, those that are not answered; `quoted`: those where something is quoted. `invented`: of the replies
    that say something, those with a number, price, date or address that the model did not read.
    `wrong`: of them, those that are not right.
    """

    tasks: int
    answered: float | None
    refused_wrongly: float | None
    shown: float | None
    refused: float | None
    quoted: float | None
    wrong: float | None
    invented: float | None
    own_language: float | None
    characters: float | None


@dataclass(frozen=True)
class Report:
    """`by_kind` is of what the guard lets through. Times are medians; writing speed is without
    reading the prompt."""

    model: str
    style: str
    written: Figures
    guarded: Figures
    by_kind: dict[str, Figures]
    prompt_tokens: float | None
    tokens_per_second: float | None
    answers: tuple[Answer, ...]


async def evaluate(
    tasks: Sequence[Task],
    generator: Generator,
    prompts: PromptWriter,
    model: str,
    *,
    read: Read | None = None,
    replies: RepliesSettings | None = None,
    parallel: int = 1,
    on_progress: Progress = lambda done, total: None,
) -> Report:
    """Have every task answered, `parallel` at a time, and weighed as a desk weighs it, with the
    reader's help where `read` is given. Raises as the generator does."""
    settings = replies or RepliesSettings()
    places = asyncio.Semaphore(parallel)
    done = 0

    async def answer(task: Task) -> Answer:
        nonlocal done
        async with places:
            told = await asyncio.to_thread(_told, task, read) if read else None
            found = await _answer(task, generator, prompts, told, settings)
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
        guarded=_of_guarded(answers),
        by_kind={kind: _of_guarded([a for a in answers if a.task.kind == kind]) for kind in kinds},
        prompt_tokens=median([u.prompt_tokens for u in usages]) if usages else None,
        tokens_per_second=median(speeds) if speeds else None,
        answers=tuple(answers),
    )


async def _answer(
    task: Task,
    generator: Generator,
    prompts: PromptWriter,
    told: Sequence[Told] | None,
    settings: RepliesSettings,
) -> Answer:
    matches = tuple(_matches(task))
    rounds = [Round(turn.question, turn.reply) for turn in task.turns]
    prompt = prompts.write(task.question, rounds, matches, task.language)
    pieces = await _all(generator.stream(prompt, max_tokens=MAX_TOKENS))
    entries = [match.entry for match in prompts.choose(matches)]
    grounding = Grounding(
        task.question,
        entries,
        copies_only=prompts.copies_only,
        told=told if prompts.needs_reader else None,
        tells_score=settings.tells_score,
    )
    written = Written(grounding, prompts.refusal(task.language))
    for piece in pieces:
        written.add(piece.text)
    if not written.fault:
        written.finish(pieces[-1].finish_reason)
    reply = "".join(piece.text for piece in pieces).strip()
    return Answer(
        task,
        reply,
        written.text,
        written.fault,
        "" if written.text else _quoted(task, written.fault, told, settings),
        pieces[-1].usage,
        judge(task, reply),
        judge(task, written.text),
    )


def _quoted(
    task: Task, fault: Fault | None, told: Sequence[Told] | None, settings: RepliesSettings
) -> str:
    """As `Writer` quotes a document: what the reader found; all of the nearest piece without one."""
    if told is not None:
        found = extract(told, settings.tells_score, task.language)
        return found.text if found else ""
    return "" if fault is Fault.REFUSED else task.passages[0].text


def _told(task: Task, read: Read) -> Sequence[Told]:
    before = task.turns[-1].question if task.turns else ""
    return read(
        task.question, before, [Passage(p.title, p.text) for p in task.passages[:MOST_READ]]
    )


async def _all(pieces: AsyncGenerator[Piece, None]) -> list[Piece]:
    async with aclosing(pieces):
        return [piece async for piece in pieces]


def _matches(task: Task) -> Iterable[Match]:
    """The passages as a search would give them; nothing asks for their scores here."""
    for number, passage in enumerate(task.passages):
        entry = Entry(
            f"p{number}", passage.title, passage.text, language=task.language, kind="passage"
        )
        yield Match(entry, passage.title, 0.5, 0.5, 0.5, 0.5, 0.0)


def _of_guarded(answers: Sequence[Answer]) -> Figures:
    return _figures([(a, a.guarded, a.of_guarded) for a in answers])


def _figures(rows: Sequence[tuple[Answer, str, Judged]]) -> Figures:
    can = [row for row in rows if row[0].task.is_answerable]
    cannot = [row for row in rows if not row[0].task.is_answerable]
    saying = [row for row in rows if row[1] and not _refuses(row)]
    return Figures(
        tasks=len(rows),
        answered=_share(judged.outcome is Outcome.RIGHT for _, _, judged in can),
        refused_wrongly=_share(judged.outcome is Outcome.REFUSED for _, _, judged in can),
        shown=_share(not text and a.quote_tells for a, text, _ in can),
        refused=_share(judged.outcome is Outcome.RIGHT for _, _, judged in cannot),
        quoted=_share(not text and bool(a.quoted) for a, text, _ in cannot),
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
