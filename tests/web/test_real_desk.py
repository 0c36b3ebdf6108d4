"""The page in a real browser against a real desk with real models: told, killed, told again."""

import asyncio
import json
import os
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import pytest_asyncio
from playwright.async_api import ConsoleMessage, Page, expect

from tests.e2e.desk_process import BUSY_MACHINE, UNTAUGHT, DeskProcess, run_kefu
from tests.e2e.folders import FAQ, KNOWLEDGE, LONG_QUESTIONS, link_models, write_files

from .conftest import Chat, NewPage
from .probes import HEAR_COMPONENT_EVENTS

pytestmark = pytest.mark.models

# Where to leave pictures for a person to look at; nowhere unless told.
SHOTS = os.environ.get("KEFU_TEST_SHOTS")
# What the browser itself says of a desk that is down.
OUTAGE = ("ERR_CONNECTION_REFUSED", "ERR_CONNECTION_RESET", "ERR_INCOMPLETE_CHUNKED_ENCODING")
WRITING_MS = 60_000
# Listed as doubtful: what has it must wait for a person.
DOUBTFUL = "旋风券"
QUESTION_ZH, QUESTION_EN = "怎么申请退货？", "How do I place an order?"


async def shoot(page: Page, name: str) -> None:
    if SHOTS:
        await page.screenshot(path=Path(SHOTS) / f"real-{name}.png")


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def real(
    tmp_path_factory: pytest.TempPathFactory, models_dir: Path
) -> AsyncIterator[DeskProcess]:
    """The sample shop, a few long answers and a listed word. Up at the beginning of each test."""
    data_dir = link_models(tmp_path_factory.mktemp("real") / "data", models_dir)
    listed = ("moderation", "words", "add", DOUBTFUL, "--category", "fraud", "--severity", "medium")
    await asyncio.to_thread(kefu, data_dir, *listed)
    desk = DeskProcess(data_dir, settings={**BUSY_MACHINE, **UNTAUGHT})
    try:
        await asyncio.to_thread(desk.start)
        folder = write_files(data_dir / "camp", KNOWLEDGE)
        await asyncio.to_thread(kefu, data_dir, "kb", "import", folder)
        yield desk
    finally:
        desk.close()


@pytest.fixture
def said_by_console() -> list[str]:
    return []


