"""The bubble on somebody else's page, from another origin."""

from collections.abc import Iterator
from contextlib import ExitStack
from functools import partial

import pytest
from playwright.async_api import expect

from .conftest import Chat, NewPage
from .probes import DISTURB_STYLE, HEAR_COMPONENT_EVENTS, SEND_AND_HEAR
from .scripted_desk import Desk, SiteHandler, serving

PAGE = """<!doctype html><html lang="zh-CN">
<head><title>店铺</title><link rel="icon" href="data:,"></head>
<body><h1>店铺</h1><button>买</button>{embed}</body></html>"""


@pytest.fixture
def site(desk: Desk) -> Iterator:
    """`site(embed)`: a page with this markup, whose policy admits the desk and nothing else."""
    desk.cors = True
    csp = f"default-src 'none'; script-src {desk.origin}; connect-src {desk.origin}; img-src data:"
    with ExitStack() as stack:
        yield lambda embed: stack.enter_context(
            serving(partial(SiteHandler, PAGE.format(embed=embed), csp))
        )


async def embedded(
    new_page: NewPage, desk: Desk, site, attributes: str = "", script: str = "defer"
) -> Chat:
    tag = f'<script src="{desk.origin}/widget.js" {script}></script>'
    page = await new_page()
    await page.goto(site(f"{tag}<kefu-chat {attributes}></kefu-chat>"))
    return Chat(page, desk)


@pytest.mark.parametrize("script", ["defer", "async", "", 'type="module"'])
async def test_bubble_talks_to_the_desk_its_script_came_from(
    new_page: NewPage, desk: Desk, site, script: str
):
    chat = await embedded(new_page, desk, site, 'api-key="pk_1"', script)
    await chat.element.get_by_role("button", name="打开客服对话").click()
    await expect(chat.input).to_be_focused()
    await chat.say("你好")
    await chat.has_state(0, "done")
    await expect(chat.replies).to_have_text(["收到：你好"])
    assert desk.posts[0].headers["Authorization"] == "Bearer pk_1"


async def test_server_attribute_names_another_desk(new_page: NewPage, desk: Desk, site):
    chat = await embedded(
        new_page, desk, site, f'server="{desk.origin}/" uid="customer-7" mode="page"'
    )
    await chat.say("你好")
    await chat.has_state(0, "done")
    assert desk.posts[0].uid == "customer-7"
    assert [call["uid"] for call in desk.history_calls] == ["customer-7"]
    assert await chat.page.evaluate("localStorage.getItem('kefu.uid')") is None


async def test_escape_closes_and_gives_the_focus_back(new_page: NewPage, desk: Desk, site):
    chat = await embedded(new_page, desk, site, 'heading="小店客服"')
    launcher = chat.element.locator(".launcher")
    await launcher.focus()
    await chat.page.keyboard.press("Enter")
    panel = chat.element.get_by_role("dialog", name="小店客服")
    await expect(panel).to_be_visible()
    await expect(launcher).to_have_attribute("aria-expanded", "true")
    await chat.page.keyboard.type("草稿")
    await chat.page.keyboard.press("Escape")
    await expect(panel).to_be_hidden()
    await expect(launcher).to_be_focused()
    await expect(launcher).to_have_attribute("aria-expanded", "false")
    await launcher.press("Enter")
    await expect(chat.input).to_have_value("草稿")
    await panel.get_by_role("button", name="关闭客服对话").click()
    await expect(panel).to_be_hidden()


async def test_an_unopened_bubble_asks_the_desk_for_nothing(new_page: NewPage, desk: Desk, site):
    chat = await embedded(new_page, desk, site, 'uid="customer-7"')
    await expect(chat.element.locator(".launcher")).to_be_visible()
    assert desk.history_calls == []
    await chat.page.evaluate("document.querySelector('kefu-chat').open()")
    await expect(chat.input).to_be_focused()
    await chat.say("你好")
    await chat.has_state(0, "done")
    assert len(desk.history_calls) == 1


