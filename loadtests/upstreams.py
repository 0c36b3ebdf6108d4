"""Several generators: who stays where, what the pool costs, how long a death is felt.

    python -m loadtests.upstreams --model FILE.gguf [--rounds 30] [--kills 5] [--json]

Starts three real llama.cpp servers with the model. `moved`: share of 10,000 customers whose server
changes when one of three goes, or a fourth comes (fair: a third, a quarter). `wall_ms`, `cpu_ms`:
what an answer of one token takes, and how much more through the pool than through the client alone:
medians of rounds in turns, both at the same server; `noise` is the same between two halves of the
client's rounds. `felt_seconds`: from kill -9 of a customer's own server to the first word from
another; `back_seconds`: from its first answer after that to the customer's first answer by it
(least, median, most).
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from contextlib import AsyncExitStack, aclosing
from pathlib import Path

from tests.e2e.desk_process import free_port
from tests.inference.generator.conftest import eventually
from tests.inference.generator.llama_server import LlamaServer

from kefu.inference.generator.affinity import score
from kefu.inference.generator.openai_client import OpenAICompatible
from kefu.inference.generator.pool import UpstreamPool
from kefu.inference.generator.protocol import Generator, Prompt
from kefu.inference.generator.upstream import Upstream
from kefu.settings import GeneratorSettings, LogSettings
from kefu.telemetry import Metrics, configure_logging

CUSTOMERS = 10_000
ANSWERS_PER_ROUND = 50
PROMPT = Prompt(text="从前有座山，山里有座庙，")


def moved(before: int, after: int) -> float:
    """Share of the customers whose server is another one then."""

    def owner(uid: str, count: int) -> int:
        return max(range(count), key=lambda number: score(uid, f"gpu-{number}:8000", 1.0))

    uids = [f"customer-{number}" for number in range(CUSTOMERS)]
    return sum(owner(uid, before) != owner(uid, after) for uid in uids) / CUSTOMERS


async def first_word(generator: Generator, uid: str, tokens: int = 1) -> float:
    """Seconds until there is a word; the whole answer is read."""
    begun, first = time.perf_counter(), 0.0
    async with aclosing(generator.stream(PROMPT, max_tokens=tokens, session=uid)) as pieces:
        async for _ in pieces:
            first = first or time.perf_counter() - begun
    return first


async def one_round(generator: Generator, uid: str) -> tuple[float, float]:
    """Milliseconds of an answer (median) and of this process's processor time for one (mean)."""
    seconds, cpu = [], time.process_time()
    for _ in range(ANSWERS_PER_ROUND):
        begun = time.perf_counter()
        await first_word(generator, uid)
        seconds.append(time.perf_counter() - begun)
    cpu = (time.process_time() - cpu) / ANSWERS_PER_ROUND
    return 1000 * statistics.median(seconds), 1000 * cpu


async def overhead(
    pool: UpstreamPool, bare: Generator, uid: str, rounds: int
) -> dict[str, dict[str, float]]:
    alone, pooled = [], []
    for _ in range(rounds):
        alone.append(await one_round(bare, uid))
        pooled.append(await one_round(pool, uid))
    figures = {}
    for index, name in enumerate(("wall_ms", "cpu_ms")):
        a, b = ([figure[index] for figure in side] for side in (alone, pooled))
        figures[name] = {
            "bare": statistics.median(a),
            "pool adds": statistics.median(y - x for x, y in zip(a, b, strict=True)),
            "noise": abs(statistics.median(a[::2]) - statistics.median(a[1::2])),
        }
    return figures


async def kill_once(pool: UpstreamPool, server: LlamaServer, uid: str) -> tuple[float, float]:
    own = pool.rank(uid)[0]
    await first_word(pool, uid)
    killed = time.perf_counter()
    server.kill()
    await first_word(pool, uid)
    felt = time.perf_counter() - killed
    await eventually(lambda: not own.is_up, 30)
    await server.start()
    return felt, await eventually(lambda: is_written_by(pool, own, uid), 30)


async def is_written_by(pool: UpstreamPool, own: Upstream, uid: str) -> bool:
    async with aclosing(pool.stream(PROMPT, max_tokens=1, session=uid)) as pieces:
        async for _ in pieces:
            return bool(own.open)
    return False


async def measure(given: argparse.Namespace) -> dict[str, object]:
    figures: dict[str, object] = {
        "moved": {"one of 3 goes": moved(3, 2), "a 4th comes": moved(3, 4)}
    }
    async with AsyncExitStack() as stack:
        servers = [LlamaServer(given.model, free_port()) for _ in range(3)]
        for server in servers:
            stack.callback(server.kill)
        await asyncio.gather(*(server.start() for server in servers))
        metrics = Metrics()
        settings = GeneratorSettings(upstreams=tuple(server.upstream for server in servers))
        pool = UpstreamPool(settings, metrics)
        stack.push_async_callback(pool.aclose)
        pool.start()
        uids = (f"uid-{number}" for number in range(1000))
        uid = next(uid for uid in uids if servers[0].url.endswith(pool.rank(uid)[0].name))
        bare = OpenAICompatible(servers[0].url, metrics=metrics, model="test")
        stack.push_async_callback(bare.aclose)
        figures |= await overhead(pool, bare, uid, given.rounds)
        kills = [await kill_once(pool, servers[0], uid) for _ in range(given.kills)]
        for name, seconds in zip(
            ("felt_seconds", "back_seconds"), zip(*kills, strict=True), strict=True
        ):
            figures[name] = [min(seconds), statistics.median(seconds), max(seconds)]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--kills", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    configure_logging(LogSettings(level="error"))
    figures = asyncio.run(measure(given))
    if given.json:
        print(json.dumps(figures))
    else:
        for name, value in figures.items():
            print(f"{name:14}", value)


if __name__ == "__main__":
    main()
