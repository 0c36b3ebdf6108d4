"""What kefu's generator costs over a bare llama.cpp server, and what vocabulary pruning brings.

    python loadtests/generation.py --model pruned=PATH.gguf --model full=PATH.gguf --json out.json

Both sides run llama.cpp with the same parameters in a child process of their own. `bare` is that
server at normal priority, read by a client that only counts lines; `kefu` is `EmbeddedGenerator`
behind `Admission`, at the lower priority it has in the desk. They take turns within one run, and
every figure is the median over the rounds. Client and server share the machine's cores.

tokens/s: tokens written by all streams over the time from the first request to the last token,
reading the prompts included. A measurement during which other programs took more than
a tenth of a core is repeated, up to 30 times: llama.cpp's threads wait for each other, so a
little company costs much. first token: of a prompt whose opening is in the cache, as it is
from the second answer of a desk on.
"""

import argparse
import asyncio
import json
import os
import statistics
import sys
import time
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path

import httpx
import psutil

from kefu.inference.generator.admission import Admission
from kefu.inference.generator.embedded import EmbeddedGenerator
from kefu.inference.generator.llama_run import LlamaRun
from kefu.inference.generator.protocol import Prompt
from kefu.settings import GeneratorSettings, LogSettings
from kefu.telemetry import Metrics, configure_logging

OPENING = (
    "下面是客服和顾客的对话。客服只根据资料回答，资料里没有的就说不知道。\n\n"
    "资料：本店营业时间为早上九点到晚上九点，周末不休息。\n顾客：你们周末开门吗？\n"
    "客服：开门的，周末也是早上九点到晚上九点。\n\n"
    "资料：退货需在签收后七天内提出，商品不影响二次销售，运费由买家承担。\n顾客：运费谁出？\n"
    "客服：退货的运费由买家承担。\n\n"
    "资料：满九十九元包邮，新疆、西藏除外。\n顾客：你们卖手机吗？\n客服：资料里没有，我不知道。\n\n"
)
PASSAGES = (
    "会员积分每消费一元得一分，一百分抵一元，年底清零",
    "发票在订单完成后三十天内可以申请，电子发票发到邮箱",
    "保修期为一年，人为损坏不在保修范围内，需要自费维修",
    "订单在付款后四十八小时内发货，节假日顺延，可以催单",
)

PATIENCE = 30
MOST_COMPANY = 0.1


@dataclass
class Heard:
    tokens: int
    first_seconds: float
    server_tokens_per_second: float


@dataclass
class Side:
    """Figures of one side at one number of streams, an entry a round."""

    tokens_per_second: list[float] = field(default_factory=list)
    first_ms: list[float] = field(default_factory=list)
    client_cpu_ms_per_token: list[float] = field(default_factory=list)
    disturbed: int = 0


class Bare:
    """A llama.cpp server and the plainest client that can count tokens."""

    def __init__(self, run: LlamaRun, client: httpx.AsyncClient) -> None:
        self._run = run
        self._client = client

    async def write(self, text: str, max_tokens: int) -> Heard:
        body = {"prompt": text, "max_tokens": max_tokens, "temperature": 0, "stream": True}
        begun, first, last = time.perf_counter(), 0.0, b""
        async with self._client.stream(
            "POST",
            f"{self._run.base_url}/v1/completions",
            json=body,
            headers={"Authorization": f"Bearer {self._run.api_key}", "Connection": "close"},
        ) as response:
            async for chunk in response.aiter_raw():
                first = first or time.perf_counter() - begun
                last = last[-2000:] + chunk
        told = [line for line in last.split(b"\n") if b'"timings"' in line][-1]
        timings = json.loads(told.removeprefix(b"data: "))["timings"]
        return Heard(timings["predicted_n"], first, timings["predicted_per_second"])


class Kefu:
    """The generator as the desk uses it."""

    def __init__(self, generator: Admission) -> None:
        self._generator = generator

    async def write(self, text: str, max_tokens: int) -> Heard:
        begun, first, usage = time.perf_counter(), 0.0, None
        stream = self._generator.stream(Prompt(text=text), max_tokens=max_tokens)
        async with aclosing(stream) as pieces:
            async for piece in pieces:
                first = first or time.perf_counter() - begun
                usage = piece.usage or usage
        return Heard(usage.completion_tokens, first, usage.tokens_per_second)


async def main() -> None:
    args = parse()
    configure_logging(LogSettings(level="warning"))
    models = [model.partition("=")[::2] for model in args.model]
    results = {}
    async with AsyncExitStack() as stack:
        sides = {}
        for name, path in models:
            sides[name, "bare"] = await open_bare(stack, Path(path), args)
            sides[name, "kefu"] = await open_kefu(stack, Path(path), args)
        for streams in args.streams:
            for key in sides:
                results[(*key, streams)] = Side()
        for number in range(-1, args.rounds):  # round -1 fills caches and is not counted
            for streams in args.streams:
                for key in order(list(sides), number):
                    side = results[(*key, streams)] if number >= 0 else Side()
                    await measure(sides[key], side, number, streams, args.tokens)
    report(results, args)


def order(keys: list, number: int) -> list:
    """Every other round backwards, so that no side always comes first."""
    return keys if number % 2 else keys[::-1]


