"""Opens the models that the settings name: the encoder here, the generator in a child or away."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Literal

from kefu.inference.encoder.onnx import OnnxEncoder
from kefu.inference.encoder.protocol import SentenceEncoder
from kefu.inference.generator.admission import Admission
from kefu.inference.generator.embedded import EmbeddedGenerator
from kefu.inference.generator.openai_client import OpenAICompatible
from kefu.inference.generator.protocol import Generator
from kefu.inference.models.resolve import (
    LocalGguf,
    RemoteServer,
    resolve_encoder,
    resolve_generator,
)
from kefu.settings import Settings
from kefu.telemetry import Metrics


@dataclass(frozen=True)
class Models:
    """What a desk thinks with. `prompt_style` is what the generator was trained to read."""

    encoder: SentenceEncoder
    generator: Generator
    prompt_style: Literal["completion", "chat"]


async def open_models(settings: Settings, metrics: Metrics, stack: AsyncExitStack) -> Models:
    """Load both at once; the stack closes them. Raises `ModelError` or `GeneratorUnavailable`."""
    encoder_file = resolve_encoder(settings).path
    found = resolve_generator(settings)
    encoder, generator = await asyncio.gather(
        asyncio.to_thread(OnnxEncoder, encoder_file, settings.encoder.threads),
        _open_generator(found, settings, metrics, stack),
    )
    return Models(encoder, generator, found.prompt)


async def _open_generator(
    found: LocalGguf | RemoteServer, settings: Settings, metrics: Metrics, stack: AsyncExitStack
) -> Generator:
    chosen = settings.generator
    inner: EmbeddedGenerator | OpenAICompatible
    if isinstance(found, LocalGguf):
        inner = EmbeddedGenerator(found.path, chosen, metrics)
        stack.push_async_callback(inner.aclose)
        await inner.start()
    else:
        inner = OpenAICompatible(
            found.url,
            metrics=metrics,
            api_key=chosen.api_key,
            model=chosen.upstream_model,
            temperature=chosen.temperature,
            idle_seconds=chosen.idle_seconds,
        )
        stack.push_async_callback(inner.aclose)
    return Admission(
        inner,
        places=chosen.detected_parallel,
        max_waiting=chosen.max_waiting,
        wait_seconds=chosen.wait_seconds,
        metrics=metrics,
    )
