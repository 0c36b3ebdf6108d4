"""A generator on tasks, with one that says what it is told to."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from typing import Any

import pytest

from kefu.generation.evaluate import evaluate
from kefu.generation.tasks import Task
from kefu.inference.generator.protocol import Piece, Prompt, Usage
from kefu.turn.grounding import Verdict as Fault
from kefu.turn.prompt import PromptWriter

FEE = {"title": "运费", "text": "运费 8 元，满 99 元包邮。偏远地区另收 12 元。"}
TIME = {"title": "多久能到", "text": "下单后 3 天送达。"}


def task(number: int, question: str, **changes: Any) -> Task:
    given = {
        "id": f"t{number}",
        "group": f"g{number}",
        "language": "zh",
        "kind": "single",
        "question": question,
        "passages": [FEE, TIME],
        "facts": [["8 元"]],
    }
    return Task.model_validate(given | changes)


class Told:
    """Answers each question as it was told."""

    def __init__(self, replies: Mapping[str, str]) -> None:
        self._replies = replies
        self.prompts: list[Prompt] = []
        self.running = self.most = 0

    async def stream(
        self, prompt: Prompt, *, max_tokens: int, session: str = ""
    ) -> AsyncGenerator[Piece, None]:
        self.prompts.append(prompt)
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0)
        (reply,) = (r for question, r in self._replies.items() if question in (prompt.text or ""))
        for character in reply:
            yield Piece(character)
        yield Piece("", Usage(100, len(reply), 50.0, 0), "stop")
        self.running -= 1

    async def ping(self) -> None: ...

    async def aclose(self) -> None: ...


TASKS = [
    task(1, "邮费多少"),
    task(2, "送货要钱吗"),
    task(3, "寄一下多少"),
    task(4, "周末送吗", kind="unanswerable", facts=[]),
    task(5, "能刷卡吗", kind="unanswerable", facts=[]),
]
REPLIES = {
    "邮费多少": "运费 8 元。",
    "送货要钱吗": "运费 20 元。",
    "寄一下多少": "抱歉，资料里没有提到。",
    "周末送吗": "抱歉，资料里没有提到。",
    "能刷卡吗": "下单后 3 天送达。",
}


async def test_figures_of_what_is_written_and_of_what_is_let_through():
    told = Told(REPLIES)
    seen: list[tuple[int, int]] = []
    found = await evaluate(
        TASKS, told, PromptWriter("trained"), "m", on_progress=lambda a, b: seen.append((a, b))
    )
    assert (found.model, found.style) == ("m", "trained")
    written, guarded = found.written, found.guarded
    assert written.answered == pytest.approx(1 / 3)
    assert written.refused_wrongly == pytest.approx(1 / 3)
    assert written.refused == 0.5
    assert written.invented == pytest.approx(1 / 3)  # 20, of three that say something
    assert written.wrong == pytest.approx(2 / 3)
    assert guarded.invented == 0
    assert guarded.answered == written.answered
    # The guard stopped the 20, and what is shown instead tells it.
    assert guarded.shown == pytest.approx(1 / 3)
    assert guarded.own_language == 1
    assert found.by_kind["unanswerable"].refused == 0.5
    assert found.by_kind["unanswerable"].answered is None
    assert found.tokens_per_second == 50.0
    faults = [answer.fault for answer in found.answers]
    assert faults == [None, Fault.NUMBER, Fault.REFUSED, Fault.REFUSED, None]
    assert seen[-1] == (5, 5)
    assert told.most == 1


async def test_several_at_once():
    told = Told(REPLIES)
    await evaluate(TASKS, told, PromptWriter("trained"), "m", parallel=2)
    assert told.most == 2


async def test_earlier_turns_and_passages_are_in_the_prompt():
    told = Told({"那满多少包邮": "满 99 元包邮。"})
    given = task(
        6, "那满多少包邮", kind="follow_up", facts=[["99 元"]],
        turns=[{"question": "邮费多少", "reply": "运费 8 元。"}],
    )  # fmt: skip
    found = await evaluate([given], told, PromptWriter("trained"), "m")
    assert found.guarded.answered == 1
    assert told.prompts[0].text == (
        "顾客：邮费多少\n客服：运费 8 元。\n资料：[多久能到] 下单后 3 天送达。\n"
        "资料：[运费] 运费 8 元，满 99 元包邮。偏远地区另收 12 元。\n顾客：那满多少包邮\n客服："
    )
