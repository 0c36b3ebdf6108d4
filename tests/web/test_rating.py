"""Thumbs up and down under a reply, and the reason."""

import threading

import pytest
from playwright.async_api import Locator, expect

from .conftest import Chat
from .probes import ENTER_AFTER_COMPOSITION, FOCUSED, HEAR_KEYS
from .scripted_desk import Desk, Exchange


def up(chat: Chat, index: int = 0) -> Locator:
    return chat.turn(index).get_by_role("button", name="有帮助", exact=True)


def down(chat: Chat, index: int = 0) -> Locator:
    return chat.turn(index).get_by_role("button", name="没有帮助")


def reason(chat: Chat) -> Locator:
    return chat.turn(0).get_by_role("textbox", name="哪里不满意？（可不填）")


async def answered(chat: Chat) -> None:
    await chat.say("运费多少")
    await chat.has_state(0, "done")


async def pressed(thumb: Locator, is_pressed: bool) -> None:
    await expect(thumb).to_have_attribute("aria-pressed", str(is_pressed).lower())


async def test_a_rating_is_sent_and_taken_back(chat: Chat, desk: Desk):
    await answered(chat)
    await up(chat).click()
    await pressed(up(chat), True)
    await chat.rated(1)
    await up(chat).click()
    await pressed(up(chat), False)
    await chat.rated(2)
    about = {"uid": desk.posts[0].uid, "turn_id": f"turn-{desk.keys[0]}", "reason": ""}
    assert desk.ratings == [about | {"rating": "up"}, about | {"rating": None}]


async def test_one_thumb_lifts_the_other(chat: Chat, desk: Desk):
    await answered(chat)
    await up(chat).click()
    await down(chat).click()
    await pressed(up(chat), False)
    await pressed(down(chat), True)
    await chat.rated(2)
    assert [rating["rating"] for rating in desk.ratings] == ["up", "down"]


async def test_a_reason_may_follow_a_thumb_down(chat: Chat, desk: Desk):
    await answered(chat)
    await expect(reason(chat)).to_be_hidden()
    await down(chat).click()
    submit = chat.turn(0).get_by_role("button", name="提交")
    await expect(submit).to_be_disabled()
    await chat.rated(1)  # the thumb counts without any reason
    await reason(chat).fill("  没说退货的运费 ")
    await reason(chat).press("Enter")
    await chat.rated(2)
    assert (desk.ratings[1]["rating"], desk.ratings[1]["reason"]) == ("down", "没说退货的运费")
    await expect(reason(chat)).to_be_hidden()
    await expect(chat.turn(0)).to_contain_text("谢谢您的反馈")
    await expect(chat.announcer).to_have_text("谢谢您的反馈")
    await expect(down(chat)).to_be_focused()
    assert len(desk.posts) == 1  # a reason is no message


async def test_a_reason_is_bounded_and_its_keys_stay_inside(chat: Chat, desk: Desk):
    await answered(chat)
    await down(chat).click()
    await chat.page.evaluate(HEAR_KEYS)
    await reason(chat).press_sequentially("/?")
    assert await chat.page.evaluate("heard") == []
    await reason(chat).fill("")
    await chat.page.keyboard.insert_text("字" * 600)
    assert len(await reason(chat).input_value()) == 500


@pytest.mark.parametrize("event", [{"isComposing": True}, {"keyCode": 229}])
async def test_enter_of_an_input_method_does_not_submit(
    chat: Chat, desk: Desk, event: dict[str, object]
):
    await answered(chat)
    await down(chat).click()
    await reason(chat).fill("拼音")
    await reason(chat).evaluate(ENTER_AFTER_COMPOSITION, event)
    await expect(reason(chat)).to_have_value("拼音")
    await reason(chat).press("Enter")
    await chat.rated(2)
    assert [rating["reason"] for rating in desk.ratings] == ["", "拼音"]


