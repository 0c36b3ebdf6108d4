"""Replies of a small trained model, weighed as a whole before any of it is read."""

from __future__ import annotations

import pytest

from kefu.reading.reader import Told
from kefu.settings import ConversationSettings
from kefu.turn.certainty import certainty
from kefu.turn.reply import Message
from tests.fakes import ScriptedGenerator
from tests.turn.conftest import Bench, OpenBench
from tests.turn.test_reading import NEAR, FakeReader

SAID = "运费 8 元。"


def told(**sentences: float) -> list[Told]:
    return [Told(0, n, text, p) for n, (text, p) in enumerate(sentences.items())]


def test_the_likelier_to_both_the_surer():
    logprobs = (-9.0, -3.0, -1.0, 0.0)
    for readings in ([], told(运费8元=0.4)):
        found = [certainty(logprob, readings, SAID) for logprob in logprobs]
        assert found == sorted(found)
        assert 0 < found[0] < found[-1] < 1
    by_reader = [certainty(-1.0, told(运费8元=p), SAID) for p in (0.0, 0.2, 0.9, 1.0)]
    assert by_reader == sorted(by_reader)
    assert by_reader[0] < by_reader[1] < by_reader[2]


def test_the_sentence_behind_a_reply_is_the_one_with_its_words():
    likely, unlikely = told(运费8元=0.9, 满99元包邮=0.1), told(运费8元=0.1, 满99元包邮=0.9)
    assert certainty(-1.0, likely, SAID) == certainty(-1.0, told(运费8元=0.9), SAID)
    assert certainty(-1.0, unlikely, SAID) == certainty(-1.0, told(运费8元=0.1), SAID)


def test_a_reply_of_nothing_but_signs_has_a_probability_too():
    assert 0 < certainty(-1.0, told(运费8元=0.9), "。") < 1


@pytest.fixture
def trained(open_bench: OpenBench) -> Bench:
    return open_bench(ConversationSettings(), reader=FakeReader("nowhere", 0.5), style="trained")


async def test_what_is_sure_is_said_once_it_is_whole(trained: Bench, generator: ScriptedGenerator):
    generator.logprob = -0.001
    turn = trained.desk.take(Message("u", NEAR))
    sent = [piece async for piece in turn.pieces()]
    reply = await turn.reply()
    assert (reply.source, reply.text) == ("model", "运费8元。")
    assert sent == ["运费8元。"]
    assert 0.5 < reply.confidence < 1
    assert [citation.id for citation in reply.citations] == ["fee-zh"]


async def test_of_what_is_doubted_nothing_is_read(trained: Bench, generator: ScriptedGenerator):
    generator.logprob = -4.0
    turn = trained.desk.take(Message("u", NEAR))
    sent = "".join([piece async for piece in turn.pieces()])
    reply = await turn.reply()
    assert reply.source in ("faq", "canned")
    assert sent == reply.text
    assert generator.finished == 1
    value = trained.metrics.registry.get_sample_value
    assert value("kefu_ungrounded_replies_total", {"reason": "doubted"}) == 1


async def test_a_larger_model_is_not_doubted(open_bench: OpenBench, generator: ScriptedGenerator):
    generator.logprob = -4.0
    bench = open_bench(ConversationSettings(), style="chat")
    reply = await bench.desk.take(Message("u", NEAR)).reply()
    assert reply.source == "model"
