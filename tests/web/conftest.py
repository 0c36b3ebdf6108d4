"""A real Chromium, a scripted desk and the talk between them.

Playwright's async interface is used, on one event loop for all of these tests: its sync interface
leaves a running loop behind in the main thread, which breaks every async test that comes after it.
"""

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Locator, Page, async_playwright, expect

from .probes import WATCH_VIOLATIONS
from .scripted_desk import Desk, scripted_desk

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
CHROMIUM_IS_HERE = CHROMIUM.exists()
# Chromium as root in a closed network: without these it looks up Google's hosts at every start.
CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
VISITOR = {"locale": "zh-CN", "viewport": {"width": 1000, "height": 760}}

expect.set_options(timeout=10_000)
NewPage = Callable[..., Awaitable[Page]]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every async test in this folder runs on the session's loop, where the browser lives."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for all tests; each `page` has a context, so storage, of its own."""
    if not CHROMIUM_IS_HERE:
        pytest.fail(
            f"{CHROMIUM} is missing: apt-get update && apt-get install -y chromium fonts-noto-cjk "
            "(or set CHROMIUM to another Chromium's path)",
            pytrace=False,
        )
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=CHROMIUM_FLAGS)
        yield browser
        await browser.close()


@pytest_asyncio.fixture(loop_scope="session")
async def new_page(browser: Browser) -> AsyncIterator[NewPage]:
    """`await new_page(**context_options)`: a page of a new visitor, Chinese unless told otherwise.

    No page may throw or violate its Content-Security-Policy; that is checked when the test ends.
    """
    errors: list[str] = []
    async with AsyncExitStack() as stack:

        async def new_page(**options: Any) -> Page:
            context = await browser.new_context(**VISITOR | options)
            stack.push_async_callback(close, context)
            context.on("weberror", lambda event: errors.append(str(event.error)))
            await context.add_init_script(WATCH_VIOLATIONS)
            return await context.new_page()

        async def close(context: BrowserContext) -> None:
            for page in context.pages:
                errors.extend(await page.evaluate("window.violations ?? []"))
            await context.close()

        yield new_page
    assert errors == []


@pytest_asyncio.fixture(loop_scope="session")
async def page(new_page: NewPage) -> Page:
    return await new_page()


@pytest.fixture
def desk() -> Iterator[Desk]:
    with scripted_desk() as desk:
        yield desk


@pytest.fixture
def gate() -> Iterator[threading.Event]:
    """Closed until the test opens it: a play may wait for it. No play hangs past the test."""
    gate = threading.Event()
    yield gate
    gate.set()


class Chat:
    """What a person does with the chat, and sees of it."""

    def __init__(self, page: Page, desk: Desk):
        self.page = page
        self.desk = desk
        self.element = page.locator("kefu-chat")
        self.input = self.element.locator("textarea")
        self.turns = self.element.locator(".turn")
        self.questions = self.element.locator(".bubble")
        self.replies = self.element.locator(".text:visible")
        self.announcer = self.element.locator(".announcer")

    async def open(self, path: str = "/") -> "Chat":
        await self.page.goto(self.desk.origin + path)
        return self

    async def say(self, text: str) -> None:
        await self.input.fill(text)
        await self.input.press("Enter")

    def turn(self, index: int) -> Locator:
        return self.turns.nth(index)

    async def has_state(self, index: int, state: str) -> None:
        await expect(self.turn(index)).to_have_attribute("data-state", state)

    async def received(self, posts: int) -> None:
        """Waits until the desk has got that many messages."""
        await asyncio.to_thread(self.desk.wait_for_posts, posts)

    async def rated(self, ratings: int) -> None:
        """Waits until the desk has got that many ratings."""
        await asyncio.to_thread(self.desk.wait_for_ratings, ratings)

    async def asked_for_updates(self, calls: int) -> None:
        """Waits until the desk was asked that many times for later replies."""
        await asyncio.to_thread(self.desk.wait_for_update_calls, calls)


@pytest_asyncio.fixture(loop_scope="session")
async def chat(page: Page, desk: Desk) -> Chat:
    """The chat page of the scripted desk, opened by a new visitor."""
    return await Chat(page, desk).open()
