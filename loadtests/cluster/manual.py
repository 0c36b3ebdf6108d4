"""A document about a thousand things, so that questions must be written and no two are the same."""

from __future__ import annotations

import random
from itertools import product

import httpx
from loadtests.cluster.program import Program
from loadtests.cluster.programs import origin
from prometheus_client.parser import text_string_to_metric_families
from tests.e2e.desk_process import run_kefu, wait_until
from tests.e2e.folders import write_files

_COLOURS = ("红色", "蓝色", "绿色", "黄色", "白色", "黑色", "紫色", "灰色", "金色", "银色")
_KINDS = ("", "大号", "小号", "儿童", "双人", "防水", "加厚", "轻便", "充气", "露营")
_THINGS = ("帐篷", "天幕", "折叠桌", "折叠椅", "吊床", "灯架", "睡袋", "炉具", "推车", "躺椅")
_NAMES = list(map("".join, product(_COLOURS, _KINDS, _THINGS)))
# As the first come, all combinations are among a few hundred.
random.Random(1).shuffle(_NAMES)
THINGS = tuple(_NAMES)


def question_of(thing: str) -> str:
    return f"{thing}怎么安装？"


def import_manual(desk: Program, things: int) -> None:
    """Give a running desk, and all that share its database, the document about so many things."""
    before = _entries(desk)
    text = "".join(
        f"# {thing}的安装\n\n安装{thing}要这样做：先打开袋子，再展开支架并扣好。\n\n"
        for thing in THINGS[:things]
    )
    folder = write_files(desk.folder / "manual", {"manual.md": text})
    arguments = desk.command[1 : desk.command.index("serve")]
    imported = run_kefu(*arguments, "kb", "import", folder, settings=desk.environment)
    if imported.returncode:
        raise RuntimeError(imported.stderr)
    wait_until(lambda: _entries(desk) > before, "the import is known")


def _entries(desk: Program) -> float:
    text = httpx.get(f"{origin(desk.port)}/metrics", timeout=10, trust_env=False).text
    return sum(
        sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "kefu_knowledge_entries"
    )
