"""The generator that comes with kefu: the OpenAI-compatible client on our own llama.cpp child."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from pathlib import Path

import structlog

from kefu.errors import GeneratorUnavailable, KefuError
from kefu.inference.generator.llama_process import LlamaProcess
from kefu.inference.generator.llama_run import LlamaRun
from kefu.inference.generator.openai_client import OpenAICompatible
from kefu.inference.generator.protocol import Piece, Prompt
from kefu.settings import GeneratorSettings
from kefu.telemetry import Metrics

log = structlog.stdlib.get_logger("kefu.llama")

# From a broken connection to the news that the child has died: the same event, two messengers.
DEATH_SECONDS = 0.5


class EmbeddedGenerator:
    """A `Generator` that survives its llama.cpp. Put `Admission` in front of it.

    An answer begun when the child dies ends in `GeneratorUnavailable` at once. One that had no
    token yet waits for the next child, at most `wait_seconds`, and is asked again.
    """

    def __init__(self, model_path: Path, settings: GeneratorSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._process = LlamaProcess(model_path, settings, metrics, on_ready=self._meet)
        self._client: OpenAICompatible | None = None
        self._openings: tuple[Prompt, ...] = ()
        self._warming: set[asyncio.Task[None]] = set()

    @property
    def process(self) -> LlamaProcess:
        return self._process

    async def start(self) -> None:
        """Load the model. Raises `GeneratorUnavailable` with the reason where that fails."""
        await self._process.start()

    async def warm(self, openings: Sequence[Prompt]) -> None:
        """Have the slots read what prompts begin with, now and after each restart.

        llama.cpp then reads only what differs: with a 250-token opening a first token comes
        after 50 ms instead of 700 ms (2 cores). The slots are shared out evenly: one language
        each, say. Takes about `n_parallel` times reading one opening.
        """
        self._openings = tuple(openings)
        if self._openings:
            await self._warm()

    async def stream(
        self, prompt: Prompt, *, max_tokens: int, session: str = ""
    ) -> AsyncGenerator[Piece, None]:
        """`session` changes nothing: llama.cpp finds the slot that knows most of the prompt."""
        begun = False
        run = await self._process.wait_ready(self._settings.wait_seconds)
        try:
            async with aclosing(self._stream_once(prompt, max_tokens)) as pieces:
                async for piece in pieces:
                    begun = True
                    yield piece
            return
        except GeneratorUnavailable as error:
            if not await _dies(run):
                raise
            if begun:
                raise GeneratorUnavailable(
                    "llama.cpp stopped while it wrote this answer and is being started again. "
                    "Ask again in a few seconds."
                ) from error
        await self._process.wait_ready(self._settings.wait_seconds)
        async with aclosing(self._stream_once(prompt, max_tokens)) as pieces:
            async for piece in pieces:
                yield piece

    async def ping(self) -> None:
        await self._process.wait_ready(0)
        if self._client:
            await self._client.ping()

    async def aclose(self) -> None:
        """Stop llama.cpp. Answers being written end in `GeneratorUnavailable`."""
        for task in self._warming:
            task.cancel()
        await asyncio.gather(*self._warming, return_exceptions=True)
        await self._process.stop()
        if self._client:
            await self._client.aclose()

    def _meet(self, run: LlamaRun) -> None:
        """A child answers: talk to this one. The last one's client keeps no connection to close."""
        self._client = OpenAICompatible(
            run.base_url,
            metrics=self._metrics,
            api_key=run.api_key,
            temperature=self._settings.temperature,
            idle_seconds=self._settings.idle_seconds,
            is_llama_child=True,
        )
        if self._openings:
            task = asyncio.create_task(self._warm(), name="llama-warm")
            self._warming.add(task)
            task.add_done_callback(self._warming.discard)

    def _stream_once(self, prompt: Prompt, max_tokens: int) -> AsyncGenerator[Piece, None]:
        assert self._client
        return self._client.stream(prompt, max_tokens=max_tokens)

    async def _warm(self) -> None:
        """As many requests at once as there are slots take one slot each."""
        slots = range(self._settings.detected_parallel)
        readings = (self._read(self._openings[slot % len(self._openings)]) for slot in slots)
        for failure in await asyncio.gather(*readings, return_exceptions=True):
            if isinstance(failure, KefuError):  # only the first answers are slower for it
                log.warning("llama_not_warmed", error=str(failure))
            elif isinstance(failure, BaseException):
                raise failure

    async def _read(self, opening: Prompt) -> None:
        async with aclosing(self._stream_once(opening, 1)) as pieces:
            async for _ in pieces:
                pass


async def _dies(run: LlamaRun) -> bool:
    try:
        async with asyncio.timeout(DEATH_SECONDS):
            await run.exited.wait()
    except TimeoutError:
        return False
    return True
