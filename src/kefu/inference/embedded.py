"""Opens the models that the settings name: the encoder here or away, the generator in a child or away, in
one place or several."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from kefu.inference.encoder.opening import open_encoder
from kefu.inference.encoder.protocol import SentenceEncoder
from kefu.inference.encoder.triton.encoder import TritonEncoder
from kefu.inference.generator.admission import Admission
from kefu.inference.generator.embedded import EmbeddedGenerator
from kefu.inference.generator.openai_client import OpenAICompatible
from kefu.inference.generator.pool import UpstreamPool
from kefu.inference.generator.protocol import Generator, Prompt
from kefu.inference.models.resolve import (
    LocalGguf,
    PromptStyle,
    RemoteServer,
    RemoteServers,
    resolve_generator,
)
from kefu.settings import GeneratorSettings, Settings
from kefu.telemetry import Metrics


@dataclass(frozen=True)
class Models:
    """What a desk thinks with. `prompt_style` is what the generator was trained to read.

    `warm` has an embedded generator read ahead what prompts begin with.
    """

    encoder: SentenceEncoder
    generator: Generator
    prompt_style: PromptStyle
    warm: Callable[[Sequence[Prompt]], Awaitable[None]] | None = None


async def open_models(settings: Settings, metrics: Metrics, stack: AsyncExitStack) -> Models:
    """Load both at once; the stack closes them. Raises `ModelError` or `GeneratorUnavailable`."""
    found = resolve_generator(settings)
    encoder, generator = await asyncio.gather(
        _open_encoder(settings, stack),
        _open_generator(found, settings.generator, metrics, stack),
    )
    admitted = Admission(
        generator,
        places=settings.generator.places,
        max_waiting=settings.generator.max_waiting,
        wait_seconds=settings.generator.wait_seconds,
        metrics=metrics,
    )
    warm = generator.warm if isinstance(generator, EmbeddedGenerator) else None
    return Models(encoder, admitted, found.prompt, warm)


async def _open_encoder(settings: Settings, stack: AsyncExitStack) -> SentenceEncoder:
    encoder = await asyncio.to_thread(open_encoder, settings)
    if isinstance(encoder, TritonEncoder):
        stack.callback(encoder.close)
    return encoder


async def open_generator(
    settings: Settings, metrics: Metrics, stack: AsyncExitStack
) -> tuple[Generator, PromptStyle]:
    """The generator alone, and what it reads. Raises `ModelError` or `GeneratorUnavailable`."""
    found = resolve_generator(settings)
    return await _open_generator(found, settings.generator, metrics, stack), found.prompt


async def ask_upstreams(settings: GeneratorSettings) -> dict[str, str]:
    """`ok` or what is wrong, by name of each of `settings.upstreams`."""
    pool = UpstreamPool(settings, Metrics())
    try:
        return await pool.ask_all()
    finally:
        await pool.aclose()


async def _open_generator(
    found: LocalGguf | RemoteServer | RemoteServers,
    settings: GeneratorSettings,
    metrics: Metrics,
    stack: AsyncExitStack,
) -> EmbeddedGenerator | OpenAICompatible | UpstreamPool:
    if isinstance(found, LocalGguf):
        known = settings.model_copy(update={"prompt": found.prompt})
        embedded = EmbeddedGenerator(found.path, known, metrics)
        stack.push_async_callback(embedded.aclose)
        await embedded.start()
        return embedded
    if isinstance(found, RemoteServers):
        pool = UpstreamPool(settings, metrics)
        stack.push_async_callback(pool.aclose)
        pool.start()
        return pool
    remote = OpenAICompatible(
        found.url,
        metrics=metrics,
        api_key=settings.api_key,
        model=settings.upstream_model,
        temperature=settings.temperature,
        idle_seconds=settings.idle_seconds,
    )
    stack.push_async_callback(remote.aclose)
    return remote
