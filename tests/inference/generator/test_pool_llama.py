"""A pool on real llama.cpp servers: three processes, which are killed and come back."""

import asyncio
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing

import httpx
import psutil
import pytest

from kefu.errors import GeneratorUnavailable
from kefu.inference.generator.pool import UpstreamPool
from kefu.inference.generator.protocol import Piece, Prompt
from kefu.inference.generator.upstream import Upstream
from kefu.settings import GeneratorSettings
from kefu.telemetry import Metrics
from tests.e2e.desk_process import free_port

from .conftest import eventually, tiny_and_real
from .llama_server import LlamaServer

STORY = "从前有座山，山里有座庙，"
LONG = 3000

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="kill -9")


@pytest.fixture
async def servers(gguf_path) -> AsyncIterator[list[LlamaServer]]:
    started = [LlamaServer(gguf_path, free_port()) for _ in range(3)]
    try:
        await asyncio.gather(*(server.start() for server in started))
        yield started
    finally:
        for server in started:
            server.kill()


@pytest.fixture
async def pool(servers, metrics) -> AsyncIterator[UpstreamPool]:
    settings = GeneratorSettings(upstreams=tuple(server.upstream for server in servers))
    pool = UpstreamPool(settings, metrics)
    pool.start()
    yield pool
    await pool.aclose()


async def write(
    pool: UpstreamPool, uid: str, text: str = STORY, tokens: int = 8, heard: list | None = None
) -> list[Piece]:
    heard = [] if heard is None else heard
    answer = pool.stream(Prompt(text=text), max_tokens=tokens, session=uid)
    async with aclosing(answer) as pieces:
        async for piece in pieces:
            heard.append(piece)
    return heard


def customers_of(pool: UpstreamPool, server: LlamaServer, count: int) -> list[str]:
    uids = (f"uid-{number}" for number in range(10_000))
    found = (uid for uid in uids if server.url.endswith(pool.rank(uid)[0].name))
    return [next(found) for _ in range(count)]


async def slots_in_use(server: LlamaServer) -> int:
    async with httpx.AsyncClient(trust_env=False, verify=False) as client:
        slots = (await client.get(f"{server.url}/slots", timeout=30)).json()
    return sum(slot["is_processing"] for slot in slots)


def is_connected_to(server: LlamaServer) -> bool:
    port = int(server.url.rpartition(":")[2])
    ours = psutil.Process().net_connections("tcp")
    return any(one.raddr and one.raddr.port == port and one.status == "ESTABLISHED" for one in ours)


async def none_in_use(server: LlamaServer) -> bool:
    return not await slots_in_use(server)


def answered(metrics: Metrics, one: Upstream) -> float:
    labels = {"upstream": one.name, "outcome": "answered"}
    return metrics.registry.get_sample_value("kefu_upstream_requests_total", labels) or 0


@tiny_and_real
async def test_a_customer_comes_back_to_what_was_read(pool, servers):
    """Two at each server, with a prompt of their own; the second time only its end is new."""
    uids = [uid for server in servers for uid in customers_of(pool, server, 2)]
    prompts = {uid: f"{uid}，" + "我们的年，他到中国大地。" * 10 for uid in uids}
    for uid in uids:
        await write(pool, uid, prompts[uid])
    for uid in uids:
        usage = (await write(pool, uid, prompts[uid]))[-1].usage
        assert usage.cached_tokens > 0.8 * usage.prompt_tokens


@tiny_and_real
async def test_killed_while_it_writes_only_its_own_answers_end(pool, servers):
    heard = [[] for _ in servers]
    answers = [
        asyncio.create_task(
            write(pool, customers_of(pool, server, 1)[0], tokens=LONG, heard=heard[number])
        )
        for number, server in enumerate(servers)
    ]
    await eventually(lambda: all(heard), 30)

    servers[0].kill()
    with pytest.raises(GeneratorUnavailable):
        await answers[0]
    before = [len(pieces) for pieces in heard[1:]]
    await eventually(lambda: all(len(h) > b for h, b in zip(heard[1:], before, strict=True)), 30)
    assert not any(answer.done() for answer in answers[1:])
    for answer in answers[1:]:
        answer.cancel()
    await asyncio.gather(*answers, return_exceptions=True)


@tiny_and_real
async def test_killed_before_the_first_token_another_answers(pool, servers):
    """The server stands still, so that no token can come; then it is killed."""
    servers[0].signal(signal.SIGSTOP)
    (uid,) = customers_of(pool, servers[0], 1)
    heard: list[Piece] = []
    answer = asyncio.create_task(write(pool, uid, heard=heard))
    await eventually(lambda: pool.rank(uid)[0].open and is_connected_to(servers[0]), 10)
    assert not heard

    servers[0].kill()
    assert (await answer)[-1].finish_reason in ("stop", "length")


async def test_it_comes_back_and_is_used_again(pool, servers, metrics):
    (uid,) = customers_of(pool, servers[0], 1)
    own = pool.rank(uid)[0]
    servers[0].kill()
    await eventually(lambda: not own.is_up, 30)
    for _ in range(5):
        await write(pool, uid)

    await servers[0].start()
    await eventually(lambda: own.is_up, 30)
    before = answered(metrics, own)
    await write(pool, uid)
    assert answered(metrics, own) == before + 1


async def test_a_server_never_gets_more_than_it_may(servers, metrics):
    limited = tuple(one.upstream.model_copy(update={"max_open": 1}) for one in servers)
    pool = UpstreamPool(GeneratorSettings(upstreams=limited), metrics)
    uids = customers_of(pool, servers[0], 6)
    answers = [asyncio.create_task(write(pool, uid, tokens=200)) for uid in uids]
    most = 0
    while not all(answer.done() for answer in answers):
        most = max([most, *(await asyncio.gather(*map(slots_in_use, servers)))])
    assert most == 1
    assert all(answer.result()[-1].finish_reason for answer in answers)
    await pool.aclose()


async def test_who_leaves_frees_the_slot(pool, servers):
    (uid,) = customers_of(pool, servers[1], 1)
    heard: list[Piece] = []
    answer = asyncio.create_task(write(pool, uid, tokens=LONG, heard=heard))
    await eventually(lambda: heard, 30)
    answer.cancel()
    await asyncio.gather(answer, return_exceptions=True)

    await eventually(lambda: none_in_use(servers[1]), 10)
    assert all(one.open == 0 for one in pool.upstreams)
