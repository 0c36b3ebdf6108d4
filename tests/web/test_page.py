"""The page at `/`: its switches, its policy, its look in numbers."""

import gzip
import threading

import pytest
from playwright.async_api import expect

from .conftest import Chat, NewPage
from .probes import CHINESE_WORDS, CONTRASTS, IS_AT_BOTTOM, OUT_OF_SIGHT
from .scripted_desk import WEB, Desk, Exchange

MAX_WIDGET_BYTES = 25_000  # gzipped; what a shop's page pays for the bubble


def test_widget_is_small():
    assert len(gzip.compress((WEB / "widget.js").read_bytes(), 9)) < MAX_WIDGET_BYTES


def test_no_markup_is_made_from_data():
    for name in ["widget.js", "page.js"]:
        source = (WEB / name).read_text(encoding="utf-8")
        for way in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("]:
            assert way not in source


async def test_language_switch_changes_every_text_and_is_remembered(chat: Chat, desk: Desk):
    desk.script(
        lambda x: x.done(
            "答",
            source="faq",
            citations=[{"id": "a", "title": "甲", "score": 1}],
            choices=[{"id": "a", "title": "A"}],
        ),
        lambda x: x.problem(401, "key"),
    )
    await chat.say("一")
    await chat.has_state(0, "done")
    await chat.turn(0).get_by_role("button", name="没有帮助").click()
    await chat.say("二")
    await chat.has_state(1, "failed")
    await expect(chat.turn(1)).to_contain_text("没有访问权限")
    await chat.page.get_by_role("button", name="English").click()
    await expect(chat.turn(0)).to_contain_text("FAQ")
    await expect(chat.turn(0)).to_contain_text("Confidence 87%")
    await expect(chat.turn(0)).to_contain_text("Sources (1)")
    await expect(chat.turn(0).get_by_role("group", name="Did you mean")).to_be_visible()
    await expect(chat.turn(0).get_by_role("button", name="Helpful", exact=True)).to_be_visible()
    await expect(chat.turn(0).get_by_role("textbox")).to_have_attribute(
        "placeholder", "What was wrong? (optional)"
    )
    await expect(chat.turn(1)).to_contain_text("No access")
    await expect(chat.element.get_by_role("button", name="Retry")).to_be_visible()
    await expect(chat.element.get_by_role("textbox", name="Message")).to_have_attribute(
        "placeholder", "Type your question…"
    )
    await expect(chat.page).to_have_title("kefu customer service")
    await expect(chat.page.locator("html")).to_have_attribute("lang", "en")
    assert await chat.page.evaluate(CHINESE_WORDS) == []
    await chat.page.reload()
    await expect(chat.input).to_have_attribute("placeholder", "Type your question…")


@pytest.mark.parametrize(
    ("locale", "title"),
    [
        ("zh-TW", "kefu 客服"),
        ("en-GB", "kefu customer service"),
        ("de-DE", "kefu customer service"),
    ],
)
async def test_language_follows_the_browser(new_page: NewPage, desk: Desk, locale: str, title: str):
    chat = await Chat(await new_page(locale=locale), desk).open()
    await expect(chat.page).to_have_title(title)


async def test_theme_follows_the_system_until_it_is_chosen(new_page: NewPage, desk: Desk):
    chat = await Chat(await new_page(color_scheme="dark"), desk).open()
    root = chat.element.locator(".root")
    await expect(root).to_have_attribute("data-theme", "dark")
    await chat.page.emulate_media(color_scheme="light")
    await expect(root).to_have_attribute("data-theme", "light")
    await chat.page.get_by_role("button", name="深色模式").click()
    await expect(root).to_have_attribute("data-theme", "dark")
    await chat.page.reload()
    await expect(root).to_have_attribute("data-theme", "dark")
    await expect(chat.page.locator("html")).to_have_attribute("data-theme", "dark")


async def test_page_lives_with_a_strict_policy(chat: Chat, desk: Desk):
    """Also checked at the end of every test, by `new_page`; here, that the check sees something."""
    await chat.say("你好")
    await chat.has_state(0, "done")
    assert await chat.page.evaluate("violations") == []
    assert (
        await chat.input.evaluate("(input) => getComputedStyle(input).resize") == "none"
    )  # the style is there
    await chat.page.evaluate("document.body.setAttribute('style', 'color: red')")
    await expect(chat.page.locator("html")).to_have_attribute("data-violations", "1")
    await chat.page.evaluate("violations.length = 0")


async def test_works_where_trusted_types_are_required(new_page: NewPage, desk: Desk):
    desk.csp += "; require-trusted-types-for 'script'; trusted-types 'none'"
    chat = await Chat(await new_page(), desk).open()
    await chat.say("你好")
    await chat.has_state(0, "done")


# 320 CSS pixels are a small phone; 1280 x 720 at 200% is 640 x 360, at 400% 320 x 180.
@pytest.mark.parametrize(("width", "height"), [(320, 568), (640, 360)])
async def test_nothing_is_cut_off_on_small_screens(
    new_page: NewPage, desk: Desk, width: int, height: int
):
    long = "很长的一句话" * 30 + "https://example.com/" + "a" * 200
    desk.script(
        lambda x: x.done(
            long,
            citations=[{"id": "i" * 80, "title": long, "score": 1}],
            choices=[{"id": "i", "title": long}],
        ),
        lambda x: x.problem(422, long),
    )
    chat = await Chat(await new_page(viewport={"width": width, "height": height}), desk).open()
    await chat.say(long)
    await chat.has_state(0, "done")
    await chat.turn(0).locator("summary").click()
    await chat.turn(0).get_by_role("button", name="没有帮助").click()
    await chat.say("二")
    await chat.has_state(1, "failed")
    assert await chat.page.evaluate(OUT_OF_SIGHT) == []
    assert await chat.page.evaluate("document.documentElement.scrollHeight <= innerHeight")
    await expect(chat.input).to_be_in_viewport(ratio=1)


async def test_log_follows_the_talk_unless_the_reader_has_scrolled_up(
    chat: Chat, desk: Desk, gate: threading.Event
):
    def long(x: Exchange) -> None:
        for _ in range(60):
            x.delta("一行\n")
        x.wait(gate)
        x.delta("末行\n" * 20)
        x.done("一行\n" * 60 + "末行\n" * 20)

    desk.script(long)
    log = chat.element.get_by_role("log")
    jump = chat.element.get_by_role("button", name="回到最新消息")
    await chat.say("问")
    await expect(chat.turn(0).get_by_role("button", name="停止")).to_be_in_viewport()
    await expect(jump).to_be_hidden()
    assert await chat.page.evaluate(IS_AT_BOTTOM)
    await log.hover()
    await chat.page.mouse.wheel(0, -400)
    await expect(jump).to_be_visible()
    gate.set()
    await chat.has_state(0, "done")
    assert not await chat.page.evaluate(IS_AT_BOTTOM)
    await jump.click()
    await expect(jump).to_be_hidden()
    assert await chat.page.evaluate(IS_AT_BOTTOM)
    await chat.input.fill("行\n" * 6)  # the field takes room from the log
    await expect(chat.turn(0).locator(".meta")).to_be_in_viewport()


async def test_reduced_motion_is_respected(new_page: NewPage, desk: Desk, gate: threading.Event):
    def slow(x: Exchange) -> None:
        x.wait(gate)
        x.done("好")

    desk.script(slow)
    chat = await Chat(await new_page(reduced_motion="reduce"), desk).open()
    await chat.say("问")
    dot = chat.element.locator(".dots i").first
    await expect(dot).to_be_visible()
    assert await dot.evaluate("(element) => getComputedStyle(element).animationName") == "none"


@pytest.mark.parametrize("theme", ["light", "dark"])
async def test_contrast_is_aa_in_both_themes(new_page: NewPage, desk: Desk, theme: str):
    sources = ["canned", "faq", "cache", "model", "handoff", "blocked", "held"]
    desk.history = [
        {
            "turn_id": source,
            "question": "问",
            "reply": "答",
            "source": source,
            "citations": [{"id": "a", "title": "甲", "score": 1}],
            "choices": [{"id": "a", "title": "甲"}],
            "rating": {"faq": "up", "model": "down"}.get(source),
            "created_at": "2025-01-02T03:04:05Z",
        }
        for source in sources
    ]
    desk.script(lambda x: x.problem(422, "不行"))
    page = await new_page(color_scheme=theme)
    await page.add_init_script("localStorage.setItem('kefu.uid', 'known')")
    chat = await Chat(page, desk).open()
    await expect(chat.turns).to_have_count(len(sources))
    await chat.say("错")
    await chat.has_state(len(sources), "failed")
    await chat.input.fill("长" * 4001)
    measured = await page.evaluate(CONTRASTS)
    assert len(measured) > 40
    assert [(name, round(ratio, 2)) for name, ratio in measured if ratio < 4.5] == []
