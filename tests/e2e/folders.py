"""Data folders for desks under test, and knowledge that makes a generator write."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

# Two entries answer each of these questions differently, so kefu is never sure of either, and the
# question has no word that they do not have: the generator writes, and what it copies is long.
# How long it goes on is its own affair, so tests take the question whose answer took longest
# (`long_question`).
_TENT = (
    "先选一块平坦的地面并清理石子，再铺开防潮垫和内帐，然后把两根支撑杆穿过内帐的杆套并交叉，"
    "接着把支撑杆的两头插进四角的金属扣眼，把内帐立起来并扣好顶部的挂钩，盖上外帐并对齐门的方向，"
    "在四角打下地钉，拉紧四周的风绳，检查拉链和通风窗，最后把物品搬进帐篷里面。"
)
_BOAT = (
    "First spread the boat on even ground and clear away the stones, then open the three valves "
    "and pump the floor, the left tube and the right tube until they are firm, then close the "
    "valves and fold in their caps, fasten the seat with both straps, put the paddles together, "
    "tie the bag to the ring at the bow, and carry the boat to the water with two people."
)
_STOVE = "先接好气罐，再打开旋钮，最后按下点火按钮。"
_ENTRIES = (
    ("tent-1", "帐篷怎么搭建？", f"搭建帐篷要这样做：{_TENT}"),
    ("tent-2", "帐篷怎么搭建？", f"搭建帐篷的步骤如下：{_TENT}收帐篷时顺序相反。"),
    ("tent-3", "搭建帐篷要怎么做？", f"搭建帐篷要这样做：{_TENT}请两个人一起做。"),
    ("tent-4", "搭建帐篷要怎么做？", f"搭建帐篷时，{_TENT}"),
    ("boat-1", "How do I set up the boat?", f"To set up the boat: {_BOAT}"),
    ("boat-2", "How do I set up the boat?", f"Set up the boat like this. {_BOAT}"),
    ("stove", "炉头怎么用？", _STOVE),
)


def as_jsonl(entries: Iterable[tuple[str, str, str]]) -> str:
    """A file for `kefu kb import` of (id, question, answer)."""
    rows = ({"id": id_, "question": q, "answer": answer} for id_, q, answer in entries)
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


KNOWLEDGE = as_jsonl(_ENTRIES)
LONG_QUESTIONS = ("帐篷怎么搭建？", "搭建帐篷要怎么做？", "How do I set up the boat?")
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
