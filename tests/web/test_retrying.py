"""Lost connections, busy desks, reloads in an outage, two tabs: nothing lost, nothing doubled."""

import threading

import pytest
from playwright.async_api import expect

from .conftest import Chat, NewPage
from .probes import AGE_UNSENT_MESSAGES, COUNT_FAILED_FETCHES, MOVE_WITHIN_PAGE, UNSENT_MESSAGES
from .scripted_desk import Desk, Exchange


def cut_after_a_delta(x: Exchange) -> None:
    x.delta("半截")
    x.cut()


def end_without_done(x: Exchange) -> None:
    x.delta("半截")
    x.end()


def cut_before_anything(x: Exchange) -> None:
    x.cut()


def unavailable(x: Exchange) -> None:
    x.problem(503, "starting")


def too_many(x: Exchange) -> None:
    x.problem(429, "slow down", {"Retry-After": "1"})


def busy_in_the_stream(x: Exchange) -> None:
    x.delta("半截")
    x.event(
        "error",
        {"title": "Busy", "status": 503, "detail": "no slot", "code": "busy", "retry_after": 0.1},
    )
    x.end()


def not_an_event_stream(x: Exchange) -> None:
    x.raw(b"<html>login to the wifi</html>")
    x.end()


@pytest.mark.parametrize(
    "fault",
    [
        cut_after_a_delta,
        end_without_done,
        cut_before_anything,
        unavailable,
        too_many,
        busy_in_the_stream,
        not_an_event_stream,
    ],
)
async def test_fault_is_retried_with_the_same_key(chat: Chat, desk: Desk, fault):
    desk.script(fault, fault)
    await chat.say("我的订单")
    await chat.has_state(0, "done")
    assert len(desk.posts) == 3
    assert len(set(desk.keys)) == 1
    assert set(desk.messages) == {"我的订单"}
    await expect(chat.questions).to_have_text(["我的订单"])
    await expect(chat.replies).to_have_text(["收到：我的订单"])
    assert await chat.page.evaluate(UNSENT_MESSAGES) == 0


async def test_status_is_honest_and_partial_text_stays_until_the_retry_delivers(
    chat: Chat, desk: Desk, gate: threading.Event
):
    cut = threading.Event()

    def cut_when_told(x: Exchange) -> None:
        x.delta("半截")
        x.wait(cut)
        x.cut()

    def late(x: Exchange) -> None:
        x.wait(gate)
        x.delta("完")
        x.done("完整")

    desk.script(cut_when_told, late)
    await chat.say("问")
    await chat.has_state(0, "streaming")
    cut.set()
    await expect(chat.turn(0).locator(".status")).to_contain_text("连接断开，正在重试…")
    await expect(chat.announcer).to_have_text("连接断开，正在重试…")
    await chat.received(2)
    await chat.has_state(0, "retrying")
    await expect(chat.replies).to_have_text(["半截"])
    gate.set()
    await chat.has_state(0, "done")
    await expect(chat.replies).to_have_text(["完整"])


async def test_retry_can_be_stopped(chat: Chat, desk: Desk):
    desk.down = True
    await chat.say("问")
    await chat.has_state(0, "retrying")
    await chat.element.get_by_role("button", name="停止").click()
    await chat.has_state(0, "stopped")
    assert await chat.page.evaluate(UNSENT_MESSAGES) == 0


