"""Tasks from files, and those that kefu comes with."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from kefu.errors import InvalidFile, InvalidInput
from kefu.generation.judging import Outcome, judge
from kefu.generation.tasks import parse, read_tasks, shop_tasks

TASK: dict[str, Any] = {
    "id": "t1",
    "group": "shop/fee",
    "language": "zh",
    "kind": "single",
    "question": "邮费多少",
    "passages": [{"title": "运费", "text": "运费 8 元。"}],
    "facts": [["8 元", "八元"]],
    "answer": "运费 8 元。",
}


def lines(*changes: dict[str, Any]) -> list[str]:
    return [json.dumps(TASK | change, ensure_ascii=False) for change in changes]


def test_the_shops_are_two_halves_in_two_languages_and_share_nothing():
    tasks = shop_tasks()
    assert len(tasks) >= 300
    halves = Counter((task.language, task.half) for task in tasks)
    assert min(halves.values()) >= 60
    by_half = {
        half: {p for t in tasks if t.half == half for p in t.passages} for half in ("dev", "test")
    }
    assert not by_half["dev"] & by_half["test"]
    unanswerable = sum(not task.is_answerable for task in tasks)
    assert 0.25 < unanswerable / len(tasks) < 0.35


@pytest.mark.parametrize("task", shop_tasks(), ids=lambda task: task.id)
def test_the_answer_that_is_wanted_is_right_and_invents_nothing(task):
    found = judge(task, task.answer)
    assert found.outcome is Outcome.RIGHT
    assert found.invented == ()
    assert found.is_own_language


def test_a_file_is_read(tmp_path: Path):
    path = tmp_path / "tasks.jsonl"
    path.write_text("\n".join(lines({}, {"id": "t2"})) + "\n\n", "utf-8")
    assert [task.id for task in read_tasks(path)] == ["t1", "t2"]
    assert read_tasks(path)[0].half in ("dev", "test")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": "t1"}, "second time"),
        ({"id": "t2", "facts": []}, "has no facts"),
        ({"id": "t2", "kind": "unanswerable"}, "has facts"),
        ({"id": "t2", "passages": []}, "passages"),
        ({"id": "t2", "colour": "red"}, "colour"),
        ({"id": "t2", "facts": [[]]}, "facts"),
    ],
)
def test_what_is_no_task_is_named_by_line(change: dict[str, Any], said: str):
    with pytest.raises(InvalidFile) as found:
        parse([*lines({}), "", *lines(change)], "mine.jsonl")
    (problem,) = found.value.problems
    assert problem.line == 3
    assert said in str(problem)


def test_files_that_are_none(tmp_path: Path):
    with pytest.raises(InvalidFile, match="has no tasks"):
        parse([""], "empty.jsonl")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_tasks(tmp_path / "none.jsonl")
    (tmp_path / "latin.jsonl").write_bytes(b"\xff\xfe")
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_tasks(tmp_path / "latin.jsonl")
