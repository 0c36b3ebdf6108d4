"""What is kept, what is given again, and what never is."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, timedelta

import pytest

from kefu.answers import voiding
from kefu.answers.answer import CachedAnswer
from kefu.answers.cache import AnswerCache
from kefu.answers.key import Scope
from kefu.errors import InvalidInput, ModelError, NotFound
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.knowledge.entry import Entry
from kefu.knowledge.service import Knowledge, open_knowledge
from kefu.settings import AnswerSettings, Settings
from kefu.stamps import now_ms
from kefu.stores.answers import SqlAnswers
from kefu.stores.database import Database
from kefu.stores.knowledge import SqlKnowledge
from tests.answers.conftest import (
    ALIKE,
    ENTRIES,
    QUESTION,
    SCOPE,
    OpenCache,
    ScriptedJudge,
    Verdict,
    Writer,
)

HOUR_MS = 3_600_000


async def find_alike(cache: AnswerCache, writer: Writer, question: str, scope: Scope = SCOPE):
    return await cache.find_alike(question, await writer.encoder.encode(question), scope)


async def keep(cache: AnswerCache, writer: Writer, **more) -> CachedAnswer:
    kept = cache.keep(await writer.new(**more), SCOPE)
    assert kept is not None
    return kept


# Exact


async def test_the_same_words_get_the_same_answer(cache: AnswerCache, writer: Writer):
    assert cache.find_exact(QUESTION, SCOPE) is None
    await keep(cache, writer)
    found = cache.find_exact(f" {QUESTION}？", SCOPE)
    assert found is not None
    assert (found.reply, found.model, found.exact_hits) == ("运费8元。", "small-model", 1)
    assert cache.lookups == {"exact": 1, "semantic": 0, "shared": 0, "miss": 0, "refused": 0}


@pytest.mark.parametrize(
    "scope",
    [
        replace(SCOPE, language="en"),
        replace(SCOPE, model="other"),
        replace(SCOPE, prompt="prompt-2"),
        replace(SCOPE, max_tokens=8),
        replace(SCOPE, tenant="other"),
    ],
)
async def test_another_scope_gets_nothing(
    cache: AnswerCache, writer: Writer, scope: Scope, judge: ScriptedJudge
):
    await keep(cache, writer)
    assert cache.find_exact(QUESTION, scope) is None
    assert await find_alike(cache, writer, ALIKE, scope) is None
    assert judge.asked == []


# Semantic


async def test_other_words_that_ask_the_same_get_the_answer(
    cache: AnswerCache, writer: Writer, judge: ScriptedJudge
):
    await keep(cache, writer)
    found = await find_alike(cache, writer, ALIKE)
    assert found is not None
    assert (found.question, found.semantic_hits) == (QUESTION, 1)
    assert judge.asked == [(ALIKE, (QUESTION,))]
    assert cache.lookups["semantic"] == 1


@pytest.mark.parametrize("verdict", [Verdict(0.79), Verdict(1.0, "negation")])
async def test_the_judge_may_refuse(
    cache: AnswerCache, writer: Writer, judge: ScriptedJudge, verdict: Verdict
):
    judge.others[QUESTION] = verdict
    await keep(cache, writer)
    assert await find_alike(cache, writer, ALIKE) is None
    assert cache.lookups["refused"] == 1


async def test_the_most_probable_of_several_is_given(
    cache: AnswerCache, writer: Writer, judge: ScriptedJudge
):
    questions = [f"寄到上海的运费要多少{end}" for end in ("哈", "呀", "啊")]
    for number, question in enumerate(questions):
        await keep(cache, writer, question=question)
        judge.others[question] = Verdict(0.81 + 0.05 * (number == 1))
    found = await find_alike(cache, writer, ALIKE)
    assert found is not None
    assert found.question == questions[1]


async def test_at_most_five_are_judged_and_nothing_far(
    cache: AnswerCache, writer: Writer, judge: ScriptedJudge
):
    for end in "一二三四五六七":
        await keep(cache, writer, question=f"{QUESTION}{end}")
    await keep(cache, writer, question="发票什么时候开")
    await find_alike(cache, writer, ALIKE)
    ((_, judged),) = judge.asked
    assert len(judged) == 5
    assert all(question.startswith(QUESTION) for question in judged)


async def test_a_question_about_ones_own_order_gets_no_answer_of_others(
    cache: AnswerCache, writer: Writer, judge: ScriptedJudge
):
    await keep(cache, writer)
    assert await find_alike(cache, writer, f"{QUESTION}，我叫张三") is None
    assert judge.asked == []
    assert cache.lookups["refused"] == 1


async def test_it_can_be_switched_off(open_cache: OpenCache, writer: Writer):
    cache = await open_cache(AnswerSettings(semantic=False))
    await keep(cache, writer)
    assert await find_alike(cache, writer, ALIKE) is None
    assert cache.find_exact(QUESTION, SCOPE) is not None


async def test_a_judge_that_fails_costs_no_more_than_the_hit(
    cache: AnswerCache, writer: Writer, judge: ScriptedJudge, monkeypatch: pytest.MonkeyPatch
):
    async def fail(*_):
        raise ModelError("The pair model failed.")

    await keep(cache, writer)
    monkeypatch.setattr(judge, "judge", fail)
    assert await find_alike(cache, writer, ALIKE) is None
    assert cache.lookups["refused"] == 1


async def test_an_answer_that_is_dropped_while_the_judge_reads_is_not_given(
    cache: AnswerCache, writer: Writer, judge: ScriptedJudge, knowledge: Knowledge
):
    await keep(cache, writer)
    judge.gate = asyncio.Event()
    asking = asyncio.create_task(find_alike(cache, writer, ALIKE))
    async with asyncio.timeout(10):
        while not judge.asked:
            await asyncio.sleep(0)
    await knowledge.import_entries([replace(ENTRIES[0], answer="运费10元。")])
    judge.gate.set()
    assert await asking is None


# What is not kept


@pytest.mark.parametrize(
    "more",
    [
        {"is_whole": False},
        {"confidence": 0.49},
        {"entry_ids": ()},
        {"question": "？？"},
        {"question": "订单 20240131123456 的运费多少"},
        {"question": "我叫张三，运费多少"},
        {"reply": "张先生，运费8元。"},
        {"reply": "运费8元，请联系 13812345678。"},
    ],
)
async def test_what_is_unsure_or_a_customers_own_is_not_kept(
    cache: AnswerCache, writer: Writer, more
):
    assert cache.keep(await writer.new(**more), SCOPE) is None
    assert cache.answers == []


async def test_the_shops_own_number_may_be_kept(cache: AnswerCache, writer: Writer):
    await keep(cache, writer, reply="请拨打 4008208820。")


async def test_what_was_written_before_a_change_is_not_kept(
    cache: AnswerCache, writer: Writer, knowledge: Knowledge
):
    new = await writer.new()
    await knowledge.import_entries([Entry("x", "别的事情怎么办", "这样办。")])
    assert cache.keep(new, SCOPE) is None


async def test_what_was_written_before_another_processs_change_is_not_kept(
    cache: AnswerCache, writer: Writer, elsewhere: Knowledge
):
    new = await writer.new()
    await elsewhere.import_entries([Entry("x", "别的事情怎么办", "这样办。")])
    assert cache.keep(new, SCOPE) is None


async def test_only_customers_without_anything_of_their_own_share_a_generation(
    cache: AnswerCache, knowledge: Knowledge
):
    entries = [knowledge.entries["fee"]]
    key = cache.flight_key(QUESTION, SCOPE, entries)
    assert key is not None
    assert key == cache.flight_key(f"{QUESTION}！", SCOPE, entries)
    assert cache.flight_key("我叫张三，运费多少", SCOPE, entries) is None
    assert cache.flight_key("？", SCOPE, entries) is None
    await knowledge.import_entries([replace(ENTRIES[0], answer="运费10元。")])
    assert cache.flight_key(QUESTION, SCOPE, [knowledge.entries["fee"]]) != key


# Changes of the knowledge


@pytest.fixture
async def elsewhere(database: Database, encoder: BatchedEncoder, settings: Settings) -> Knowledge:
    """The knowledge as another process opens it."""
    return await open_knowledge(SqlKnowledge(database), encoder, settings.knowledge)


async def test_a_changed_entry_takes_its_answers_along_and_no_others(
    cache: AnswerCache, writer: Writer, knowledge: Knowledge
):
    await keep(cache, writer)
    other = await keep(cache, writer, question="xylophone zebra", entry_ids=("return",))
    await knowledge.import_entries([replace(ENTRIES[0], answer="运费10元。")])
    assert cache.find_exact(QUESTION, SCOPE) is None
    await cache.refresh()
    assert [a.id for a in cache.answers] == [other.id]
    assert cache.find_exact("xylophone zebra", SCOPE) is not None


async def test_a_deleted_entry_takes_its_answers_along(
    cache: AnswerCache, writer: Writer, knowledge: Knowledge
):
    await keep(cache, writer)
    await knowledge.delete_entries(["fee"])
    assert cache.find_exact(QUESTION, SCOPE) is None
    assert cache.answers == []


async def test_a_new_entry_near_to_a_question_voids_its_answer(
    cache: AnswerCache, writer: Writer, knowledge: Knowledge
):
    await keep(cache, writer)
    far = await keep(cache, writer, question="xylophone zebra", entry_ids=("return",))
    await knowledge.import_entries([Entry("fee-2", "寄到上海的运费", "寄到上海免运费。")])
    # Nothing is given until it is known which answers the new entry concerns.
    assert cache.find_exact(QUESTION, SCOPE) is None
    assert cache.find_exact("xylophone zebra", SCOPE) is None
    await cache.refresh()
    assert cache.find_exact(QUESTION, SCOPE) is None
    assert [a.id for a in cache.answers] == [far.id]
    assert cache.find_exact("xylophone zebra", SCOPE) is not None


async def test_an_entry_that_cannot_be_found_voids_nothing(
    cache: AnswerCache, writer: Writer, knowledge: Knowledge
):
    await keep(cache, writer)
    await knowledge.import_entries(
        [Entry("fee-2", "寄到上海的运费", "寄到上海免运费。", enabled=False)]
    )
    await cache.refresh()
    assert cache.find_exact(QUESTION, SCOPE) is not None


async def test_an_answer_is_not_given_while_the_desk_has_not_seen_anothers_change(
    cache: AnswerCache, writer: Writer, knowledge: Knowledge, elsewhere: Knowledge
):
    await keep(cache, writer)
    await elsewhere.import_entries([replace(ENTRIES[1], answer="写信给我们。")])
    assert cache.find_exact(QUESTION, SCOPE) is None
    assert cache.lookups["refused"] == 1
    await knowledge.refresh()
    await cache.refresh()
    assert cache.find_exact(QUESTION, SCOPE) is not None


async def test_an_answer_ends_with_its_entrys_last_day(
    cache: AnswerCache, writer: Writer, knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
):
    today = date.today()
    await knowledge.import_entries([replace(ENTRIES[0], valid_until=today)])
    await cache.refresh()
    await keep(cache, writer)
    assert cache.find_exact(QUESTION, SCOPE) is not None
    set_today(monkeypatch, today + timedelta(days=1))
    await cache.refresh()
    assert cache.find_exact(QUESTION, SCOPE) is None
    assert cache.doubt(cache.answers[0]) is not None


async def test_an_entry_that_begins_today_voids_answers_near_to_it(
    cache: AnswerCache, writer: Writer, knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
):
    tomorrow = date.today() + timedelta(days=1)
    coming = Entry("fee-2", "寄到上海的运费", "免运费。", valid_from=tomorrow)
    await knowledge.import_entries([coming])
    await cache.refresh()
    await keep(cache, writer)
    far = await keep(cache, writer, question="xylophone zebra", entry_ids=("return",))
    assert cache.find_exact(QUESTION, SCOPE) is not None
    set_today(monkeypatch, tomorrow)
    assert cache.find_exact(QUESTION, SCOPE) is None
    await cache.refresh()
    assert [a.id for a in cache.answers] == [far.id]


def set_today(monkeypatch: pytest.MonkeyPatch, day: date) -> None:
    class Calendar(date):
        @classmethod
        def today(cls) -> date:
            return day

    for module in ("kefu.answers.voiding", "kefu.answers.freshness"):
        monkeypatch.setattr(f"{module}.date", Calendar)


async def test_a_check_that_fails_leaves_no_answer_that_was_not_checked(
    cache: AnswerCache, writer: Writer, knowledge: Knowledge, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_):
        raise ValueError("no such vectors")

    await keep(cache, writer)
    monkeypatch.setattr(voiding.Voiding, "_unaware", fail)
    await knowledge.import_entries([Entry("x", "别的事情怎么办", "这样办。")])
    await cache.refresh()
    assert cache.answers == []


# A restart


async def test_answers_and_their_hits_survive_a_restart(
    cache: AnswerCache, writer: Writer, open_cache: OpenCache
):
    await keep(cache, writer)
    cache.find_exact(QUESTION, SCOPE)
    await find_alike(cache, writer, ALIKE)
    await cache.close()
    again = await open_cache(AnswerSettings())
    (answer,) = again.answers
    assert (answer.reply, answer.exact_hits, answer.semantic_hits) == ("运费8元。", 1, 1)
    assert again.find_exact(QUESTION, SCOPE) is not None
    assert await find_alike(again, writer, ALIKE) is not None


@pytest.mark.parametrize(
    "change",
    [
        [replace(ENTRIES[0], answer="运费10元。")],
        [Entry("fee-2", "寄到上海的运费", "寄到上海免运费。")],
    ],
    ids=["changed", "near"],
)
async def test_what_changed_while_no_desk_ran_is_noticed_at_the_start(
    cache: AnswerCache,
    writer: Writer,
    knowledge: Knowledge,
    elsewhere: Knowledge,
    open_cache: OpenCache,
    change: list[Entry],
):
    await keep(cache, writer)
    far = await keep(cache, writer, question="xylophone zebra", entry_ids=("return",))
    await cache.close()
    await elsewhere.import_entries(change)
    await knowledge.refresh()
    again = await open_cache(AnswerSettings())
    assert [a.id for a in again.answers] == [far.id]


async def test_old_entries_void_nothing_at_the_start(
    cache: AnswerCache,
    writer: Writer,
    open_cache: OpenCache,
    database: Database,
):
    # "return" is near to this question, was known when it was answered, and was not read.
    await keep(cache, writer, question="怎么申请退货呢", entry_ids=("fee",))
    await cache.close()
    long_ago = now_ms() - 24 * HOUR_MS
    database.write(lambda c: c.exec_driver_sql(f"UPDATE entries SET updated_at_ms = {long_ago}"))
    assert len((await open_cache(AnswerSettings())).answers) == 1
    database.write(lambda c: c.exec_driver_sql(f"UPDATE entries SET updated_at_ms = {now_ms()}"))
    assert (await open_cache(AnswerSettings())).answers == []


async def test_a_crash_loses_no_more_than_the_last_moments(
    cache: AnswerCache, writer: Writer, open_cache: OpenCache
):
    await keep(cache, writer)
    await cache.refresh()
    await keep(cache, writer, question="怎么申请退货呢", entry_ids=("return",))
    again = await open_cache(AnswerSettings())
    assert [a.question for a in again.answers] == [QUESTION]


async def test_answers_that_another_encoder_found_are_dropped_and_peoples_encoded_anew(
    cache: AnswerCache,
    writer: Writer,
    open_cache: OpenCache,
    encoder: BatchedEncoder,
    monkeypatch: pytest.MonkeyPatch,
):
    await keep(cache, writer)
    await cache.pin("周末可以到店里自提吗", "可以。")
    await cache.close()
    monkeypatch.setattr(type(encoder), "id", "another")
    again = await open_cache(AnswerSettings())
    assert [(a.question, a.encoder_id) for a in again.answers] == [
        ("周末可以到店里自提吗", "another")
    ]
    await again.close()
    (kept_one,) = (await open_cache(AnswerSettings())).answers
    assert kept_one.encoder_id == "another"


# Bounds


async def test_the_least_recently_used_go_first_and_pinned_ones_last(
    open_cache: OpenCache, writer: Writer
):
    cache = await open_cache(AnswerSettings(max_entries=3))
    await cache.pin("周末可以到店里自提吗", "可以。")
    await keep(cache, writer, question="one")
    await keep(cache, writer, question="two")
    assert cache.find_exact("one", SCOPE) is not None
    await keep(cache, writer, question="three")
    assert {a.question for a in cache.answers} == {"周末可以到店里自提吗", "one", "three"}


async def test_zero_keeps_nothing(open_cache: OpenCache, writer: Writer):
    cache = await open_cache(AnswerSettings(max_entries=0))
    assert cache.keep(await writer.new(), SCOPE) is None
    assert cache.find_exact(QUESTION, SCOPE) is None


async def test_old_answers_go_and_pinned_ones_stay(
    cache: AnswerCache, writer: Writer, monkeypatch: pytest.MonkeyPatch
):
    await keep(cache, writer)
    pinned = await cache.pin("周末可以到店里自提吗", "可以。")
    later = now_ms() + 169 * HOUR_MS
    monkeypatch.setattr("kefu.answers.cache.now_ms", lambda: later)
    await cache.refresh()
    assert [a.id for a in cache.answers] == [pinned.id]


async def test_what_cannot_be_written_is_written_later(
    cache: AnswerCache, writer: Writer, store: SqlAnswers, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_, **__):
        raise OSError("disk full")

    await keep(cache, writer)
    with monkeypatch.context() as patch:
        patch.setattr(store, "apply", fail)
        with pytest.raises(OSError, match="disk full"):
            await cache.refresh()
        await keep(cache, writer, question="怎么申请退货呢", entry_ids=("return",))
    await cache.refresh()
    assert len(store.load()[1]) == 2


# People


async def test_a_pinned_answer_is_given_whichever_model_writes(
    cache: AnswerCache, writer: Writer, knowledge: Knowledge
):
    await cache.pin("周末可以到店里自提吗", "可以，工作日9点到18点。")
    await knowledge.delete_entries([entry.id for entry in ENTRIES])
    for scope in (SCOPE, replace(SCOPE, model="other", prompt="other", max_tokens=9)):
        found = cache.find_exact("周末可以到店里自提吗？", scope)
        assert found is not None
        assert found.reply == "可以，工作日9点到18点。"
    assert await find_alike(cache, writer, "周末可以到店里自提吗呀") is not None


async def test_a_persons_answer_wins_over_a_generated_one(cache: AnswerCache, writer: Writer):
    await keep(cache, writer)
    await cache.pin(QUESTION, "8元。")
    found = cache.find_exact(QUESTION, SCOPE)
    assert found is not None
    assert found.reply == "8元。"


async def test_pinning_a_question_again_replaces_its_answer(cache: AnswerCache, store: SqlAnswers):
    await cache.pin("周末可以到店里自提吗", "可以。")
    await cache.pin("周末可以到店里自提吗？", "不可以。")
    assert [a.reply for a in cache.answers] == ["不可以。"]
    assert [a.reply for a in store.load()[1]] == ["不可以。"]


async def test_a_pinned_answer_with_entries_waits_to_be_confirmed_after_a_change(
    cache: AnswerCache, knowledge: Knowledge
):
    answer = await cache.pin(QUESTION, "8元。", ["fee"])
    await knowledge.import_entries([replace(ENTRIES[0], answer="运费10元。")])
    await cache.refresh()
    assert cache.find_exact(QUESTION, SCOPE) is None
    assert cache.doubt(cache.get(answer.id)) == "its entry fee was changed"
    await cache.revise(answer.id, reply="10元。")
    found = cache.find_exact(QUESTION, SCOPE)
    assert found is not None
    assert found.reply == "10元。"


async def test_an_edited_answer_outlives_its_prompt(cache: AnswerCache, writer: Writer):
    answer = await keep(cache, writer)
    await cache.revise(answer.id, reply="寄到上海8元。")
    found = cache.find_exact(QUESTION, replace(SCOPE, prompt="prompt-2"))
    assert found is not None
    assert (found.id, found.reply, found.edited, found.pinned) == (
        answer.id, "寄到上海8元。", True, False
    )  # fmt: skip


async def test_letting_go_of_a_pin_keeps_the_answer(cache: AnswerCache, writer: Writer):
    answer = await keep(cache, writer)
    await cache.revise(answer.id, pinned=True)
    let_go = await cache.revise(answer.id, pinned=False)
    assert (let_go.pinned, let_go.edited, let_go.reply) == (False, True, answer.reply)


async def test_letting_go_does_not_confirm_an_answer_that_is_out_of_date(
    cache: AnswerCache, writer: Writer, knowledge: Knowledge
):
    answer = await keep(cache, writer)
    await cache.revise(answer.id, pinned=True)
    await knowledge.import_entries([replace(ENTRIES[0], answer="运费10元。")])
    await cache.refresh()
    await cache.revise(answer.id, pinned=False)
    assert cache.find_exact(QUESTION, SCOPE) is None


@pytest.mark.parametrize(
    ("question", "reply", "says"),
    [
        ("？？", "可以。", "no words"),
        ("", "可以。", "question is empty"),
        ("周末可以到店里自提吗", "  ", "reply is empty"),
        ("周末可以到店里自提吗", "可" * 8001, "8001 characters"),
    ],
)
async def test_what_cannot_be_pinned_is_said(
    cache: AnswerCache, question: str, reply: str, says: str
):
    with pytest.raises(InvalidInput, match=says):
        await cache.pin(question, reply)
    assert cache.answers == []


async def test_pinning_to_an_entry_that_is_not_there_is_said(cache: AnswerCache):
    with pytest.raises(NotFound, match="'nowhere'"):
        await cache.pin("周末可以到店里自提吗", "可以。", ["nowhere"])


async def test_clearing_by_entry_and_with_pinned_ones_kept(cache: AnswerCache, writer: Writer):
    await keep(cache, writer)
    await keep(cache, writer, question="怎么申请退货呢", entry_ids=("return",))
    await cache.pin("周末可以到店里自提吗", "可以。")
    assert await cache.clear(entry_id="fee") == 1
    assert await cache.clear(keep_pinned=True) == 1
    assert await cache.clear() == 1
    assert await cache.clear() == 0


# What another process does


async def test_what_people_change_from_another_process_is_taken_over(
    cache: AnswerCache, writer: Writer, store: SqlAnswers
):
    from kefu.answers.people import revised, written

    edited = await keep(cache, writer)
    dropped = await keep(cache, writer, question="怎么申请退货呢", entry_ids=("return",))
    await cache.refresh()
    store.change(written("周末可以到店里自提吗", "可以。", {}))
    store.change(revised(edited, edited.entry_hashes, reply="寄到上海8元。"))
    assert store.clear([dropped.id]) == 1
    cache.find_exact("怎么申请退货呢", SCOPE)  # the hit must not bring it back
    await cache.refresh()
    assert {a.question: a.reply for a in cache.answers} == {
        "周末可以到店里自提吗": "可以。",
        QUESTION: "寄到上海8元。",
    }
    assert await find_alike(cache, writer, "周末可以到店里自提吗呀") is not None
    await cache.refresh()
    assert {a.question for a in store.load()[1]} == {"周末可以到店里自提吗", QUESTION}


async def test_taking_over_keeps_what_is_not_on_disk_yet_and_brings_nothing_back(
    cache: AnswerCache, writer: Writer, store: SqlAnswers, knowledge: Knowledge
):
    from kefu.answers.people import written

    await keep(cache, writer)
    await cache.refresh()
    await knowledge.import_entries([replace(ENTRIES[0], answer="运费10元。")])  # drops it
    fresh = await keep(cache, writer, question="怎么申请退货呢", entry_ids=("return",))
    store.change(written("周末可以到店里自提吗", "可以。", {}))
    await cache.refresh()
    assert {a.question for a in cache.answers} == {fresh.question, "周末可以到店里自提吗"}