@pytest_asyncio.fixture(loop_scope="session")
async def real_chat(
    new_page: NewPage, real: DeskProcess, said_by_console: list[str]
) -> AsyncIterator[Chat]:
    """The chat page of the real desk; nothing may be said on the console but of outages."""

    def hear(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and not any(o in message.text for o in OUTAGE):
            said_by_console.append(f"{message.text} {message.location}")

    page = await new_page()
    page.on("console", hear)
    yield await Chat(page, real).open()
    assert said_by_console == []


def kefu(data_dir: Path, *arguments: str | Path) -> str:
    """What a command says that must succeed."""
    done = run_kefu("--data-dir", data_dir, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


async def uid_of(chat: Chat) -> str:
    return await chat.page.evaluate("localStorage.getItem('kefu.uid')")


async def kept(desk: DeskProcess, chat: Chat) -> list[dict]:
    return await asyncio.to_thread(desk.turns, await uid_of(chat))


async def has_reply(chat: Chat, index: int) -> None:
    await expect(chat.turn(index)).to_have_attribute("data-state", "done", timeout=WRITING_MS)


async def test_a_talk_in_two_languages(real_chat: Chat, real: DeskProcess):
    chat = real_chat
    await chat.say(QUESTION_ZH)
    await has_reply(chat, 0)
    await expect(chat.turn(0).locator(".meta")).to_contain_text("常见问题")
    await chat.say(QUESTION_EN)
    await has_reply(chat, 1)
    await expect(chat.replies.nth(1)).to_contain_text("Add to cart")
    await shoot(chat.page, "two-languages")
    await chat.say("为什么呢，那要是过了期限怎么办")
    await has_reply(chat, 2)
    assert await chat.replies.nth(2).inner_text()
    await shoot(chat.page, "second-turn")
    turns = await kept(real, chat)
    assert [turn["question"] for turn in turns][:2] == [QUESTION_ZH, QUESTION_EN]
    assert len({turn["conversation_id"] for turn in turns}) == 1
    shown = [" ".join(text.split()) for text in await chat.replies.all_inner_texts()]
    assert shown == [" ".join(turn["reply"].split()) for turn in turns]
    await chat.page.reload()
    await expect(chat.questions).to_have_text([turn["question"] for turn in turns])


async def test_the_desk_is_killed_in_mid_answer_and_comes_back(real_chat: Chat, real: DeskProcess):
    chat = real_chat
    await chat.say(FAQ[0])
    await has_reply(chat, 0)
    question = LONG_QUESTIONS[0]
    await chat.say(question)
    await asyncio.to_thread(
        real.wait_metric, lambda running: running == 1, "kefu_generator_running"
    )
    await shoot(chat.page, "mid-answer")
    await asyncio.to_thread(real.kill)
    await chat.has_state(1, "retrying")
    await shoot(chat.page, "outage")
    await chat.say(QUESTION_ZH)  # written meanwhile, waits for its turn
    await asyncio.to_thread(real.start)
    await has_reply(chat, 1)
    await has_reply(chat, 2)
    await shoot(chat.page, "after-outage")
    await expect(chat.questions).to_have_text([FAQ[0], question, QUESTION_ZH])
    await expect(chat.replies).to_have_count(3)
    turns = await kept(real, chat)
    assert [turn["question"] for turn in turns] == [FAQ[0], question, QUESTION_ZH]
    assert {turn["status"] for turn in turns} == {"answered"}


async def test_a_reload_in_the_outage_resumes(real_chat: Chat, real: DeskProcess):
    chat = real_chat
    question = LONG_QUESTIONS[1]
    await chat.say(question)
    await asyncio.to_thread(
        real.wait_metric, lambda running: running == 1, "kefu_generator_running"
    )
    await asyncio.to_thread(real.kill)
    await chat.has_state(0, "retrying")
    # The page itself is gone with the desk, so the reload waits for the desk, not for the retry.
    await asyncio.to_thread(real.start)
    await chat.page.reload()
    await has_reply(chat, 0)
    await expect(chat.questions).to_have_text([question])
    [turn] = await kept(real, chat)
    assert (turn["question"], turn["status"]) == (question, "answered")


async def test_a_rating_reaches_the_shop_and_survives_a_reload(real_chat: Chat, real: DeskProcess):
    chat = real_chat
    await chat.say(QUESTION_ZH)
    await has_reply(chat, 0)
    down = chat.turn(0).get_by_role("button", name="没有帮助")
    await down.click()
    reason = chat.turn(0).get_by_role("textbox")
    await reason.fill("没说多久退款")
    async with chat.page.expect_response("**/chat/rating") as answered:
        await reason.press("Enter")
    assert (await answered.value).status == 204
    await shoot(chat.page, "rated")
    await chat.page.reload()
    await expect(down).to_have_attribute("aria-pressed", "true")
    [turn] = await kept(real, chat)
    assert (turn["rating"]["value"], turn["rating"]["reason"]) == ("down", "没说多久退款")


def decide(real: DeskProcess, review: str, what: str, **body: str) -> httpx.Response:
    headers = {"Authorization": f"Bearer {real.key()}"}
    with real.client(headers=headers) as client:
        return client.post(f"/api/review/{review}/{what}", json=body)


async def is_held(chat: Chat, real: DeskProcess, text: str) -> str:
    """The customer writes this and it must wait; the id of its review."""
    index = await chat.turns.count()
    await chat.say(text)
    await has_reply(chat, index)
    await expect(chat.turn(index).locator(".badge")).to_have_text("待审核")
    listed = await asyncio.to_thread(kefu, real.data_dir, "review", "list", "--json")
    [review] = [one for one in json.loads(listed)["reviews"] if one["text"] == text]
    return review["id"]


async def test_a_held_message_is_let_pass_at_the_terminal(real_chat: Chat, real: DeskProcess):
    chat = real_chat
    review = await is_held(chat, real, f"{DOUBTFUL}买的东西能退货吗")
    await shoot(chat.page, "held")
    await chat.say(QUESTION_ZH)  # who waits may go on writing
    await has_reply(chat, 1)
    await chat.page.evaluate(HEAR_COMPONENT_EVENTS)
    await asyncio.to_thread(kefu, real.data_dir, "review", "approve", review)
    badge = chat.turn(0).locator(".badge")
    await expect(badge).not_to_have_text("待审核", timeout=WRITING_MS)
    await shoot(chat.page, "approved")
    told = await chat.replies.all_inner_texts()
    [turn, _] = await kept(real, chat)
    assert turn["source"] not in ("held", "blocked")
    assert await chat.page.evaluate("seen") == [["kefu:reply", turn["reply"]]]
    await chat.page.reload()
    await expect(chat.replies).to_have_count(2)
    assert await chat.replies.all_inner_texts() == told
    await expect(chat.announcer).to_have_text("")


async def test_a_person_answers_a_held_message_over_the_api(real_chat: Chat, real: DeskProcess):
    chat = real_chat
    review = await is_held(chat, real, f"请问{DOUBTFUL}怎么用")
    await chat.page.reload()
    await expect(chat.turn(0).locator(".badge")).to_have_text("待审核")
    answer = "这种券在结算时自动抵扣。"
    await chat.page.evaluate(HEAR_COMPONENT_EVENTS)
    decided = await asyncio.to_thread(decide, real, review, "edit", text=answer)
    assert decided.status_code == 200, decided.text
    await expect(chat.replies).to_have_text([answer])
    await expect(chat.turn(0).locator(".badge")).to_have_text("预设回复")
    assert await chat.page.evaluate("seen") == [["kefu:reply", answer]]
    await chat.page.reload()
    await expect(chat.replies).to_have_text([answer])
    [turn] = await kept(real, chat)
    assert (turn["reply"], turn["source"]) == (answer, "canned")


async def test_the_docs_show_every_operation(new_page: NewPage, real: DeskProcess):
    page = await new_page(viewport={"width": 1100, "height": 1400})
    said: list[str] = []
    page.on(
        "console", lambda m: said.append(f"{m.text} {m.location}") if m.type == "error" else None
    )
    await page.goto(f"{real.origin}/docs")
    await expect(page.locator(".opblock").first).to_be_visible()
    description = await asyncio.to_thread(lambda: real.get("/openapi.json").json())
    operations = sum(len(item) for item in description["paths"].values())
    await expect(page.locator(".opblock")).to_have_count(operations)
    await shoot(page, "docs")
    await page.locator(".opblock-summary", has_text="/livez").click()
    await page.get_by_role("button", name="Try it out").click()
    await page.get_by_role("button", name="Execute").click()
    status = page.locator(".live-responses-table .response .response-col_status")
    await expect(status).to_contain_text("200")
    await shoot(page, "docs-tried")
    assert said == []
