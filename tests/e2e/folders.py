"""Data folders for desks under test, and knowledge that makes a generator write."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

# Two entries answer each of these questions differently, so kefu is never sure of either, and the
# question has no word that they do not have: the generator writes. A list that counts is what even
# the smallest model copies to its end.
_STEPS = ", ".join(f"step {number}" for number in range(1, 41))
_DAYS = "，".join(f"{month}月{day}日" for month in range(1, 4) for day in range(1, 13))
_STOVE = "先接好气罐，再打开旋钮，最后按下点火按钮。"
_ENTRIES = (
    ("steps-1", "Which steps are there?", f"{_STEPS}."),
    ("steps-2", "Which steps are there?", f"{_STEPS}!"),
    ("days-1", "哪些日期有活动？", f"{_DAYS}。"),
    ("days-2", "哪些日期有活动？", f"{_DAYS}！"),
    ("stove", "炉头怎么用？", _STOVE),
)


def as_jsonl(entries: Iterable[tuple[str, str, str]]) -> str:
    """A file for `kefu kb import` of (id, question, answer)."""
    rows = ({"id": id_, "question": q, "answer": answer} for id_, q, answer in entries)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


KNOWLEDGE = as_jsonl(_ENTRIES)
LONG_QUESTIONS = ("Which steps are there?", "哪些日期有活动？")
DISPUTED_QUESTIONS = tuple(
    f"{colour}{thing}怎么安装？"
    for colour in ("红色", "蓝色", "绿色", "黄色", "白色", "黑色", "紫色", "灰色", "金色", "银色")
    for thing in ("帐篷", "天幕", "折叠桌", "折叠椅", "吊床", "灯架")
)
# The same for many questions with short answers.
DISPUTED = as_jsonl(
    (f"disputed-{number}-{copy}", question, f"安装{question[:-5]}要这样做：{steps}。")
    for number, question in enumerate(DISPUTED_QUESTIONS)
    for copy, steps in enumerate(
        ("先打开袋子，再展开支架并扣好", "先展开支架并扣好，再检查是否平稳")
    )
)
FAQ = ("炉头怎么用？", _STOVE)


def link_models(data_dir: Path, models_dir: Path) -> Path:
    """A data folder with the real models and nothing else."""
    if not models_dir.is_dir():
        raise FileNotFoundError(f"No models in {models_dir}: run `kefu models pull` first.")
    data_dir.mkdir(parents=True)
    (data_dir / "models").symlink_to(models_dir, target_is_directory=True)
    return data_dir
