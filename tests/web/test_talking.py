"""A message goes out, a reply comes in."""

import threading

import pytest
from playwright.async_api import expect

from .conftest import Chat
from .probes import HEAR_COMPONENT_EVENTS
from .scripted_desk import Desk, Exchange


async def test_reply_is_shown_with_where_it_came_from(chat: Chat, desk: Desk):
    citations = [{"id": "faq-12", "title": "七天无理由退货", "score": 0.93}]
    desk.script(
        lambda x: x.done("七天内可以退货。", source="faq", citations=citations, confidence=0.93)
    )
    await chat.say("可以退货吗")
    await chat.has_state(0, "done")
    await expect(chat.questions).to_have_text(["可以退货吗"])
    await expect(chat.replies).to_have_text(["七天内可以退货。"])
    await expect(chat.turn(0).locator(".meta")).to_contain_text("常见问题")
    await expect(chat.turn(0).locator(".meta")).to_contain_text("置信度 93%")
    await expect(chat.turn(0).locator(".meta")).to_have_attribute(
        "title", "encode 1.2 ms\ntotal 420.0 ms"
    )
    await expect(chat.turn(0).locator("li")).to_be_hidden()
    await chat.turn(0).locator("summary").click()
    await expect(chat.turn(0).locator("li")).to_have_text("七天无理由退货 faq-12")


async def test_request_follows_the_contract(chat: Chat, desk: Desk):
    await chat.say("你好")
    await chat.has_state(0, "done")
    (post,) = desk.posts
    uid = await chat.page.evaluate("localStorage.getItem('kefu.uid')")
    assert post.body == {"uid": uid, "message": "你好", "stream": True}
    assert len(post.key) == len(uid) == 36
    assert post.headers["Accept"] == "text/event-stream"
    assert "Authorization" not in post.headers


async def test_reply_grows_while_it_streams(chat: Chat, desk: Desk, gate: threading.Event):
    def play(x: Exchange) -> None:
        x.delta("正在")
        x.delta("查")
        x.wait(gate)
        x.delta("询")
        x.done("正在查询")

    desk.script(play)
    await chat.say("订单")
    await expect(chat.replies).to_have_text(["正在查"])
    await chat.has_state(0, "streaming")
    gate.set()
    await chat.has_state(0, "done")
    await expect(chat.replies).to_have_text(["正在查询"])


async def test_the_final_reply_replaces_what_was_streamed(chat: Chat, desk: Desk):
    def play(x: Exchange) -> None:
        x.delta("草稿")
        x.done("定稿")

    desk.script(play)
    await chat.say("问")
    await chat.has_state(0, "done")
    await expect(chat.replies).to_have_text(["定稿"])