async def test_thumbs_are_for_answers_only(chat: Chat, desk: Desk, gate: threading.Event):
    shown = {"faq": 2, "model": 2, "cache": 2, "canned": 2, "handoff": 0, "blocked": 0, "held": 0}
    for source in shown:
        desk.script(lambda x, source=source: x.done("答", source=source))
    desk.script(lambda x: x.problem(422, "不行"))
    for index, source in enumerate(shown):
        await chat.say(source)
        await chat.has_state(index, "done")
        thumbs = chat.turn(index).locator(".thumb:visible")
        await expect(thumbs).to_have_count(shown[source])
    await chat.say("错")
    await chat.has_state(len(shown), "failed")
    await expect(chat.turn(len(shown)).locator(".thumb:visible")).to_have_count(0)

    def slow(x: Exchange) -> None:
        x.delta("慢")
        x.wait(gate)
        x.done("慢")

    desk.script(slow)
    await chat.say("慢")
    last = chat.turn(len(shown) + 1)
    await chat.has_state(len(shown) + 1, "streaming")
    await expect(last.locator(".thumb:visible")).to_have_count(0)
    gate.set()
    await expect(last.locator(".thumb:visible")).to_have_count(2)


@pytest.mark.parametrize("rating", ["up", "down", None])
async def test_a_rating_is_shown_again_after_a_reload(chat: Chat, desk: Desk, rating: str | None):
    await answered(chat)
    old = {"turn_id": "h", "question": "问", "reply": "答", "source": "faq", "citations": []}
    desk.history = [old | {"created_at": 1735787045000, "rating": rating}]
    await chat.page.reload()
    await expect(chat.replies).to_have_text(["答"])
    await pressed(up(chat), rating == "up")
    await pressed(down(chat), rating == "down")
    await expect(reason(chat)).to_be_hidden()
    await down(chat).click()
    await chat.rated(1)
    assert (desk.ratings[0]["turn_id"], desk.ratings[0]["rating"]) == (
        "h",
        None if rating == "down" else "down",
    )


async def test_what_was_not_saved_is_said_and_undone(chat: Chat, desk: Desk):
    desk.rating_plays.extend([lambda x: x.problem(404, "gone"), lambda x: x.problem(503, "busy")])
    await answered(chat)
    for _ in range(2):
        await down(chat).click()
        await expect(chat.turn(0)).to_contain_text("评价没有提交成功，请再试一次")
        await expect(chat.announcer).to_have_text("评价没有提交成功，请再试一次")
        await pressed(down(chat), False)
        await expect(reason(chat)).to_be_hidden()
    desk.down = True
    await up(chat).click()
    await chat.rated(3)
    await pressed(up(chat), False)
    desk.down = False
    await up(chat).click()
    await chat.rated(4)
    await pressed(up(chat), True)
    await expect(chat.turn(0)).not_to_contain_text("评价没有提交成功")


async def test_clicks_arrive_in_order_and_the_last_one_shows(
    chat: Chat, desk: Desk, gate: threading.Event
):
    def slow_failure(x: Exchange) -> None:
        x.wait(gate)
        x.problem(500, "no")

    desk.rating_plays.append(slow_failure)
    await answered(chat)
    await up(chat).click()
    await chat.rated(1)
    await down(chat).click()
    gate.set()
    await chat.rated(2)
    assert [rating["rating"] for rating in desk.ratings] == ["up", "down"]
    await pressed(down(chat), True)  # the failure of an older click changes nothing


async def test_rating_by_keyboard(chat: Chat, desk: Desk):
    await answered(chat)
    await chat.element.get_by_role("log").focus()
    for name in ("thumb up", "thumb down"):
        await chat.page.keyboard.press("Tab")
        assert await chat.page.evaluate(FOCUSED) == name
    await chat.page.keyboard.press("Space")
    await pressed(down(chat), True)
    await chat.page.keyboard.press("Tab")
    await chat.page.keyboard.insert_text("答非所问")
    await chat.page.keyboard.press("Tab")
    await chat.page.keyboard.press("Enter")
    await chat.rated(2)
    assert desk.ratings[1]["reason"] == "答非所问"


async def test_the_key_goes_along(new_page, desk: Desk):
    chat = await Chat(await new_page(), desk).open("/#key=pk_test")
    headers = []
    desk.rating_plays.append(lambda x: (headers.append(x.post.headers), x.problem(404, "no")))
    await answered(chat)
    await up(chat).click()
    await expect(chat.turn(0)).to_contain_text("评价没有提交成功")
    assert headers[0]["Authorization"] == "Bearer pk_test"
