import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from pathlib import Path

import httpx
import pytest

from kefu.inference.generator.embedded import EmbeddedGenerator
from kefu.inference.generator.protocol import Generator, Piece, Prompt
from kefu.settings import GeneratorSettings
from kefu.telemetry import Metrics

from .tiny_gguf import write_tiny_gguf
from .upstream import Exchange, Upstream

REAL_MODEL = "gemma-3-270m-kefu"

tiny_and_real = pytest.mark.parametrize(
    "gguf_path", ["tiny", pytest.param("real", marks=pytest.mark.models)], indirect=True
)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def upstream() -> AsyncIterator[Callable[..., Awaitable[Upstream]]]:
    """Starts a scripted server: `await upstream(exchange, exchange)`."""
    opened: list[tuple[asyncio.Server, Upstream]] = []

    async def start(*exchanges: Exchange, keep_alive: bool = False) -> Upstream:
        scripted = Upstream(list(exchanges), keep_alive=keep_alive)
        server = await asyncio.start_server(scripted.serve, "127.0.0.1", 0)
        scripted.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        opened.append((server, scripted))
        return scripted

    yield start
    for server, scripted in opened:
        server.close()
        await scripted.close()
        await server.wait_closed()


@pytest.fixture(scope="session")
def tiny_gguf(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_gguf(tmp_path_factory.mktemp("tiny") / "tiny.gguf")


@pytest.fixture(scope="session")
def real_gguf(models_dir: Path) -> Path:
    found = sorted((models_dir / REAL_MODEL).glob("*.gguf"))
    if not found:
        pytest.fail(f"No model in {models_dir}: `make test` fetches it, or `kefu models pull`.")
    return found[0]


@pytest.fixture
def gguf_path(request: pytest.FixtureRequest) -> Path:
    """The tiny model; `tiny_and_real` runs a test with both."""
    return request.getfixturevalue(f"{getattr(request, 'param', 'tiny')}_gguf")


@pytest.fixture
def settings() -> GeneratorSettings:
    """A context long enough that no test sees an answer end by itself."""
    return GeneratorSettings(n_parallel=2, threads=1, chat_context_tokens=8192)


@pytest.fixture
async def embedded(
    gguf_path: Path, settings: GeneratorSettings, metrics: Metrics
) -> AsyncIterator[EmbeddedGenerator]:
    generator = EmbeddedGenerator(gguf_path, settings, metrics)
    await generator.start()
    yield generator
    await generator.aclose()


async def write(
    generator: Generator,
    prompt: Prompt | str = "x",
    *,
    max_tokens: int = 16,
    heard: list[Piece] | None = None,
) -> list[Piece]:
    """The whole answer; `heard` holds the pieces also where it ends in an error."""
    asked = Prompt(text=prompt) if isinstance(prompt, str) else prompt
    heard = [] if heard is None else heard
    async with aclosing(generator.stream(asked, max_tokens=max_tokens)) as pieces:
        async for piece in pieces:
            heard.append(piece)
    return heard


async def eventually(condition: Callable[[], object], within_seconds: float) -> float:
    """Wait until `condition()` (which may be async) is true; seconds it took."""
    begun = time.monotonic()
    while True:
        met = condition()
        if asyncio.iscoroutine(met):
            met = await met
        seconds = time.monotonic() - begun
        if met:
            return seconds
        assert seconds < within_seconds, f"not so within {within_seconds} s"
        await asyncio.sleep(0.005)


async def slots_in_use(generator: EmbeddedGenerator) -> int:
    """What llama.cpp itself says it is doing."""
    run = generator.process.run
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        answer = await client.get(
            run.base_url + "/slots",
            headers={"Authorization": f"Bearer {run.api_key}", "Connection": "close"},
            timeout=30,
        )
    return sum(slot["is_processing"] for slot in json.loads(answer.content))
