"""One server of a pool: how busy it is, whether it is well, and what it was last heard to say."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

import structlog

from kefu.errors import GeneratorUnavailable, Overloaded
from kefu.inference.generator.breaker import Breaker
from kefu.inference.generator.openai_client import OpenAICompatible
from kefu.inference.generator.protocol import Piece, Prompt, PromptRefused
from kefu.settings import UpstreamSettings
from kefu.telemetry import Metrics

log = structlog.stdlib.get_logger("kefu.upstream")

LOOK_SECONDS = 2.0
# A server may say how long it wants to be left alone; believed up to here.
LONGEST_PAUSE_SECONDS = 60
_BREAKER_VALUE = {"closed": 0, "half_open": 1, "open": 2}


class Upstream:
    """A client with a memory. `changed` is called when it may have become able to take an answer."""

    def __init__(
        self,
        settings: UpstreamSettings,
        client: OpenAICompatible,
        metrics: Metrics,
        changed: Callable[[], None],
    ) -> None:
        self.name = settings.name
        self.weight = settings.weight
        self.is_up = True  # until it is known better: nobody waits for the first look
        self.open = 0
        self.breaker = Breaker()
        self._max_open = settings.max_open
        self._client = client
        self._metrics = metrics
        self._changed = changed
        self._paused_until = 0.0
        self._doubted = asyncio.Event()
        self._watch: asyncio.Task[None] | None = None
        metrics.upstream_open.labels(self.name).set_function(lambda: self.open)
        metrics.upstream_up.labels(self.name).set_function(lambda: self.is_up)
        metrics.upstream_breaker.labels(self.name).set_function(
            lambda: _BREAKER_VALUE[self.breaker.state]
        )

    @property
    def may_be_asked(self) -> bool:
        """It does not fail all the time, and has not asked to be left alone."""
        return self.breaker.admits and not self.pause_seconds

    @property
    def has_room(self) -> bool:
        return not self._max_open or self.open < self._max_open

    @property
    def pause_seconds(self) -> int:
        """For how long it still wants to be left alone (429), rounded up."""
        return max(0, math.ceil(self._paused_until - time.monotonic()))

    @property
    def load(self) -> float:
        return (self.open + 1) / self.weight if self.weight else math.inf

    def start(self) -> None:
        self._watch = asyncio.create_task(self._look_for_ever(), name=f"upstream {self.name}")

    async def aclose(self) -> None:
        if self._watch:
            self._watch.cancel()
            await asyncio.gather(self._watch, return_exceptions=True)
        await self._client.aclose()

    async def stream(
        self,
        prompt: Prompt,
        *,
        max_tokens: int,
        session: str,
        first_token_seconds: float | None,
    ) -> AsyncGenerator[Piece, None]:
        """As `Generator.stream`. Without a first token in `first_token_seconds` it has failed."""
        self.open += 1
        answer = self._client.stream(prompt, max_tokens=max_tokens, session=session)
        try:
            with self.breaker.request() as is_trial:
                try:
                    async with aclosing(answer) as pieces:
                        first = await self._first(pieces, first_token_seconds)
                        self._count("answered")
                        self.breaker.succeed()
                        yield first
                        async for piece in pieces:
                            yield piece
                except PromptRefused:
                    self.breaker.succeed()
                    raise
                except Overloaded as error:
                    self._count("refused")
                    self._pause(error.retry_after_seconds or 0)
                    raise
                except GeneratorUnavailable as error:
                    self._count("failed")
                    self.breaker.fail(is_trial=is_trial)
                    self._doubted.set()
                    log.warning("upstream_failed", upstream=self.name, error=str(error))
                    raise
        finally:
            self.open -= 1
            self._changed()

    async def ping(self) -> None:
        """Ask it, now. Raises `GeneratorUnavailable`; to be busy is no fault."""
        try:
            await self._client.ping()
        except Overloaded:
            return

    async def _first(
        self, pieces: AsyncGenerator[Piece, None], within_seconds: float | None
    ) -> Piece:
        try:
            async with asyncio.timeout(within_seconds):
                return await anext(pieces)
        except TimeoutError as error:
            raise GeneratorUnavailable(
                f"The generator at {self.name} wrote nothing for {within_seconds:g} s. "
                "Check its load, or raise generator.first_token_seconds."
            ) from error

    def _pause(self, seconds: int) -> None:
        self._paused_until = time.monotonic() + min(seconds, LONGEST_PAUSE_SECONDS)

    def _count(self, outcome: str) -> None:
        self._metrics.upstream_requests.labels(self.name, outcome).inc()

    async def _look_for_ever(self) -> None:
        """Every `LOOK_SECONDS`, and at once when a request has failed."""
        while True:
            try:
                await self._look()
            except Exception:  # whatever it was: without its watch it would stay as it is for ever
                log.exception("upstream_look_crashed", upstream=self.name)
            self._doubted.clear()
            try:
                async with asyncio.timeout(LOOK_SECONDS):
                    await self._doubted.wait()
            except TimeoutError:
                continue

    async def _look(self) -> None:
        try:
            await self.ping()
        except GeneratorUnavailable as error:
            if self.is_up:
                log.error("upstream_down", upstream=self.name, error=str(error))
            self.is_up = False
            return
        if not self.is_up:
            log.info("upstream_up", upstream=self.name)
            # It failed because it was away: no need to wait until the pause is over.
            self.breaker.try_now()
        self.is_up = True
        self._changed()
