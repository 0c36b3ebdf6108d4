"""Tasks for a generator: passages, a question, and what a right answer must say.

A file has a JSON object a line; docs/generation.md explains the keys.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from importlib import resources
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kefu.errors import InvalidFile, InvalidInput, RowProblem

Kind = Literal["single", "two", "follow_up", "detail", "unanswerable"]
Half = Literal["dev", "test", "all"]

_Text = Annotated[str, Field(min_length=1, max_length=8000)]
_STRICT = ConfigDict(extra="forbid", frozen=True)


class Passage(BaseModel):
    model_config = _STRICT

    title: Annotated[str, Field(max_length=500)] = ""
    text: _Text


class Turn(BaseModel):
    model_config = _STRICT

    question: _Text
    reply: _Text


class Task(BaseModel):
    """`facts`: all must be said, each in one of its ways. None: the passages do not tell.

    `wrong`: what a wrong answer says. `passages` best first, as a search gives them. Tasks of one
    `group` share a passage, and so they are in the same half.
    """

    model_config = _STRICT

    id: Annotated[str, Field(min_length=1, max_length=100)]
    group: Annotated[str, Field(min_length=1, max_length=100)]
    language: Literal["zh", "en"]
    kind: Kind
    turns: tuple[Turn, ...] = ()
    question: _Text
    passages: Annotated[tuple[Passage, ...], Field(min_length=1, max_length=8)]
    facts: tuple[Annotated[tuple[_Text, ...], Field(min_length=1)], ...] = ()
    wrong: tuple[_Text, ...] = ()
    answer: str = ""

    @property
    def is_answerable(self) -> bool:
        return bool(self.facts)

    @property
    def half(self) -> Half:
        """Tuned on ("dev") or measured with ("test"), by the name of the group."""
        return ("dev", "test")[hashlib.sha256(self.group.encode()).digest()[0] % 2]


def shop_tasks() -> list[Task]:
    """The tasks that kefu comes with: 24 shops that are in no training data, zh and en."""
    return parse(
        (resources.files("kefu.generation") / "shop_tasks.jsonl").read_text("utf-8").splitlines(),
        "shop_tasks.jsonl",
    )


def read_tasks(path: Path) -> list[Task]:
    """Raises `InvalidFile` with every line that does not fit."""
    try:
        lines = path.read_text("utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read as UTF-8 text: {error}.") from error
    return parse(lines, str(path))


def parse(lines: Iterable[str], name: str) -> list[Task]:
    tasks: dict[str, Task] = {}
    problems = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            task = Task.model_validate_json(line)
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "line"
            problems.append(RowProblem(number, where, first["msg"]))
            continue
        if task.id in tasks:
            problems.append(RowProblem(number, "id", f"is {task.id!r} for the second time"))
        elif task.is_answerable == (task.kind == "unanswerable"):
            said = "has facts, but is unanswerable" if task.facts else "has no facts"
            problems.append(RowProblem(number, "facts", said))
        else:
            tasks[task.id] = task
    if problems:
        raise InvalidFile(f"{name}: {len(problems)} lines are no tasks.", tuple(problems))
    if not tasks:
        raise InvalidFile(f"{name} has no tasks.")
    return list(tasks.values())