async def open_bare(stack: AsyncExitStack, path: Path, args: argparse.Namespace) -> Bare:
    run = await LlamaRun.start(path, settings(args, niceness=0))
    stack.push_async_callback(run.stop)
    client = httpx.AsyncClient(trust_env=False, verify=False, timeout=120)
    return Bare(run, await stack.enter_async_context(client))


async def open_kefu(stack: AsyncExitStack, path: Path, args: argparse.Namespace) -> Kefu:
    given = settings(args, niceness=args.niceness)
    metrics = Metrics()
    generator = EmbeddedGenerator(path, given, metrics)
    await generator.start()
    stack.push_async_callback(generator.aclose)
    return Kefu(
        Admission(
            generator,
            places=given.detected_parallel,
            max_waiting=given.max_waiting,
            wait_seconds=given.wait_seconds,
            metrics=metrics,
        )
    )


def settings(args: argparse.Namespace, *, niceness: int) -> GeneratorSettings:
    return GeneratorSettings(n_parallel=max(args.streams), threads=args.threads, niceness=niceness)


async def measure(source: Bare | Kefu, side: Side, number: int, streams: int, tokens: int) -> None:
    """One measurement, without other people's load if that can be had."""
    for attempt in range(PATIENCE):
        texts = [prompt(f"{number}甲{attempt}", stream) for stream in range(streams)]
        ours, all_busy = own_cpu_seconds(), busy_cpu_seconds()
        cpu, begun = time.process_time(), time.perf_counter()
        heard = await asyncio.gather(*(source.write(text, tokens) for text in texts))
        seconds, cpu = time.perf_counter() - begun, time.process_time() - cpu
        others = (busy_cpu_seconds() - all_busy - own_cpu_seconds() + ours) / seconds
        if others < MOST_COMPANY or number < 0:
            break
        await asyncio.sleep(1)  # let them finish
    else:
        side.disturbed += 1
    written = sum(answer.tokens for answer in heard)
    side.tokens_per_second.append(written / seconds)
    side.first_ms.append(statistics.median(answer.first_seconds for answer in heard) * 1000)
    side.client_cpu_ms_per_token.append(cpu / written * 1000)
    name = type(source).__name__.lower()
    print(f"round {number}: {name} {streams}: {written} tokens in {seconds:.2f} s", file=sys.stderr)


def busy_cpu_seconds() -> float:
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0)


def own_cpu_seconds() -> float:
    me = psutil.Process()
    return sum(sum(process.cpu_times()[:2]) for process in (me, *me.children(recursive=True)))


def prompt(number: str, stream: int) -> str:
    """New to the cache after its opening. A story, because it does not end early."""
    passage = PASSAGES[stream % len(PASSAGES)]
    return f"{OPENING}资料{number}之{stream}：{passage}。\n顾客：请详细说说。\n客服：从前，"


def report(results: dict, args: argparse.Namespace) -> None:
    rows = []
    for (model, side, streams), figures in results.items():
        row = {"model": model, "side": side, "streams": streams}
        row["tokens_per_second"] = round(statistics.median(figures.tokens_per_second), 1)
        row["first_token_ms"] = round(statistics.median(figures.first_ms), 1)
        row["client_cpu_ms_per_token"] = round(
            statistics.median(figures.client_cpu_ms_per_token), 3
        )
        row["disturbed_rounds"] = figures.disturbed
        rows.append(row)
    for row in rows:
        bare = next(
            r
            for r in rows
            if (r["model"], r["streams"], r["side"]) == (row["model"], row["streams"], "bare")
        )
        row["of_bare"] = round(row["tokens_per_second"] / bare["tokens_per_second"], 3)
    told = {
        "rounds": args.rounds,
        "tokens": args.tokens,
        "cpus": os.cpu_count(),
        "load_average": os.getloadavg()[0],
        "results": rows,
    }
    if args.json:
        Path(args.json).write_text(json.dumps(told, indent=2) + "\n")
    disturbed = sum(row["disturbed_rounds"] for row in rows)
    print(f"{disturbed} measurements were disturbed by other programs")
    print(f"medians of {args.rounds} rounds, {args.tokens} tokens, load {told['load_average']:.1f}")
    print(
        f"{'model':10}{'side':6}{'streams':>8}{'tokens/s':>10}{'of bare':>9}{'first ms':>10}{'cpu ms':>8}"
    )
    for row in sorted(rows, key=lambda row: (row["model"], row["streams"], row["side"])):
        print(
            f"{row['model']:10}{row['side']:6}{row['streams']:10}{row['tokens_per_second']:10.1f}"
            f"{row['of_bare']:10.1%}{row['first_token_ms']:10.1f}"
            f"{row['client_cpu_ms_per_token']:10.3f}"
        )


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--model", action="append", required=True, metavar="NAME=PATH")
    parser.add_argument("--streams", type=int, nargs="+", default=[1, 4])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--tokens", type=int, default=96)
    parser.add_argument("--threads", type=int, default=0, help="0 detects, as the desk does")
    parser.add_argument("--niceness", type=int, default=GeneratorSettings().niceness)
    parser.add_argument("--json", metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    asyncio.run(main())
