"""What the customer wants: the label of every reply, and the actions of plain intents."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from kefu.errors import InvalidInput, ModelError
from kefu.intent import service
from kefu.intent.actions import Action
from kefu.intent.classifier import Prediction, Vectors
from kefu.intent.folder import About
from kefu.knowledge.entry import Entry
from kefu.settings import Settings, load_settings
from kefu.turn.reply import Message, Reply
from tests.fakes import HashingEncoder, ScriptedGenerator
from tests.intent.small_models import add_model, trained
from tests.turn.conftest import Bench

NEAR = "你们运费是多少"
PERSON = "我要转人工客服"
THANKS = Action("reply", "不客气！", "You are welcome!")


@pytest.fixture
async def taught(bench: Bench) -> Bench:
    """The desk with a model, and no actions yet."""
    add_model(bench.intents.versions)
    await bench.intents.refresh()
    return bench


async def ask(bench: Bench, text: str, uid: str = "u") -> Reply:
    return await bench.desk.take(Message(uid, text)).reply()


def predicted(text: str) -> Prediction:
    (found,) = trained().classifier.classify([text], HashingEncoder().encode([text]))
    return found


async def test_before_any_training_the_label_is_the_nearest_entrys_topic(bench: Bench):
    reply = await ask(bench, NEAR)
    assert reply.intent.label == "delivery"
    assert bench.intents.version is None
    assert "intent" in reply.timings_ms


@pytest.mark.parametrize("text", [PERSON, NEAR, "运费是多少", "谢谢你啊", "月亮有多远"])
async def test_every_reply_carries_the_models_label_and_score(taught: Bench, text: str):
    reply, found = await ask(taught, text), predicted(text)
    assert reply.intent.label == found.label
    # The saved model has half the digits.
    assert reply.intent.score == pytest.approx(found.score, abs=1e-2)
    (kept,) = await taught.transcript.last_turns("u", 1)
    assert (kept.intent_label, kept.intent_score) == (reply.intent.label, reply.intent.score)


async def test_the_stage_is_timed_and_the_labels_are_counted(taught: Bench):
    reply = await ask(taught, PERSON)
    assert 0 < reply.timings_ms["intent"] < reply.timings_ms["total"]
    count = taught.metrics.registry.get_sample_value
    assert count("kefu_stage_seconds_count", {"stage": "intent"}) == 1
    assert count("kefu_intents_total", {"label": "human_agent"}) == 1


ACTIONS = {
    "a reply": (Action("reply", "不客气！", "You are welcome!"), "canned"),
    "a person": (Action("handoff", "请稍等。", "One moment."), "handoff"),
    "a link": (Action("link", "请看", "See", "https://shop.example/a"), "canned"),
}


@pytest.mark.parametrize("text", ["谢谢", "thank you"])
@pytest.mark.parametrize("name", ACTIONS)
async def test_a_plain_intent_gets_the_shops_own_words(
    taught: Bench, generator: ScriptedGenerator, name: str, text: str
):
    action, source = ACTIONS[name]
    await taught.intents.set_action("thanks", action)
    reply = await ask(taught, text)
    words = action.reply_zh if text == "谢谢" else action.reply_en
    assert reply.text == f"{words} {action.url}".strip()
    assert (reply.source, reply.citations, reply.usage) == (source, (), None)
    assert reply.confidence == reply.intent.score
    assert generator.prompts == []
    (kept,) = await taught.transcript.last_turns("u", 1)
    assert (kept.reply, kept.source, kept.status) == (reply.text, source, "answered")


@pytest.mark.parametrize("text", ["谢谢", "thank you"])
@pytest.mark.parametrize("words", [("不客气！", ""), ("", "You are welcome!")])
async def test_a_missing_language_is_made_up_for_by_the_other(
    taught: Bench, text: str, words: tuple[str, str]
):
    await taught.intents.set_action("thanks", Action("reply", *words))
    assert (await ask(taught, text)).text == "".join(words)


async def test_a_handoff_marks_the_talk_as_waiting(taught: Bench):
    await taught.intents.set_action("human_agent", Action("handoff", "请稍等。"))
    await ask(taught, PERSON, uid="waits")
    await ask(taught, "谢谢", uid="talks")  # no action: nothing is known of it
    waiting = await taught.transcript.conversations(10, waiting_only=True)
    assert "waits" in [talk.uid for talk in waiting]


async def test_a_stream_gets_the_canned_text_in_one_piece(taught: Bench):
    await taught.intents.set_action("thanks", THANKS)
    turn = taught.desk.take(Message("u", "谢谢"))
    assert [piece async for piece in turn.pieces()] == [THANKS.reply_zh]
    assert (await turn.reply()).text == THANKS.reply_zh


async def test_an_entry_that_answers_wins_over_an_action(taught: Bench):
    await taught.knowledge.import_entries([Entry("talk", "转人工", "请拨打 400。", language="zh")])
    await taught.intents.set_action("human_agent", Action("handoff", "请稍等。"))
    reply = await ask(taught, "转人工")
    assert (reply.text, reply.source) == ("请拨打 400。", "faq")
    assert reply.intent.label == "human_agent"
    assert (await ask(taught, "人工服务")).text == "请稍等。"


async def test_an_action_wins_over_what_is_only_near(taught: Bench, generator: ScriptedGenerator):
    """The passage alone would have the generator write."""
    near = Entry("open", "周末几点开门呀", "周末十点。", language="zh")
    await taught.knowledge.import_entries([near])
    assert (await ask(taught, "你们几点开门", uid="before")).choices != ()
    asked = len(generator.prompts)
    await taught.intents.set_action("store/hours", Action("reply", "九点到九点。"))
    assert (await ask(taught, "你们几点开门")).text == "九点到九点。"
    assert len(generator.prompts) == asked


class TestUnsure:
    text = "那要多久呢"

    @pytest.fixture
    def settings(self, tmp_path: Path, settings: Settings) -> Settings:
        """A little more than what the message has is asked for."""
        knowledge = settings.knowledge.model_dump()
        intents = {"action_score": predicted(self.text).score + 0.015}
        return load_settings(
            {"data_dir": tmp_path / "data", "knowledge": knowledge, "intents": intents}
        )

    async def test_below_the_score_no_action_is_taken(self, taught: Bench):
        await taught.intents.set_action("refund_status", Action("reply", "三天。"))
        reply = await ask(taught, self.text)
        assert (reply.source, reply.intent.label) == ("handoff", "refund_status")
        assert (await ask(taught, "退款多久到账")).text == "三天。"


async def test_what_is_out_of_scope_has_no_action(taught: Bench):
    with pytest.raises(InvalidInput, match="nothing in common"):
        await taught.intents.set_action("oos", THANKS)
    for label in trained().classifier.labels:
        await taught.intents.set_action(label, THANKS)
    reply = await ask(taught, "月亮有多远")
    assert (reply.source, reply.intent.label) == ("handoff", "oos")
    assert reply.intent.score > 0.9
    assert "同事" in reply.text


async def test_an_action_that_is_removed_is_not_taken(taught: Bench):
    await taught.intents.set_action("thanks", THANKS)
    assert (await ask(taught, "谢谢")).source == "canned"
    assert await taught.intents.remove_action("thanks")
    assert (await ask(taught, "谢谢")).source != "canned"


async def test_a_follow_up_is_still_completed_from_the_question_before(taught: Bench):
    await ask(taught, "运费是多少")
    reply = await ask(taught, "那退款呢")
    assert reply.intent.label == "refund_status"
    # Nothing was found for these words alone.
    assert "fee-zh" in [choice.id for choice in reply.choices]


async def test_a_plainly_foreign_message_is_not_read_as_a_follow_up(
    taught: Bench, generator: ScriptedGenerator
):
    await ask(taught, "运费是多少")
    reply = await ask(taught, "月亮有多远")
    assert (reply.source, reply.intent.label) == ("handoff", "oos")
    assert reply.intent.score > 0.8
    assert generator.prompts == []


async def test_a_canned_reply_is_a_round_of_the_talk(taught: Bench, generator: ScriptedGenerator):
    await taught.intents.set_action("thanks", THANKS)
    await ask(taught, "谢谢")
    await ask(taught, "那运费是多少")
    assert f"顾客：谢谢\n客服：{THANKS.reply_zh}\n" in (generator.prompts[-1].text or "")


class Broken:
    """A model whose every call fails."""

    labels = ("thanks",)
    encoder_id = HashingEncoder.id

    def __init__(self, error: Exception) -> None:
        self.error = error

    def classify(self, texts: Sequence[str], vectors: Vectors | None) -> list[Prediction]:
        raise self.error


@pytest.mark.parametrize("error", [ModelError("The classifier failed."), ValueError("no fit")])
async def test_a_classifier_that_fails_costs_the_label_and_nothing_else(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, error: Exception
):
    def load(folder: Path) -> tuple[Broken, About]:
        return Broken(error), service_load(folder)[1]

    service_load = service.load
    monkeypatch.setattr(service, "load", load)
    add_model(bench.intents.versions)
    await bench.intents.refresh()
    await bench.intents.set_action("thanks", THANKS)
    assert bench.intents.version is not None
    reply = await ask(bench, "运费是多少")
    assert (reply.text, reply.source) == ("运费8元，满99元免运费。", "faq")
    assert reply.intent.label == "delivery"
    assert (await ask(bench, NEAR)).source == "model"
    assert (await ask(bench, "xylophone", uid="other")).intent.label == "oos"
