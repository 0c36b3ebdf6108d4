"""A message that a person must look at first: the answer comes later, in the same place, once."""

import threading

from playwright.async_api import Page, expect

from .conftest import Chat, NewPage
from .probes import (
    FOCUSED,
    HEAR_ANNOUNCEMENTS,
    HEAR_COMPONENT_EVENTS,
    HIDE,
    IS_AT_BOTTOM,
    ROUND_TRIP,
    SETTLE_ELSEWHERE,
    SHOW,
)
from .scripted_desk import Desk, Exchange

HOLDING = "这条消息需要同事先看一下"
OLD = {
    "turn_id": "h",
    "question": "问",
    "reply": HOLDING,
    "source": "held",
    "confidence": 0.0,
    "citations": [],
    "choices": [],
    "rating": None,
    "created_at": 1735787045000,
}


def hold(exchange: Exchange) -> None:
    exchange.done(HOLDING, source="held", confidence=0.0)


def turn_id(desk: Desk, index: int = 0) -> str:
    return f"turn-{desk.keys[index]}"


async def held(chat: Chat, desk: Desk, text: str = "问") -> None:
    desk.script(hold)
    await chat.say(text)
    await expect(chat.turns.last.locator(".badge")).to_have_text("待审核")


async def freeze(page: Page) -> None:
    """Time goes by on this page only where the test says so."""
    await page.clock.install(time=0)
    await page.clock.pause_at(3_600_000)


async def talked(chat: Chat, text: str) -> None:
    """One more message has its reply: whatever the page would do by itself has had its time."""
    count = await chat.turns.count()
    await chat.say(text)
    await chat.has_state(count, "done")


async def test_the_answer_takes_the_place_of_the_holding_reply(chat: Chat, desk: Desk):
    await held(chat, desk)
    await chat.asked_for_updates(1)
    await chat.page.evaluate(HEAR_COMPONENT_EVENTS)
    await chat.page.evaluate(HEAR_ANNOUNCEMENTS)
    citation = {"id": "faq-1", "title": "发票", "score": 0.9}
    choice = {"id": "faq-2", "title": "怎么开专票？"}
    desk.deliver(
        turn_id(desk),
        "可以开发票。",
        source="model",
        confidence=0.81,
        citations=[citation],
        choices=[choice],
    )
    await expect(chat.replies).to_have_text(["可以开发票。"])
    meta = chat.turn(0).locator(".meta")
    await expect(meta).to_contain_text("AI 生成")
    await expect(meta).to_contain_text("置信度 81%")
    await expect(chat.turn(0)).to_contain_text("参考资料（1）")
    await expect(chat.turn(0).locator(".thumb:visible")).to_have_count(2)
    await expect(chat.announcer).to_have_text("客服: 可以开发票。 您是不是想问: 怎么开专票？")
    assert await chat.page.evaluate("seen") == [["kefu:reply", "可以开发票。"]]
    await chat.turn(0).get_by_role("button", name="怎么开专票？").click()
    await chat.has_state(1, "done")
    # Nothing waits any more, so nothing is asked; and what was told is not told again.
    assert [call["after"] for call in desk.update_calls] == ["0"]
    assert len(await chat.page.evaluate("heard")) == 2
    await expect(chat.questions).to_have_text(["问", "怎么开专票？"])


async def test_the_request_is_one_that_waits(new_page: NewPage, desk: Desk):
    chat = await Chat(await new_page(), desk).open("/#key=pk_test")
    await held(chat, desk)
    await held(chat, desk, "再问")
    await chat.asked_for_updates(1)
    desk.deliver(turn_id(desk), "好")
    await expect(chat.replies).to_have_text(["好", HOLDING])
    await chat.asked_for_updates(2)
    about = {"uid": desk.posts[0].uid, "wait": "25", "authorization": "Bearer pk_test"}
    assert desk.update_calls == [about | {"after": "0"}, about | {"after": "1"}]


async def test_where_nothing_is_held_nothing_is_asked(chat: Chat, desk: Desk):
    desk.script(
        lambda x: x.done("不行", source="blocked"), lambda x: x.done("好", source="handoff")
    )
    for text in ("骂人", "转人工", "你好"):
        await talked(chat, text)
    await expect(chat.turn(0).locator(".badge")).to_have_text("已拦截")
    for index in range(2):
        await expect(chat.turn(index).locator(".thumb:visible")).to_have_count(0)
        await expect(chat.turn(index).locator(".meta")).not_to_contain_text("秒")
    assert desk.update_calls == []