@pytest.mark.parametrize("newline", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("size", [1, 2, 7])
async def test_stream_may_be_cut_anywhere(chat: Chat, desk: Desk, newline: str, size: int):
    def play(x: Exchange) -> None:
        done = '{"reply": "退款😀\\n到账", "source": "cache", "turn_id": "t"}'
        lines = [": heartbeat", "", "event: delta", 'data: {"text":', 'data:  "退款😀"}', ""]
        lines += [
            "event:delta",
            'data:{"text": "\\n到账"}',
            "",
            "id: 7",
            "event: done",
            f"data: {done}",
            "",
            "",
        ]
        data = newline.join(lines).encode()
        for start in range(0, len(data), size):
            x.raw(data[start : start + size])
        x.end()

    desk.script(play)
    await chat.say("退款")
    await chat.has_state(0, "done")
    assert await chat.replies.evaluate("element => element.textContent") == "退款😀\n到账"
    assert len(desk.posts) == 1


async def test_a_whole_reply_as_json_is_taken_too(chat: Chat, desk: Desk):
    def play(x: Exchange) -> None:
        body = b'{"reply": "once", "source": "canned", "turn_id": "t"}'
        x._handler.send(200, body, {"Content-Type": "application/json"})

    desk.script(play)
    await chat.say("hi")
    await expect(chat.replies).to_have_text(["once"])


async def test_markup_is_shown_as_text(chat: Chat, desk: Desk):
    attack = '<img src=x onerror="window.hacked=1"><script>window.hacked=1</script><b>粗</b>'
    citation = {"id": attack, "title": attack, "score": 1}
    desk.script(
        lambda x: x.done(attack, source=attack, citations=[citation]),
        lambda x: x.problem(422, attack),
    )
    await chat.say(attack)
    await chat.has_state(0, "done")
    await expect(chat.questions).to_have_text([attack])
    await expect(chat.replies).to_have_text([attack])
    await chat.turn(0).locator("summary").click()
    await expect(chat.turn(0).locator("li")).to_have_text(f"{attack} {attack}")
    await chat.say("again")
    await chat.has_state(1, "failed")
    await expect(chat.turn(1).locator(".detail")).to_have_text(attack)
    assert await chat.element.locator(".turn img, .turn script, .turn b").count() == 0
    assert await chat.page.evaluate("window.hacked") is None


async def test_line_breaks_stay_and_addresses_stay_text(chat: Chat, desk: Desk):
    text = "第一行\n  第二行 https://example.com/a"
    desk.script(lambda x: x.done(text))
    await chat.say("问")
    await chat.has_state(0, "done")
    assert await chat.replies.inner_text() == text
    assert await chat.element.locator("a").count() == 0


async def test_messages_are_sent_one_at_a_time_in_order(
    chat: Chat, desk: Desk, gate: threading.Event
):
    def slow(x: Exchange) -> None:
        x.delta("慢")
        x.wait(gate)
        x.done("慢")

    desk.script(slow)
    for text in ["一", "二", "三"]:
        await chat.say(text)
    await chat.has_state(0, "streaming")
    await chat.has_state(1, "queued")
    await chat.has_state(2, "queued")
    assert desk.messages == ["一"]
    gate.set()
    await chat.has_state(2, "done")
    assert desk.messages == ["一", "二", "三"]
    assert len(set(desk.keys)) == 3
    await expect(chat.questions).to_have_text(["一", "二", "三"])
    await expect(chat.replies).to_have_text(["慢", "收到：二", "收到：三"])


async def test_stop_keeps_what_came_and_retry_uses_the_same_key(
    chat: Chat, desk: Desk, gate: threading.Event
):
    def endless(x: Exchange) -> None:
        x.delta("很长的")
        x.wait(gate)

    desk.script(endless)
    await chat.say("讲个故事")
    await chat.has_state(0, "streaming")
    await chat.element.get_by_role("button", name="停止").click()
    await chat.has_state(0, "stopped")
    await expect(chat.replies).to_have_text(["很长的"])
    await expect(chat.turn(0).locator(".status")).to_contain_text("已停止")
    await expect(chat.input).to_be_focused()
    await chat.element.get_by_role("button", name="重试").click()
    await chat.has_state(0, "done")
    await expect(chat.replies).to_have_text(["收到：讲个故事"])
    assert desk.keys[0] == desk.keys[1]


async def test_a_waiting_message_can_be_taken_back(chat: Chat, desk: Desk, gate: threading.Event):
    def slow(x: Exchange) -> None:
        x.wait(gate)
        x.done("好")

    desk.script(slow)
    await chat.say("一")
    await chat.say("二")
    await chat.turn(1).get_by_role("button", name="取消").click()
    await chat.has_state(1, "stopped")
    gate.set()
    await chat.has_state(0, "done")
    assert desk.messages == ["一"]


async def test_events_tell_the_page(chat: Chat, desk: Desk):
    await chat.page.evaluate(HEAR_COMPONENT_EVENTS)
    desk.script(lambda x: x.done("好"), lambda x: x.problem(422, "太长"))
    await chat.say("一")
    await chat.say("二")
    await chat.has_state(1, "failed")
    assert await chat.page.evaluate("seen") == [["kefu:reply", "好"], ["kefu:error", "太长"]]


async def test_history_is_shown_on_reload(chat: Chat, desk: Desk):
    await chat.say("第一问")
    await chat.has_state(0, "done")
    assert desk.history_calls == []  # a new visitor has no past to ask for
    desk.history = [
        {
            "turn_id": "h1",
            "question": "更早",
            "reply": "旧答",
            "source": "faq",
            "citations": [],
            "created_at": 1735787045000,
        },
        {
            "turn_id": f"turn-{desk.keys[0]}",
            "question": "第一问",
            "reply": "收到：第一问",
            "source": "model",
            "citations": [],
            "created_at": "2025-01-02T03:05:05Z",
        },
    ]
    await chat.page.reload()
    await expect(chat.questions).to_have_text(["更早", "第一问"])
    await expect(chat.replies).to_have_text(["旧答", "收到：第一问"])
    for index, moment in enumerate(["2025-01-02T03:04:05.000Z", "2025-01-02T03:05:05.000Z"]):
        await expect(chat.turn(index).locator("time")).to_have_attribute("datetime", moment)
    assert desk.history_calls == [{"uid": desk.posts[0].uid, "authorization": ""}]
    await chat.say("第二问")
    await chat.has_state(2, "done")
    await expect(chat.questions).to_have_text(["更早", "第一问", "第二问"])


async def test_key_in_the_fragment_is_sent_as_bearer(new_page, desk: Desk):
    chat = await Chat(await new_page(), desk).open("/#key=pk_test")
    await chat.say("你好")
    await chat.has_state(0, "done")
    assert desk.posts[0].headers["Authorization"] == "Bearer pk_test"
