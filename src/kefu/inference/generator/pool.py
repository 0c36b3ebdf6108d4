"""Several servers that write the same: who is asked, and who next when that one cannot.

Before the first token an answer may still come from any of them; after it a failure is one.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing

from kefu.errors import GeneratorUnavailable, KefuError, Overloaded
from kefu.inference.generator.affinity import score
from kefu.inference.generator.openai_client import OpenAICompatible
from kefu.inference.generator.protocol import Piece, Prompt, PromptRefused
from kefu.inference.generator.upstream import Upstream
from kefu.settings import GeneratorSettings, UpstreamSettings
from kefu.telemetry import Metrics

Failures = dict[Upstream, KefuError]


class UpstreamPool:
    """A `Generator` on `settings.upstreams`. Put `Admission` in front of it.

    A session keeps its upstream as long as that one is well and has room; else the next in its rank
    is asked. Without a session the least busy one is. `start` begins to look after them.
    """

    def __init__(self, settings: GeneratorSettings, metrics: Metrics) -> None:
        self._wait_seconds = settings.wait_seconds
        self._first_token_seconds = settings.first_token_seconds
        self._changed = asyncio.Event()
        self.upstreams = tuple(
            Upstream(one, _client(one, settings, metrics), metrics, self._tell_change)
            for one in settings.upstreams
        )

    def start(self) -> None:
        for upstream in self.upstreams:
            upstream.start()

    async def stream(
        self, prompt: Prompt, *, max_tokens: int, session: str = ""
    ) -> AsyncGenerator[Piece, None]:
        """As `Generator.stream`. Raises `Overloaded` where one that could write is busy: with the
        least `Retry-After` that was heard, or when none had room within `wait_seconds`."""
        until = time.monotonic() + self._wait_seconds
        failures: Failures = {}
        while upstream := await self._choose(session, failures, until):
            answer = upstream.stream(
                prompt,
                max_tokens=max_tokens,
                session=session,
                first_token_seconds=self._patience(upstream, failures),
            )
            begun = False
            try:
                async with aclosing(answer) as pieces:
                    async for piece in pieces:
                        begun = True
                        yield piece
                return
            except (GeneratorUnavailable, Overloaded) as error:
                if begun or isinstance(error, PromptRefused):
                    raise
                failures[upstream] = error
        raise self._nobody(failures)

    async def ping(self) -> None:
        """From what is known of them: nobody is asked."""
        if not any(one.is_up and one.may_be_asked for one in self.upstreams):
            raise self._nobody({})

    async def ask_all(self) -> dict[str, str]:
        """`ok` or what is wrong, by name of the upstream: each is asked now."""

        async def state(upstream: Upstream) -> str:
            try:
                await upstream.ping()
            except GeneratorUnavailable as error:
                return str(error)
            return "ok"

        states = await asyncio.gather(*map(state, self.upstreams))
        return {one.name: said for one, said in zip(self.upstreams, states, strict=True)}

    async def aclose(self) -> None:
        await asyncio.gather(*(upstream.aclose() for upstream in self.upstreams))

    def rank(self, session: str) -> list[Upstream]:
        """Whom to ask, in this order."""
        if not session:
            return sorted(self.upstreams, key=lambda one: one.load)
        return sorted(
            self.upstreams, key=lambda one: score(session, one.name, one.weight), reverse=True
        )

    async def _choose(self, session: str, failures: Failures, until: float) -> Upstream | None:
        """The first in rank that may be asked and has room, waiting for room; None: nobody is left.

        One that does not answer looks is asked only where there is no other: a look may be wrong,
        and where all are slow, all seem to be away.
        """
        while left := self._left(failures):
            known_well = [one for one in left if one.is_up] or left
            ranked = (one for one in self.rank(session) if one in known_well)
            if free := next((one for one in ranked if one.has_room), None):
                return free
            await self._wait_for_change(until)
        return None

    def _left(self, failures: Failures) -> list[Upstream]:
        return [one for one in self.upstreams if one not in failures and one.may_be_asked]

    def _patience(self, upstream: Upstream, failures: Failures) -> float | None:
        """None, as long as a single generator has, where there is no other to go to."""
        others = (one for one in self._left(failures) if one is not upstream)
        return (
            self._first_token_seconds if any(one.is_up and one.has_room for one in others) else None
        )

    async def _wait_for_change(self, until: float) -> None:
        try:
            async with asyncio.timeout(until - time.monotonic()):
                await self._changed.wait()
        except TimeoutError as error:
            raise Overloaded(
                "The generator is busy: every upstream has as many answers open as it may "
                f"(max_open), for {self._wait_seconds:g} s now. Try again later."
            ) from error

    def _tell_change(self) -> None:
        """Wake whoever waits for room; who comes now waits for the next change."""
        self._changed.set()
        self._changed = asyncio.Event()

    def _nobody(self, failures: Failures) -> KefuError:
        """Why nobody could be asked, or nobody who was asked wrote."""
        refusals = [one for one in failures.values() if isinstance(one, Overloaded)]
        pauses = [one.pause_seconds for one in self.upstreams if one.pause_seconds]
        said = "; ".join(_described(one, failures) for one in self.upstreams)
        if not refusals and not pauses:
            return GeneratorUnavailable(f"No upstream of the generator can write. {said}")
        overloaded = Overloaded(f"The generator is busy. {said}")
        overloaded.retry_after_seconds = min(
            [*pauses, *(one.retry_after_seconds or 0 for one in refusals)]
        )
        return overloaded


def _client(
    one: UpstreamSettings, settings: GeneratorSettings, metrics: Metrics
) -> OpenAICompatible:
    return OpenAICompatible(
        one.url,
        metrics=metrics,
        api_key=one.api_key or settings.api_key,
        model=one.model or settings.upstream_model,
        temperature=settings.temperature,
        idle_seconds=settings.idle_seconds,
    )


def _described(upstream: Upstream, failures: Failures) -> str:
    if error := failures.get(upstream):
        return f"{upstream.name}: {error}"
    if upstream.pause_seconds:
        return f"{upstream.name} wants to be left alone for {upstream.pause_seconds} s."
    return f"{upstream.name} {'fails' if upstream.is_up else 'does not answer'}."
