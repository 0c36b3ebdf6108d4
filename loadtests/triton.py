"""The sentence encoder in process and on a real Triton server on this machine, in one run.

    python -m loadtests.triton [--instances 1] [--delay-us 0] [--json]

The first table: one caller, the ways in turns; medians. The second: several callers at once, and
how many sentences the server put into a run. The server is that of the tests (tests/triton.py).
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path

import httpx
from tests.triton import TritonServer, started_triton

from kefu.inference.encoder.opening import open_encoder
from kefu.inference.encoder.protocol import SentenceEncoder
from kefu.inference.encoder.triton.repository import export
from kefu.inference.models.resolve import resolve_encoder
from kefu.settings import load_settings

TEXTS = (
    "你好，我想问一下，昨天买的帐篷可以退货吗？",
    "How do I get an invoice for my order?",
    "运费多少",
    "快递到哪里了，怎么还没有到",
)
BATCHES, CALLERS = (1, 32), (1, 2, 4, 8)
ROUNDS = {1: 400, 32: 80}


@dataclass(frozen=True)
class Row:
    """`per_run`: sentences in a run of the server, where it was asked."""

    way: str
    batch: int
    callers: int
    median_ms: float
    sentences_per_second: float
    per_run: float | None = None


def alone(encoders: Mapping[str, SentenceEncoder], batch: int) -> list[Row]:
    times: dict[str, list[float]] = {way: [] for way in encoders}
    for number in range(ROUNDS[batch]):
        for way, encoder in encoders.items():
            times[way].append(timed(encoder, number, batch))
    return [
        Row(way, batch, 1, median, batch * 1000 / median)
        for way, median in ((way, statistics.median(each)) for way, each in times.items())
    ]


def together(way: str, encoder: SentenceEncoder, batch: int, callers: int, stats: str) -> Row:
    sentences, runs = counted(stats)
    rounds, begin = ROUNDS[batch], time.perf_counter()
    with ThreadPoolExecutor(callers) as pool:
        times = list(pool.map(lambda number: timed(encoder, number, batch), range(rounds)))
    seconds = time.perf_counter() - begin
    sentences_now, runs_now = counted(stats)
    per_run = (sentences_now - sentences) / (runs_now - runs)
    return Row(way, batch, callers, statistics.median(times), rounds * batch / seconds, per_run)


def timed(encoder: SentenceEncoder, number: int, batch: int) -> float:
    """Milliseconds."""
    texts = [TEXTS[(number + row) % len(TEXTS)] for row in range(batch)]
    begin = time.perf_counter()
    encoder.encode(texts)
    return (time.perf_counter() - begin) * 1000


def counted(stats: str) -> tuple[int, int]:
    (model,) = httpx.get(stats, trust_env=False).json()["model_stats"]
    return model["inference_count"], model["execution_count"]


def measure(server: TritonServer, model: str) -> list[Row]:
    encoders = {
        "in process": open_encoder(load_settings()),
        **{
            way: open_encoder(load_settings({"encoder": {"url": server.url(way)}}))
            for way in ("http", "grpc")
        },
    }
    stats = f"{server.url('http')}/v2/models/{model}/stats"
    rows = [row for batch in BATCHES for row in alone(encoders, batch)]
    for way, batch, callers in product(("http", "grpc"), BATCHES, CALLERS):
        rows.append(together(way, encoders[way], batch, callers, stats))
    return rows


def show(rows: Sequence[Row]) -> None:
    for row in rows:
        per_run = f", {row.per_run:4.1f} in a run" if row.per_run else ""
        print(
            f"{row.way:10}  {row.batch:2} a request, {row.callers} at once: "
            f"{row.median_ms:7.2f} ms, {row.sentences_per_second:6,.0f} sentences/s{per_run}"
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--instances", type=int, default=1)
    parser.add_argument("--delay-us", type=int, default=0, help="max_queue_delay_microseconds")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kefu-triton-") as folder:
        repository = Path(folder) / "repository"
        found = resolve_encoder(load_settings())
        made = export(found, repository, threads=1, instances=options.instances)
        config = made.folder / "config.pbtxt"
        delay = f"delay_microseconds: {options.delay_us}"
        text = config.read_text("utf-8").replace("delay_microseconds: 0", delay)
        config.write_text(text, "utf-8")
        with started_triton(repository, Path(folder)) as server:
            rows = measure(server, made.name)
    if options.json:
        print(json.dumps([asdict(row) for row in rows]))
    else:
        show(rows)


if __name__ == "__main__":
    main()
