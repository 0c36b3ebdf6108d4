"""Data folders for desks under test, and knowledge that makes a generator write."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

# A passage of a document is never given as the answer: the generator writes from it. A list that
# counts is what even the smallest model copies to its end.
_STEPS = ", ".join(f"step {number}" for number in range(1, 56))
_DAYS = "，".join(f"{month}月{day}日" for month in range(1, 4) for day in range(1, 13))
_STOVE = "先接好气罐，再打开旋钮，最后按下点火按钮。"
FAQ = ("炉头怎么用？", _STOVE)
LONG_QUESTIONS = ("Which steps are there?", "哪些日期有活动？")
DISPUTED_QUESTIONS = tuple(
    f"{colour}{thing}怎么安装？"
    for colour in ("红色", "蓝色", "绿色", "黄色", "白色", "黑色", "紫色", "灰色", "金色", "银色")
    for thing in ("帐篷", "天幕", "折叠桌", "折叠椅", "吊床", "灯架")
)

Files = Mapping[str, str]
"""Name and content of files for `kefu kb import` of a folder."""

KNOWLEDGE: Files = {
    "faq.jsonl": json.dumps({"id": "stove", "question": FAQ[0], "answer": FAQ[1]}) + "\n",
    "camp.md": f"# The steps there are\n\n{_STEPS}.\n\n# 有活动的日期\n\n{_DAYS}。\n",
    # A second passage that says the same helps a small model to copy it.
    "copy.md": f"# The steps there are\n\n{_STEPS}!\n\n# 有活动的日期\n\n{_DAYS}！\n",
}
# The same for many questions with short answers.
DISPUTED: Files = {
    "manual.md": "".join(
        f"# {question[:-5]}的安装\n\n安装{question[:-5]}要这样做：先打开袋子，再展开支架并扣好。\n\n"
        for question in DISPUTED_QUESTIONS
    ),
}


def write_files(folder: Path, files: Files) -> Path:
    """The folder with the files in it."""
    folder.mkdir()
    for name, content in files.items():
        (folder / name).write_text(content, "utf-8")
    return folder


def link_models(data_dir: Path, models_dir: Path) -> Path:
    """A data folder with the real models and nothing else."""
    if not models_dir.is_dir():
        raise FileNotFoundError(f"No models in {models_dir}: run `kefu models pull` first.")
    data_dir.mkdir(parents=True)
    (data_dir / "models").symlink_to(models_dir, target_is_directory=True)
    return data_dir