async def test_an_unsent_message_goes_out_on_the_next_page_without_opening(
    new_page: NewPage, desk: Desk, site
):
    chat = await embedded(new_page, desk, site)
    await chat.element.locator(".launcher").click()
    desk.down = True
    await chat.say("发货了吗")
    await chat.has_state(0, "retrying")
    desk.down = False
    await chat.page.reload()
    await expect(chat.element.locator(".unread")).to_have_text("1")
    await chat.element.get_by_role("button", name="1 条新回复").click()
    await expect(chat.replies).to_have_text(["收到：发货了吗"])
    await expect(chat.element.locator(".unread")).to_be_hidden()
    assert len(set(desk.keys)) == 1


async def test_a_held_message_is_waited_for_on_the_next_page_without_opening(
    new_page: NewPage, desk: Desk, site
):
    chat = await embedded(new_page, desk, site, 'api-key="pk_1"')
    await chat.element.locator(".launcher").click()
    desk.script(lambda x: x.done("请稍候", source="held"))
    await chat.say("能便宜吗")
    await expect(chat.turn(0).locator(".badge")).to_have_text("待审核")
    held = {"turn_id": f"turn-{desk.keys[0]}", "question": "能便宜吗", "reply": "请稍候"}
    desk.history = [held | {"source": "held", "citations": []}]
    await chat.page.reload()
    await chat.asked_for_updates(2)
    await chat.page.evaluate(HEAR_COMPONENT_EVENTS)
    desk.deliver(held["turn_id"], "可以打九折")
    await chat.element.get_by_role("button", name="1 条新回复").click()
    await expect(chat.replies).to_have_text(["可以打九折"])
    await expect(chat.element.locator(".unread")).to_be_hidden()
    assert await chat.page.evaluate("seen") == [["kefu:reply", "可以打九折"]]
    assert {call["authorization"] for call in desk.update_calls} == {"Bearer pk_1"}
    desk.history = [held | {"reply": "可以打九折", "source": "canned", "citations": []}]
    await chat.page.reload()
    await expect(chat.element.locator(".launcher")).to_be_visible()
    assert len(desk.history_calls) == 1  # nothing is awaited now: a closed bubble asks nothing


async def test_retry_after_is_heard_across_origins(new_page: NewPage, desk: Desk, site):
    desk.script(lambda x: x.problem(429, "slow", {"Retry-After": "1"}))
    chat = await embedded(new_page, desk, site, 'mode="page"')
    await chat.say("问")
    await expect(chat.turn(0)).to_contain_text("约 1 秒后自动重试")
    await chat.has_state(0, "done")


async def test_page_can_send_and_hear(new_page: NewPage, desk: Desk, site):
    chat = await embedded(new_page, desk, site)
    await chat.page.evaluate("customElements.whenDefined('kefu-chat')")
    reply = await chat.page.evaluate(SEND_AND_HEAR, "订单 42")
    assert reply == "收到：订单 42"


async def test_another_customer_sees_a_talk_of_their_own(new_page: NewPage, desk: Desk, site):
    chat = await embedded(new_page, desk, site, 'mode="page" uid="a"')
    await chat.say("甲的问题")
    await chat.has_state(0, "done")
    await chat.element.evaluate("(element) => element.setAttribute('uid', 'b')")
    await expect(chat.turns).to_have_count(0)
    await chat.say("乙的问题")
    await chat.has_state(0, "done")
    assert [post.uid for post in desk.posts] == ["a", "b"]


async def test_style_of_the_page_does_not_leak_in(new_page: NewPage, desk: Desk, site):
    chat = await embedded(new_page, desk, site, 'mode="page"')
    await chat.page.evaluate(DISTURB_STYLE)
    style = await chat.input.evaluate(
        "(e) => ['fontSize', 'textAlign', 'letterSpacing'].map((name) => getComputedStyle(e)[name])"
    )
    assert style == ["15px", "start", "normal"]
