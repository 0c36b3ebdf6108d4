"""Replies made of the sentences that the reader finds to answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest

from kefu.clauses import sentences_of
from kefu.reading.reader import Told
from kefu.reading.rows import Passage
from kefu.settings import ConversationSettings, Settings
from kefu.turn.reply import Message, Reply
from tests.fakes import ScriptedGenerator
from tests.turn.conftest import Bench, OpenBench

NEAR = "请问邮费运费是多少"


@dataclass
class FakeReader:
    """Is sure of the sentences that have `words`, and remembers what it was asked."""

    words: str
    otherwise: float = 0.1
    asked: list[tuple[str, str]] = field(default_factory=list)
    shown: list[list[str]] = field(default_factory=list)

    def read(self, question: str, before: str, passages: Sequence[Passage]) -> list[Told]:
        self.asked.append((question, before))
        self.shown.append([passage.text for passage in passages])
        return [
            Told(number, place, sentence.strip(), 0.9 if self.words in sentence else self.otherwise)
            for number, passage in enumerate(passages)
            for place, sentence in enumerate(sentences_of(passage.text))
        ]


async def ask(bench: Bench, text: str, uid: str = "u") -> Reply:
    return await bench.desk.take(Message(uid, text)).reply()


async def test_what_the_reader_finds_is_said_without_writing(
    open_bench: OpenBench, generator: ScriptedGenerator
):
    bench = open_bench(ConversationSettings(), reader=FakeReader("8元"))
    turn = bench.desk.take(Message("u", NEAR))
    sent = "".join([text async for text in turn.pieces()])
    reply = await turn.reply()
    assert (reply.source, reply.confidence) == ("model", 0.9)
    assert "8元" in reply.text
    assert sent == reply.text
    assert [citation.id for citation in reply.citations] == ["fee-zh"]
    assert "read" in reply.timings_ms
    assert generator.prompts == []


async def test_where_it_finds_nothing_the_generator_is_asked(
    open_bench: OpenBench, generator: ScriptedGenerator
):
    bench = open_bench(ConversationSettings(), reader=FakeReader("nowhere"))
    reply = await ask(bench, NEAR)
    assert (reply.source, reply.text) == ("model", "运费8元。")
    assert len(generator.prompts) == 1


async def test_how_sure_it_must_be_is_a_setting(
    open_bench: OpenBench, generator: ScriptedGenerator, settings: Settings
):
    replies = settings.replies.model_copy(update={"tells_score": 0.95})
    bench = open_bench(ConversationSettings(), replies, FakeReader("8元"))
    await ask(bench, NEAR)
    assert len(generator.prompts) == 1


async def test_a_follow_up_is_read_with_the_question_before(open_bench: OpenBench):
    reader = FakeReader("8元")
    bench = open_bench(ConversationSettings(), reader=reader)
    await ask(bench, "怎么申请退货")
    reply = await ask(bench, "那运费是多少")
    assert reader.asked[-1] == ("那运费是多少", "怎么申请退货")
    assert "8元" in reply.text


@pytest.mark.parametrize("words", ["8元", "nowhere"])
async def test_answers_in_another_language_are_not_read(open_bench: OpenBench, words: str):
    reader = FakeReader(words)
    bench = open_bench(ConversationSettings(), reader=reader)
    await ask(bench, NEAR)
    assert not any("Delivery" in text for text in reader.shown[0])
