"""Word from desk to desk (publish and subscribe). What is told while Redis is away is not heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

import structlog
from redis.exceptions import RedisError

from kefu.stores.redis.connection import Client

log = structlog.get_logger("kefu.redis")

_MOST_UNTOLD = 1000
_LISTEN_SECONDS = 1.0
_AGAIN_SECONDS = 0.2


class Channels:
    """Use as `async with`, after all `hear`. A desk hears what it tells itself, too."""

    def __init__(self, redis: Client) -> None:
        self._redis = redis
        self._heard: dict[str, Callable[[str], None]] = {}
        self._on_gap: list[Callable[[], None]] = []
        self._untold: asyncio.Queue[tuple[str, str]] = asyncio.Queue(_MOST_UNTOLD)
        self._tasks: list[asyncio.Task[None]] = []
        self._listening = asyncio.Event()

    def hear(self, channel: str, handler: Callable[[str], None]) -> None:
        self._heard[f"kefu:{channel}"] = handler

    def after_gap(self, handler: Callable[[], None]) -> None:
        """To be called when something may have been missed."""
        self._on_gap.append(handler)

    def tell(self, channel: str, text: str) -> None:
        """Soon, without a wait."""
        try:
            self._untold.put_nowait((f"kefu:{channel}", text))
        except asyncio.QueueFull:
            log.warning("other_desks_not_told", channel=channel, reason="too much is untold")

    async def __aenter__(self) -> Self:
        self._tasks = [
            asyncio.create_task(self._keep_telling(), name="kefu-telling"),
            asyncio.create_task(self._keep_listening(), name="kefu-listening"),
        ]
        await self._listening.wait()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def _keep_telling(self) -> None:
        while True:
            channel, text = await self._untold.get()
            try:
                await self._redis.publish(channel, text)
            except RedisError as error:
                log.warning("other_desks_not_told", channel=channel, reason=str(error))

    async def _keep_listening(self) -> None:
        while True:
            try:
                await self._listen()
            except RedisError as error:
                log.warning("other_desks_not_heard", reason=str(error))
            await asyncio.sleep(_AGAIN_SECONDS)

    async def _listen(self) -> None:
        async with self._redis.pubsub() as subscribed:
            await subscribed.subscribe(*self._heard)
            for missed in self._on_gap:
                missed()
            self._listening.set()
            while True:
                message = await subscribed.get_message(
                    ignore_subscribe_messages=True, timeout=_LISTEN_SECONDS
                )
                if message is not None:
                    self._take(message["channel"], message["data"])

    def _take(self, channel: str, text: str) -> None:
        try:
            self._heard[channel](text)
        except Exception:  # one message that cannot be read must not end the listening
            log.exception("word_of_another_desk_not_understood", channel=channel)
