"""Writing: Enter and input methods, the length limit, the keyboard alone, a screen reader."""

import threading

import pytest
from playwright.async_api import expect

from .conftest import Chat
from .probes import ENTER_AFTER_COMPOSITION, FOCUSED, HEAR_ANNOUNCEMENTS, HEAR_KEYS
from .scripted_desk import Desk, Exchange


async def test_shift_enter_is_a_new_line(chat: Chat, desk: Desk):
    await chat.input.press_sequentially("一")
    await chat.input.press("Shift+Enter")
    await chat.input.press_sequentially("二")
    await chat.input.press("Enter")
    await chat.has_state(0, "done")
    assert desk.messages == ["一\n二"]


@pytest.mark.parametrize("text", ["", "   ", "\n\n"])
async def test_nothing_is_not_sent(chat: Chat, desk: Desk, text: str):
    await chat.say(text)
    await chat.say("有")
    await chat.has_state(0, "done")
    assert desk.messages == ["有"]


async def test_enter_that_ends_a_composition_does_not_send(chat: Chat, desk: Desk):
    """A real composition, through Chromium's own input method interface."""
    session = await chat.page.context.new_cdp_session(chat.page)
    await chat.input.focus()
    await session.send(
        "Input.imeSetComposition", {"text": "nihao", "selectionStart": 5, "selectionEnd": 5}
    )
    enter = {"key": "Enter", "code": "Enter", "windowsVirtualKeyCode": 229}
    await session.send("Input.dispatchKeyEvent", {"type": "rawKeyDown", **enter})
    await session.send("Input.insertText", {"text": "你好"})
    await session.send("Input.dispatchKeyEvent", {"type": "keyUp", **enter})
    await expect(chat.input).to_have_value("你好")
    assert desk.posts == []
    await chat.input.press("Enter")
    await chat.has_state(0, "done")
    assert desk.messages == ["你好"]


@pytest.mark.parametrize("event", [{"isComposing": True}, {"keyCode": 229}])
async def test_enter_of_an_input_method_is_ignored(
    chat: Chat, desk: Desk, event: dict[str, object]
):
    """The second is Safari's: the composition ended before the keydown, which still says 229."""
    await chat.input.fill("拼音")
    await chat.input.evaluate(ENTER_AFTER_COMPOSITION, event)
    await expect(chat.input).to_have_value("拼音")
    await expect(chat.turns).to_have_count(0)
    await chat.input.press("Enter")
    await chat.has_state(0, "done")
    assert len(desk.posts) == 1


async def test_length_is_counted_in_characters(chat: Chat, desk: Desk):
    counter = chat.element.locator(".counter")
    send = chat.element.get_by_role("button", name="发送")
    await chat.input.fill("😀" * 3599)
    await expect(counter).to_be_hidden()
    await chat.input.fill("😀" * 4001)
    await expect(counter).to_have_text("超出 1 个字，请缩短后发送")
    await expect(send).to_be_disabled()
    await chat.input.press("Enter")
    await expect(chat.announcer).to_have_text("超出 1 个字，请缩短后发送")
    await chat.input.fill("😀" * 4000)
    await expect(counter).to_have_text("4000 / 4000")
    await send.click()
    await chat.has_state(0, "done")
    assert desk.messages == ["😀" * 4000]
    await expect(counter).to_be_hidden()
    await expect(chat.input).to_be_focused()


async def test_everything_can_be_reached_by_keyboard(chat: Chat, desk: Desk):
    desk.script(
        lambda x: x.done("答", citations=[{"id": "a", "title": "甲", "score": 1}]),
        lambda x: x.problem(422, "不行"),
    )
    await chat.say("一")
    await chat.has_state(0, "done")
    await chat.say("二")
    await chat.has_state(1, "failed")
    await chat.page.evaluate("document.activeElement.blur()")
    await chat.input.fill("三")
    seen = []
    await chat.page.locator("[data-lang=zh]").focus()
    for _ in range(9):
        seen.append(await chat.page.evaluate(FOCUSED))
        await chat.page.keyboard.press("Tab")
    assert seen == [
        "中文",
        "English",
        "theme",
        "log",
        "参考资料（1）",
        "thumb up",
        "thumb down",
        "action retry",
        "message",
    ]
    assert await chat.page.evaluate(FOCUSED) == "send"
    await chat.page.keyboard.press("Enter")
    await chat.has_state(2, "done")
    await expect(chat.input).to_be_focused()


async def test_focus_is_visible(chat: Chat):
    for locator in [
        chat.page.locator("[data-lang=zh]"),
        chat.page.locator(".theme"),
        chat.element.locator(".log"),
    ]:
        await locator.focus()
        await chat.page.keyboard.press("Shift")  # the keyboard is in use: focus-visible applies
        assert (
            await locator.evaluate("(element) => getComputedStyle(element).outlineStyle") == "solid"
        )


async def test_a_reply_is_announced_once_and_whole(chat: Chat, desk: Desk, gate: threading.Event):
    def play(x: Exchange) -> None:
        x.delta("一")
        x.delta("二")
        x.wait(gate)
        x.done("一二三")

    desk.script(play)
    await chat.page.evaluate(HEAR_ANNOUNCEMENTS)
    await chat.say("问")
    await expect(chat.replies).to_have_text(["一二"])
    assert await chat.page.evaluate("heard") == []
    gate.set()
    await chat.has_state(0, "done")
    assert await chat.page.evaluate("heard") == ["客服: 一二三"]
    await expect(chat.element.get_by_role("log")).to_have_attribute("aria-live", "polite")
    await expect(chat.turn(0)).to_have_attribute("aria-live", "off")


async def test_names_for_assistive_technology(chat: Chat):
    await expect(chat.element.get_by_role("textbox", name="消息")).to_be_visible()
    await expect(chat.element.get_by_role("log", name="对话记录")).to_be_visible()
    await expect(chat.element.get_by_role("button", name="发送")).to_be_visible()


async def test_page_shortcuts_do_not_hear_what_is_typed(chat: Chat):
    await chat.page.evaluate(HEAR_KEYS)
    await chat.input.press_sequentially("/s?")
    assert await chat.page.evaluate("heard") == []