async def test_gives_up_after_two_minutes_and_keeps_the_message(new_page: NewPage, desk: Desk):
    page = await new_page()
    await page.clock.install()
    await page.add_init_script(COUNT_FAILED_FETCHES)
    chat = await Chat(page, desk).open()
    desk.down = True
    await chat.say("一")
    await chat.say("二")
    html = page.locator("html")
    await expect(html).to_have_attribute("data-failures", "1")
    while await chat.turn(0).get_attribute("data-state") != "failed":
        failures = await html.get_attribute("data-failures")
        await page.clock.run_for(8_000)  # the longest wait between two tries
        await expect(html).not_to_have_attribute("data-failures", failures)
    await chat.has_state(0, "failed")
    await chat.has_state(1, "failed")  # not tried: the desk is out of reach
    assert set(desk.messages) == {"一"}
    assert len(set(desk.keys)) == 1
    assert 15 <= len(desk.posts) <= 20
    await expect(chat.turn(0).locator(".status")).to_contain_text("多次重试仍未连上")
    assert await page.evaluate(UNSENT_MESSAGES) == 2
    desk.down = False
    for index in (0, 1):
        await chat.turn(index).get_by_role("button", name="重试").click()
        await chat.has_state(index, "done")
    assert desk.keys[-2] == desk.keys[0]
    await expect(chat.questions).to_have_text(["一", "二"])


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 413, 422])
async def test_refusal_is_shown_and_not_retried(chat: Chat, desk: Desk, status: int):
    desk.script(lambda x: x.problem(status, "原因在此"))
    await chat.say("问")
    await chat.has_state(0, "failed")
    await expect(chat.turn(0).locator(".detail")).to_have_text("原因在此")
    await chat.say("下一个")
    await chat.has_state(1, "done")  # a refusal does not hold up what comes after
    assert desk.messages == ["问", "下一个"]
    assert await chat.page.evaluate(UNSENT_MESSAGES) == 0


@pytest.mark.parametrize("in_stream", [False, True])
async def test_server_error_waits_for_a_click(chat: Chat, desk: Desk, in_stream: bool):
    def fail(x: Exchange) -> None:
        if in_stream:
            x.event("error", {"title": "Internal error", "status": 500, "code": "internal"})
            x.end()
        else:
            x.problem(500, "trouble")

    desk.script(fail)
    await chat.say("问")
    await chat.has_state(0, "failed")
    await expect(chat.turn(0).locator(".status")).to_contain_text("服务出错")
    await chat.element.get_by_role("button", name="重试").click()
    await chat.has_state(0, "done")
    assert desk.keys[0] == desk.keys[1]


async def test_a_wait_longer_than_the_budget_is_told_at_once(chat: Chat, desk: Desk):
    desk.script(lambda x: x.problem(429, "daily limit", {"Retry-After": "600"}))
    await chat.say("问")
    await chat.has_state(0, "failed")
    await expect(chat.turn(0).locator(".status")).to_contain_text("请 10 分钟后重试")
    assert len(desk.posts) == 1


async def test_reload_in_an_outage_sends_the_message_once_it_is_over(chat: Chat, desk: Desk):
    desk.script(cut_after_a_delta)
    await chat.say("一")
    await chat.say("二")
    await chat.has_state(0, "retrying")
    desk.down = True
    await chat.page.reload()  # the page itself still comes: it may be cached, or another server's
    await expect(chat.questions).to_have_text(["一", "二"])
    await chat.has_state(0, "retrying")
    desk.history = [
        {
            "turn_id": "h1",
            "question": "以前",
            "reply": "旧答",
            "source": "faq",
            "citations": [],
            "created_at": None,
        }
    ]
    desk.down = False
    await expect(chat.questions).to_have_text(["以前", "一", "二"])  # the past comes back as well
    await chat.has_state(2, "done")
    await expect(chat.replies).to_have_text(["旧答", "收到：一", "收到：二"])
    keys = dict(zip(desk.messages, desk.keys, strict=True))
    assert set(desk.keys) == {keys["一"], keys["二"]}
    assert await chat.page.evaluate(UNSENT_MESSAGES) == 0


async def test_reply_that_only_the_server_knows_is_not_shown_twice(
    chat: Chat, desk: Desk, gate: threading.Event
):
    def finish_unheard(x: Exchange) -> None:
        reply = x.reply_object("答案")
        desk.finished[x.post.key] = reply
        turn = {
            "turn_id": reply["turn_id"],
            "question": "问",
            "reply": "答案",
            "source": "model",
            "citations": [],
        }
        desk.history = [
            {"turn_id": "h0", "question": "问", "reply": "上次", "source": "faq", "citations": []},
            turn,
        ]
        x.cut()

    def replay_late(x: Exchange) -> None:
        x.wait(gate)
        x.done("答案")

    desk.script(finish_unheard)
    await chat.say("问")
    await chat.received(1)
    desk.plays.extendleft([replay_late] * 3)
    await chat.page.reload()
    await expect(chat.questions).to_have_text(["问", "问"])  # last time's, and the one being sent
    await expect(chat.replies).to_have_text(["上次"])
    gate.set()
    await chat.has_state(1, "done")
    await expect(chat.questions).to_have_text(["问", "问"])
    await expect(chat.replies).to_have_text(["上次", "答案"])
    assert len(set(desk.keys)) == 1


