"""A manual for the desk of a load test: what is asked of it has no vetted answer and must be written."""

from __future__ import annotations

from itertools import product

_COLOURS = ("红色", "蓝色", "绿色", "黄色", "白色", "黑色", "紫色", "灰色", "金色", "银色")
_THINGS = ("帐篷", "天幕", "折叠桌", "折叠椅", "吊床", "灯架", "睡袋", "充气垫", "炉架", "推车")
_TASKS = {
    "安装": "先打开袋子，再展开支架并扣好",
    "收纳": "先擦干净，再对折两次放回袋子",
    "清洗": "用温水和软布擦，不要放进洗衣机",
}
_ASKED = ("{thing}怎么{task}？", "请问{thing}要怎么{task}", "想知道{thing}如何{task}")


def manual() -> str:
    """In Markdown."""
    return "".join(
        f"# {thing}的{task}\n\n{task}{thing}要这样做：{how}。\n\n"
        for thing, (task, how) in product(_products(), _TASKS.items())
    )


def manual_questions() -> list[str]:
    return [
        words.format(thing=thing, task=task)
        for words, thing, task in product(_ASKED, _products(), _TASKS)
    ]


def _products() -> list[str]:
    return [f"{colour}{thing}" for colour, thing in product(_COLOURS, _THINGS)]