async def test_the_customer_goes_on_writing_meanwhile(chat: Chat, desk: Desk):
    await held(chat, desk)
    await talked(chat, "另外，运费多少")
    desk.deliver(turn_id(desk), "答", choices=[{"id": "a", "title": "甲"}])
    await expect(chat.questions).to_have_text(["问", "另外，运费多少"])
    await expect(chat.replies).to_have_text(["答", "收到：另外，运费多少"])
    choice = chat.turn(0).get_by_role("button", name="甲")
    await expect(choice).to_be_enabled()  # nothing was asked since it came
    await talked(chat, "还有一件事")
    await expect(choice).to_be_disabled()


async def test_a_held_reply_is_calm_and_asks_for_no_rating(chat: Chat, desk: Desk):
    await held(chat, desk)
    turn = chat.turn(0)
    await expect(turn.locator(".thumb:visible")).to_have_count(0)
    await expect(turn.locator(".status")).to_be_hidden()
    await expect(turn.locator(".dots")).to_be_hidden()
    await expect(turn.locator(".meta")).not_to_contain_text("秒")
    await chat.page.get_by_role("button", name="English").click()
    await expect(turn.locator(".badge")).to_have_text("In review")


async def test_a_reload_goes_on_waiting(chat: Chat, desk: Desk):
    await held(chat, desk)
    desk.history = [OLD | {"turn_id": turn_id(desk)}]
    await chat.page.reload()
    await expect(chat.turn(0).locator(".badge")).to_have_text("待审核")
    desk.deliver(turn_id(desk), "答")
    await expect(chat.replies).to_have_text(["答"])
    desk.history[0] |= {"reply": "答", "source": "canned"}
    await chat.page.reload()
    await expect(chat.replies).to_have_text(["答"])
    await expect(chat.announcer).to_have_text("")


async def test_what_was_decided_while_no_page_was_open_is_news_once(chat: Chat, desk: Desk):
    await held(chat, desk)
    await chat.page.goto("about:blank")
    desk.history = [OLD | {"turn_id": turn_id(desk), "reply": "答", "source": "canned"}]
    desk.deliver(turn_id(desk), "答")
    await chat.open()
    await expect(chat.replies).to_have_text(["答"])
    await expect(chat.announcer).to_have_text("客服: 答")
    await chat.page.reload()
    await expect(chat.replies).to_have_text(["答"])
    await talked(chat, "谢谢")
    await expect(chat.announcer).to_have_text("客服: 收到：谢谢")
    assert len(desk.update_calls) == 1


async def test_a_talk_that_is_over_is_waited_for_no_more(chat: Chat, desk: Desk):
    await held(chat, desk)
    await chat.page.reload()  # the history is empty
    await talked(chat, "你好")
    names = await chat.page.evaluate("Object.keys(localStorage)")
    assert [name for name in names if name.startswith("kefu.held:")] == []
    assert len(desk.update_calls) == 1


async def test_both_tabs_show_it_and_each_only_once(chat: Chat, desk: Desk):
    await held(chat, desk)
    desk.history = [OLD | {"turn_id": turn_id(desk)}]
    other = await Chat(await chat.page.context.new_page(), desk).open()
    await expect(other.turn(0).locator(".badge")).to_have_text("待审核")
    await chat.asked_for_updates(2)
    for tab in (chat, other):
        await tab.page.evaluate(HEAR_COMPONENT_EVENTS)
    desk.deliver(turn_id(desk), "答")
    for tab in (chat, other):
        await expect(tab.replies).to_have_text(["答"])
        await talked(tab, "谢谢")
        assert (await tab.page.evaluate("seen"))[0] == ["kefu:reply", "答"]
        assert ["kefu:reply", "答"] not in (await tab.page.evaluate("seen"))[1:]


async def test_updates_of_other_turns_are_passed_over(chat: Chat, desk: Desk):
    desk.script(lambda x: x.done("原来的答复"))
    await chat.say("早先")
    await chat.has_state(0, "done")
    desk.deliver(turn_id(desk), "改过的答复")  # what this page knows already, from after=0 on
    desk.deliver("nobody", "谁的？")
    await held(chat, desk)
    desk.deliver(turn_id(desk, 1), "答")
    await expect(chat.replies).to_have_text(["原来的答复", "答"])


async def test_a_verdict_may_be_faster_than_the_holding_reply(
    chat: Chat, desk: Desk, gate: threading.Event
):
    def slow_hold(x: Exchange) -> None:
        x.wait(gate)
        hold(x)

    await held(chat, desk)
    desk.script(slow_hold)
    await chat.say("再问")
    await chat.received(2)
    await chat.page.evaluate(HEAR_COMPONENT_EVENTS)
    desk.deliver(turn_id(desk, 1), "答二")
    await chat.asked_for_updates(2)  # so the first request has brought it
    gate.set()
    await expect(chat.replies).to_have_text([HOLDING, "答二"])
    assert await chat.page.evaluate("seen") == [["kefu:reply", "答二"]]


