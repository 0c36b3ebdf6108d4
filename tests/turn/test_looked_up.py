"""The same words a second time are not looked up again, unless something has changed meanwhile."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from kefu.intent.actions import Action
from kefu.knowledge.match import Nothing
from kefu.moderation.categories import Category
from kefu.moderation.policy import PASSED
from kefu.turn.looked_up import LookedUp, Recent
from kefu.turn.reply import Message, Reply
from tests.intent.small_models import add_model
from tests.turn.conftest import ENTRIES, Bench

FEE = "运费是多少"


async def ask(bench: Bench, text: str, uid: str) -> Reply:
    return await bench.desk.take(Message(uid, text)).reply()


def was_looked_up(reply: Reply) -> bool:
    return "encode" in reply.timings_ms


async def test_the_same_words_get_the_same_without_being_encoded(bench: Bench):
    first, second = await ask(bench, FEE, "one"), await ask(bench, FEE, "two")
    assert was_looked_up(first)
    assert not was_looked_up(second)
    assert replace(second, timings_ms={}, conversation_id="", turn_id="") == replace(
        first, timings_ms={}, conversation_id="", turn_id=""
    )


async def test_looking_for_changes_where_there_are_none_forgets_nothing(bench: Bench):
    """As a desk does every second."""
    add_model(bench.intents.versions)
    parts = (bench.knowledge, bench.intents, bench.moderation)
    for part in parts:
        await part.refresh()
    await ask(bench, FEE, "one")
    for part in parts:
        await part.refresh()
        assert not was_looked_up(await ask(bench, FEE, "two"))


async def test_other_words_are_looked_up(bench: Bench):
    await ask(bench, FEE, "one")
    assert was_looked_up(await ask(bench, f"{FEE}？", "two"))


async def test_an_edited_entry_is_seen_at_once(bench: Bench):
    await ask(bench, FEE, "one")
    await bench.knowledge.import_entries([replace(ENTRIES[0], answer="运费9元。")])
    assert (await ask(bench, FEE, "two")).text == "运费9元。"


async def test_a_word_that_was_listed_since_stops_it(bench: Bench):
    await ask(bench, FEE, "one")
    await bench.moderation.add_word("运费", Category.ABUSE, None, "test")
    reply = await ask(bench, FEE, "two")
    assert was_looked_up(reply) or reply.source == "blocked"


async def test_a_model_that_was_trained_since_labels_it(bench: Bench):
    before = await ask(bench, FEE, "one")
    add_model(bench.intents.versions)
    await bench.intents.refresh()
    after = await ask(bench, FEE, "two")
    assert was_looked_up(after)
    assert after.intent.score != before.intent.score


async def test_an_action_that_was_set_since_is_taken(bench: Bench):
    add_model(bench.intents.versions)
    await bench.intents.refresh()
    thanks = "谢谢你啊"
    await ask(bench, thanks, "one")
    label = (await ask(bench, thanks, "two")).intent.label
    await bench.intents.set_action(label, Action("reply", "不客气！", "You are welcome!"))
    assert (await ask(bench, thanks, "three")).text == "不客气！"


async def test_every_customer_counts_in_the_metrics(bench: Bench):
    add_model(bench.intents.versions)
    await bench.intents.refresh()
    replies = [await ask(bench, FEE, uid) for uid in ("one", "two", "three")]
    label = replies[0].intent.label
    counted = bench.metrics.registry.get_sample_value("kefu_intents_total", {"label": label})
    assert counted == 3


def test_the_longest_unasked_goes_first_and_all_with_what_it_was_found_with():
    one, other = object(), object()
    recent = Recent(most=2)
    found = LookedUp(np.zeros(2, np.float32), PASSED, None, Nothing())
    assert recent.get("a", (one,)) is None
    recent.keep("a", (one,), found)
    recent.keep("b", (one,), found)
    assert recent.get("a", (one,)) is found
    recent.keep("c", (one,), found)
    assert recent.get("b", (one,)) is None
    assert recent.get("a", (one,)) is found
    recent.keep("late", (other,), found)  # something changed while it was looked up
    assert recent.get("late", (one,)) is None
    assert recent.get("a", (other,)) is None
    assert recent.get("a", (one,)) is None


def test_another_day_is_another_answer():
    index = object()
    recent = Recent()
    recent.get("a", (index, "2026-11-23"))
    recent.keep(
        "a",
        (index, "2026-11-23"),
        LookedUp(np.zeros(2, np.float32), PASSED, None, Nothing()),
    )
    assert recent.get("a", (index, "2026-11-23")) is not None
    assert recent.get("a", (index, "2026-11-24")) is None
