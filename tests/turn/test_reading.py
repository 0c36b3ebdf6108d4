"""What the reader thinks of the passages: what a small trained model may say, and what is quoted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from kefu.clauses import sentences_of
from kefu.errors import Overloaded
from kefu.knowledge.entry import Entry
from kefu.reading.reader import Told
from kefu.reading.rows import Passage
from kefu.settings import ConversationSettings
from kefu.turn.grounding import Grounding, Verdict
from kefu.turn.reply import Message, Reply
from kefu.turn.written import Written
from tests.fakes import ScriptedGenerator
from tests.turn.conftest import Bench, OpenBench

STORING = Entry(
    "storing", "储存", "白茶饼放在阴凉干燥处。白茶饼不要放冰箱。绿茶要放冰箱。", (), (), "zh",
    kind="passage",
)  # fmt: skip
BREWING = Entry("brewing", "冲泡", "绿茶用 80 度的水。", (), (), "zh", kind="passage")
QUESTION = "白茶饼储存放冰箱吗"


@dataclass
class FakeReader:
    """Finds the sentences that have one of these words as likely as they say, others hardly."""

    likely: dict[str, float]
    asked: list[tuple[str, str]] = field(default_factory=list)

    def read(self, question: str, before: str, passages: Sequence[Passage]) -> list[Told]:
        self.asked.append((question, before))
        return [
            Told(number, place, sentence.strip(), self._probability(sentence))
            for number, passage in enumerate(passages)
            for place, sentence in enumerate(sentences_of(passage.text))
        ]

    def _probability(self, sentence: str) -> float:
        return max((p for words, p in self.likely.items() if words in sentence), default=0.01)


async def opened(open_bench: OpenBench, reader: Any, style: Any = "trained") -> Bench:
    bench = open_bench(ConversationSettings(), reader=reader, style=style)
    await bench.knowledge.import_entries([STORING, BREWING])
    return bench


async def ask(bench: Bench, text: str = QUESTION, uid: str = "u") -> tuple[Reply, str]:
    turn = bench.desk.take(Message(uid, text))
    sent = "".join([piece async for piece in turn.pieces() if isinstance(piece, str)])
    return await turn.reply(), sent


async def test_a_small_model_says_what_the_reader_finds(
    open_bench: OpenBench, generator: ScriptedGenerator
):
    bench = await opened(open_bench, FakeReader({"不要放冰箱": 0.9}))
    generator.pieces = ("白茶饼", "不要", "放冰箱。")
    reply, sent = await ask(bench)
    assert (reply.source, reply.text) == ("model", "白茶饼不要放冰箱。")
    assert sent == reply.text
    assert [citation.id for citation in reply.citations] == ["storing"]
    assert "read" in reply.timings_ms


async def test_what_the_reader_doubts_is_not_read_by_anybody(
    open_bench: OpenBench, generator: ScriptedGenerator
):
    bench = await opened(open_bench, FakeReader({"不要放冰箱": 0.9}))
    generator.pieces = ("绿茶要", "放冰", "箱。")
    reply, sent = await ask(bench)
    assert (reply.source, [c.id for c in reply.citations]) == ("faq", ["storing"])
    assert "“储存”白茶饼不要放冰箱。" in reply.text
    assert "绿茶" not in reply.text
    assert sent == reply.text
    value = bench.metrics.registry.get_sample_value
    assert value("kefu_ungrounded_replies_total", {"reason": "doubted"}) == 1


@pytest.mark.parametrize("style", ["trained", "completion"])
async def test_what_no_document_tells_is_for_a_person(
    open_bench: OpenBench, generator: ScriptedGenerator, style: str
):
    generator.pieces = ("它是", "圆的。")
    reply, _ = await ask(await opened(open_bench, FakeReader({"不要放冰箱": 0.3}), style))
    assert reply.source == "handoff"


async def test_a_refusal_is_not_the_last_word(open_bench: OpenBench, generator: ScriptedGenerator):
    bench = await opened(open_bench, FakeReader({"不要放冰箱": 0.9}))
    generator.pieces = ("抱歉，资料里没有提到。",)
    assert (await ask(bench))[0].source == "faq"


async def test_without_a_reader_a_small_trained_model_is_not_asked(
    open_bench: OpenBench, generator: ScriptedGenerator
):
    reply, _ = await ask(await opened(open_bench, None))
    assert generator.prompts == []
    assert reply.source == "faq"
    assert STORING.answer in reply.text


async def test_a_larger_model_needs_none(open_bench: OpenBench, generator: ScriptedGenerator):
    bench = await opened(open_bench, FakeReader({}), "chat")
    generator.pieces = ("绿茶要", "放冰箱。")
    reply, _ = await ask(bench)
    assert (reply.source, reply.text) == ("model", "绿茶要放冰箱。")


async def test_of_faq_entries_a_small_model_says_hardly_anything(
    open_bench: OpenBench, generator: ScriptedGenerator
):
    """They are asked back: an entry's question tells a customer more than its sentences."""
    bench = await opened(open_bench, FakeReader({"8元": 0.9}))
    reply, _ = await ask(bench, "你们用贝宝付运费是多少")
    assert generator.prompts == []
    assert [choice.id for choice in reply.choices] == ["fee-zh"]


async def test_a_follow_up_is_read_with_the_question_before(open_bench: OpenBench):
    reader = FakeReader({"不要放冰箱": 0.9})
    bench = await opened(open_bench, reader)
    await ask(bench, "怎么申请退货")
    await ask(bench, "那白茶饼储存放冰箱吗")
    assert reader.asked == [("那白茶饼储存放冰箱吗", "怎么申请退货")]


TOLD = [Told(0, 0, "", 0.1), Told(0, 1, "", 0.9), Told(0, 2, "", 0.1)]


def written(reply: str, told: list[Told] | None) -> Written:
    grounding = Grounding(QUESTION, [STORING, BREWING], told=told, tells_score=0.6)
    found = Written(grounding, "抱歉")
    for character in reply:
        found.add(character)
        if found.fault:
            return found
    found.finish("stop")
    return found


@pytest.mark.parametrize(
    ("reply", "fault", "text"),
    [
        ("白茶饼不要放冰箱。", None, "白茶饼不要放冰箱。"),
        ("您好，白茶饼不要放冰箱。", None, "您好，白茶饼不要放冰箱。"),
        ("白茶饼放在阴凉干燥处。", Verdict.DOUBTED, ""),
        ("白茶饼要放在阴凉的干燥处。", Verdict.DOUBTED, ""),
        ("绿茶用 80 度的水。", Verdict.DOUBTED, ""),
        ("白茶饼不要放冰箱；绿茶要放冰箱。", Verdict.DOUBTED, "白茶饼不要放冰箱。"),
    ],
)
def test_each_clause_stands_on_a_sentence_that_answers(
    reply: str, fault: Verdict | None, text: str
):
    found = written(reply, TOLD)
    assert (found.fault, found.text) == (fault, text)
    assert written(reply, None).fault is None


async def test_where_too_many_wait_for_the_reader_nothing_unread_is_said(
    open_bench: OpenBench, monkeypatch: pytest.MonkeyPatch
):
    bench = await opened(open_bench, FakeReader({"不要放冰箱": 0.9}))

    async def full(*_: object) -> list[Told]:
        raise Overloaded("full")

    monkeypatch.setattr(bench.pipeline.writer.reader, "read", full)
    reply, sent = await ask(bench)
    assert reply.source == "handoff"
    assert reply.text == sent == bench.pipeline.writer.replies.busy_zh