async def test_verdicts_that_come_together_are_all_read_out(chat: Chat, desk: Desk):
    gate = threading.Event()
    desk.update_plays.append(lambda x: (x.wait(gate), x.problem(503, "busy")))
    await held(chat, desk, "一")
    await held(chat, desk, "二")
    desk.deliver(turn_id(desk, 1), "答二")
    desk.deliver(turn_id(desk, 0), "答一")
    gate.set()
    await expect(chat.replies).to_have_text(["答一", "答二"])
    await expect(chat.announcer).to_have_text("客服: 答一 客服: 答二")


async def test_failures_are_outlasted(chat: Chat, desk: Desk):
    desk.update_plays.extend(
        [lambda x: x.cut(), lambda x: x.problem(503, "busy"), lambda x: x.problem(500, "broken")]
    )
    await held(chat, desk)
    await chat.asked_for_updates(4)
    desk.deliver(turn_id(desk), "答")
    await expect(chat.replies).to_have_text(["答"])


async def test_a_desk_without_later_replies_is_asked_once(chat: Chat, desk: Desk):
    desk.update_plays.append(lambda x: x.problem(404, "no such page"))
    await freeze(chat.page)
    async with chat.page.expect_response("**/chat/updates*") as answered:
        await held(chat, desk)
    await (await answered.value).finished()
    await chat.page.clock.run_for(60_000)
    await chat.page.evaluate(ROUND_TRIP)
    assert len(desk.update_calls) == 1
    # What the history says counts all the same.
    desk.history = [OLD | {"turn_id": turn_id(desk), "reply": "答", "source": "canned"}]
    await chat.page.evaluate(SETTLE_ELSEWHERE)
    await expect(chat.replies).to_have_text(["答"])


async def test_a_desk_that_lets_go_at_once_is_not_asked_at_once(chat: Chat, desk: Desk):
    nothing = b'{"updates": [], "next": 0}'
    desk.update_plays.append(
        lambda x: x._handler.send(200, nothing, {"Content-Type": "application/json"})
    )
    await freeze(chat.page)
    async with chat.page.expect_response("**/chat/updates*") as answered:
        await held(chat, desk)
    await (await answered.value).finished()
    await chat.page.clock.run_for(300)
    await chat.page.evaluate(ROUND_TRIP)
    assert len(desk.update_calls) == 1
    await chat.page.clock.run_for(300)
    await chat.asked_for_updates(2)


async def test_without_the_element_nothing_is_asked(chat: Chat, desk: Desk):
    await held(chat, desk)
    await chat.asked_for_updates(1)
    # The message's own stream may still be closing as well.
    async with chat.page.expect_event(
        "requestfailed", lambda request: "/chat/updates" in request.url
    ):
        await chat.element.evaluate("(element) => element.remove()")


async def test_a_tab_that_nobody_sees_keeps_no_connection(new_page: NewPage, desk: Desk):
    page = await new_page()
    await page.add_init_script(HIDE)
    chat = await Chat(page, desk).open()
    await freeze(page)
    await held(chat, desk)
    await page.clock.run_for(26_000)
    await chat.asked_for_updates(1)
    await page.evaluate(SHOW)
    await chat.asked_for_updates(2)
    assert [call["wait"] for call in desk.update_calls] == ["0", "25"]
    desk.deliver(turn_id(desk), "答")
    await expect(chat.replies).to_have_text(["答"])


async def test_a_late_answer_above_what_is_seen_can_be_gone_to(chat: Chat, desk: Desk):
    await held(chat, desk)
    for _ in range(3):
        desk.script(lambda x: x.done("一行\n" * 12))
        await talked(chat, "长")
    news = chat.element.get_by_role("button", name="1 条新回复")
    await expect(news).to_be_hidden()
    assert await chat.page.evaluate(IS_AT_BOTTOM)
    desk.deliver(turn_id(desk), "迟到的答复")
    await expect(news).to_be_visible()
    assert await chat.page.evaluate(IS_AT_BOTTOM)  # nobody is torn from what they read
    await news.click()
    await expect(chat.replies.first).to_be_in_viewport(ratio=1)
    await expect(chat.replies.first).to_have_text("迟到的答复")
    await expect(news).to_be_hidden()
    assert await chat.page.evaluate(FOCUSED) == "message"
