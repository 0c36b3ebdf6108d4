""" "Did you mean": a reply that asks back."""

import threading

from playwright.async_api import Locator, expect

from .conftest import Chat
from .probes import FOCUSED
from .scripted_desk import Desk, Exchange, answer

CHOICES = [{"id": "fee", "title": "运费是多少"}, {"id": "fee-back", "title": "退货运费谁付？"}]


def ask_back(exchange: Exchange) -> None:
    exchange.done("请问您想了解哪一个？", source="canned", choices=CHOICES)


def buttons(chat: Chat, index: int = 0) -> Locator:
    return chat.turn(index).get_by_role("group", name="您是不是想问").get_by_role("button")


async def test_a_click_asks_the_question(chat: Chat, desk: Desk):
    desk.script(ask_back)
    await chat.say("运费")
    await expect(buttons(chat)).to_have_text([choice["title"] for choice in CHOICES])
    await buttons(chat).nth(1).click()
    await chat.has_state(1, "done")
    assert desk.messages == ["运费", "退货运费谁付？"]
    await expect(chat.questions).to_have_text(["运费", "退货运费谁付？"])
    await expect(chat.input).to_be_focused()
    for index in range(2):
        await expect(buttons(chat).nth(index)).to_be_disabled()


async def test_another_message_ends_the_choice(chat: Chat, desk: Desk, gate: threading.Event):
    def slow(x: Exchange) -> None:
        x.wait(gate)
        x.done("好")

    desk.script(ask_back, slow, ask_back)
    await chat.say("运费")
    await expect(buttons(chat).first).to_be_enabled()
    await chat.say("算了")
    await expect(buttons(chat).first).to_be_disabled()  # already while it is on its way
    gate.set()
    await chat.has_state(1, "done")
    await chat.say("运费")
    await expect(buttons(chat, 2).first).to_be_enabled()
    await expect(buttons(chat).first).to_be_disabled()


async def test_choices_are_read_out_with_the_reply(chat: Chat, desk: Desk):
    desk.script(ask_back)
    await chat.say("运费")
    await expect(chat.announcer).to_have_text(
        "客服: 请问您想了解哪一个？ 您是不是想问: 运费是多少; 退货运费谁付？"
    )


async def test_choices_by_keyboard(chat: Chat, desk: Desk):
    desk.script(ask_back)
    await chat.say("运费")
    await expect(buttons(chat).first).to_be_enabled()
    await chat.element.get_by_role("log").focus()
    await chat.page.keyboard.press("Tab")
    assert await chat.page.evaluate(FOCUSED) == "choice"
    await chat.page.keyboard.press("Enter")
    await chat.has_state(1, "done")
    assert desk.messages == ["运费", "运费是多少"]


async def test_after_a_reload_the_last_reply_may_still_be_answered(chat: Chat, desk: Desk):
    await chat.say("在吗")
    await chat.has_state(0, "done")
    old = {"reply": "哪一个？", "source": "faq", "citations": [], "choices": CHOICES}
    desk.history = [
        old | {"turn_id": f"h{n}", "question": "运费", "created_at": 1735787045000 + n}
        for n in range(2)
    ]
    await chat.page.reload()
    await expect(chat.turns).to_have_count(2)
    await expect(buttons(chat, 0).first).to_be_disabled()
    await buttons(chat, 1).first.click()
    await chat.has_state(2, "done")
    assert desk.messages[-1] == "运费是多少"


async def test_a_title_is_text_and_nothing_else(chat: Chat, desk: Desk):
    attack = "<img src=x onerror=window.hacked=1>"
    desk.script(lambda x: x.done("？", choices=[{"id": "a", "title": attack}]), answer)
    await chat.say("运费")
    await expect(buttons(chat)).to_have_text([attack])
    assert await chat.element.locator(".turn img").count() == 0
    await buttons(chat).click()
    await chat.has_state(1, "done")
    assert desk.messages[-1] == attack
    assert await chat.page.evaluate("window.hacked") is None


async def test_replies_without_choices_have_none(chat: Chat, desk: Desk):
    desk.script(lambda x: x.done("好", choices=[]))
    await chat.say("你好")
    await chat.has_state(0, "done")
    await expect(chat.turn(0).locator(".choices")).to_have_count(0)