async def test_two_tabs_do_not_send_the_same_message(chat: Chat, desk: Desk, gate: threading.Event):
    def slow(x: Exchange) -> None:
        x.delta("慢")
        x.wait(gate)
        x.done("慢答")

    desk.script(slow)
    await chat.say("问")
    await chat.has_state(0, "streaming")
    other = await Chat(await chat.page.context.new_page(), desk).open()
    await other.has_state(0, "elsewhere")
    await expect(other.turn(0)).to_contain_text("正在另一个标签页中发送")
    desk.history = [
        {
            "turn_id": f"turn-{desk.keys[0]}",
            "question": "问",
            "reply": "慢答",
            "source": "model",
            "citations": [],
        }
    ]
    gate.set()
    await chat.has_state(0, "done")
    await other.has_state(0, "done")
    await expect(other.questions).to_have_text(["问"])
    await expect(other.replies).to_have_text(["慢答"])
    assert len(desk.posts) == 1


async def test_a_tab_takes_over_from_one_that_was_closed(
    chat: Chat, desk: Desk, gate: threading.Event
):
    def slow(x: Exchange) -> None:
        x.delta("慢")
        x.wait(gate)

    desk.script(slow)
    await chat.say("问")
    await chat.has_state(0, "streaming")
    other = await Chat(await chat.page.context.new_page(), desk).open()
    await other.has_state(0, "elsewhere")
    await chat.page.close()
    await other.has_state(0, "done")
    await expect(other.replies).to_have_text(["收到：问"])
    assert len(desk.posts) == 2
    assert desk.keys[0] == desk.keys[1]


async def test_an_old_message_is_not_sent_unasked(chat: Chat, desk: Desk):
    desk.down = True
    await chat.say("昨天的问题")
    await chat.has_state(0, "retrying")
    await chat.page.evaluate(AGE_UNSENT_MESSAGES)
    desk.down = False
    posts = len(desk.posts)
    await chat.page.reload()
    await chat.has_state(0, "failed")
    await expect(chat.turn(0)).to_contain_text("这条消息之前没有发出")
    assert len(desk.posts) == posts
    await chat.element.get_by_role("button", name="重试").click()
    await chat.has_state(0, "done")


async def test_offline_is_said_and_coming_back_retries_at_once(chat: Chat, desk: Desk):
    await chat.page.context.set_offline(True)
    await chat.say("问")
    await expect(chat.turn(0).locator(".status")).to_contain_text("网络已断开")
    await chat.page.context.set_offline(False)
    await chat.has_state(0, "done")
    assert len(desk.posts) == 1


async def test_a_silent_connection_counts_as_lost(
    new_page: NewPage, desk: Desk, gate: threading.Event
):
    def silent(x: Exchange) -> None:
        x.delta("开头")
        x.wait(gate)

    page = await new_page()
    await page.clock.install()
    chat = await Chat(page, desk).open()
    desk.script(silent)
    await chat.say("问")
    await chat.has_state(0, "streaming")
    await page.clock.run_for(30_000)  # two heartbeats missed: could be a slow network
    await chat.has_state(0, "streaming")
    await page.clock.run_for(16_000)
    await chat.has_state(0, "done")
    assert desk.keys[0] == desk.keys[1]


async def test_moving_the_element_does_not_double_the_message(
    chat: Chat, desk: Desk, gate: threading.Event
):
    def slow(x: Exchange) -> None:
        x.delta("慢")
        x.wait(gate)

    desk.script(slow)
    await chat.say("问")
    await chat.has_state(0, "streaming")
    await chat.element.evaluate(MOVE_WITHIN_PAGE)
    await chat.has_state(0, "done")
    await expect(chat.questions).to_have_text(["问"])
    await chat.received(2)
    assert desk.keys[0] == desk.keys[1]
