"""What one customer waits for, and what the desk weighs.

    python -m loadtests.latency [--json]

One client on a keep-alive connection: known questions (p50, p95, p99), the first streamed token of
answers that are written (p50, idle desk), `kefu serve` to ready (median), memory after that load.
Needs the models that `make test` fetches. Nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import psutil
from loadtests.crash import import_disputed, known_questions
from tests.e2e.desk_process import DeskProcess
from tests.e2e.folders import DISPUTED_QUESTIONS, link_models

from kefu.settings import default_data_dir

SEED = 7
WARM_UP = 20
MIB = 2**20


@dataclass(frozen=True)
class Memory:
    """Of one process, in MiB. RSS counts pages that are shared in every process that has them."""

    rss: float
    pss: float | None
    uss: float


@dataclass(frozen=True)
class Figures:
    """Times in milliseconds but for `ready_seconds`."""

    faq_requests: int
    faq_p50: float
    faq_p95: float
    faq_p99: float
    faq_desk_p50: float
    written_requests: int
    first_token_p50: float
    first_token_p95: float
    written_p50: float
    tokens_per_second: float | None
    ready_seconds: float
    first_ready_seconds: float
    desk_memory: Memory
    llama_memory: Memory


def measure(desk: DeskProcess, faq_requests: int, written_requests: int, starts: int) -> Figures:
    first_ready = _ready_seconds(desk)
    import_disputed(desk)
    ready = []
    for _ in range(starts):
        desk.stop()
        ready.append(_ready_seconds(desk))
    with desk.client() as client:
        dice = random.Random(SEED)
        faq = _ask_known(client, dice.sample(known_questions(), faq_requests + WARM_UP))
        disputed = dice.sample(DISPUTED_QUESTIONS, len(DISPUTED_QUESTIONS))
        asked = (_stream_one(client, question) for question in disputed)
        written = list(islice(filter(None, asked), written_requests))
    firsts, wholes = zip(*written, strict=True)
    llama = desk.wait_llama()
    return Figures(
        faq_requests=faq_requests,
        faq_p50=_percentile([whole for whole, _ in faq], 50),
        faq_p95=_percentile([whole for whole, _ in faq], 95),
        faq_p99=_percentile([whole for whole, _ in faq], 99),
        faq_desk_p50=_percentile([inside for _, inside in faq], 50),
        written_requests=len(firsts),
        first_token_p50=_percentile(firsts, 50),
        first_token_p95=_percentile(firsts, 95),
        written_p50=_percentile(wholes, 50),
        tokens_per_second=_tokens_per_second(desk),
        ready_seconds=round(statistics.median(ready), 2),
        first_ready_seconds=round(first_ready, 2),
        desk_memory=_memory(psutil.Process(desk.pid)),
        llama_memory=_memory(llama),
    )


def _ready_seconds(desk: DeskProcess) -> float:
    begun = time.monotonic()
    desk.start()
    return time.monotonic() - begun


def _ask_known(client: httpx.Client, questions: Sequence[str]) -> list[tuple[float, float]]:
    """Milliseconds as the client sees them, and as the desk says. Without the warm-up, and without
    the few questions that two entries share, which are not answered word for word."""
    times = []
    for number, question in enumerate(questions):
        begun = time.perf_counter()
        reply = client.post("/chat", json={"uid": f"faq-{number}", "message": question}).json()
        whole = (time.perf_counter() - begun) * 1000
        if number >= WARM_UP and "generate" not in reply["timings_ms"]:
            times.append((whole, reply["timings_ms"]["total"]))
    return times


def _stream_one(client: httpx.Client, question: str) -> tuple[float, float] | None:
    """Milliseconds to the first `delta` and to `done`; None when what was written is not used, and
    a passage was quoted instead."""
    body = {"uid": f"written-{question}", "message": question, "stream": True}
    begun = time.perf_counter()
    first, name, done = 0.0, "", {}
    with client.stream("POST", "/chat", json=body) as response:
        for line in response.iter_lines():
            if line.startswith("event: "):
                name = line.removeprefix("event: ")
                first = first or (time.perf_counter() - begun) * 1000
            elif line.startswith("data: ") and name == "done":
                done = json.loads(line.removeprefix("data: "))
    whole = (time.perf_counter() - begun) * 1000
    return (first, whole) if done.get("source") == "model" else None


def _tokens_per_second(desk: DeskProcess) -> float | None:
    count = desk.metric("kefu_generator_tokens_per_second_count")
    total = desk.metric("kefu_generator_tokens_per_second_sum")
    return round(total / count, 1) if count else None


def _memory(process: psutil.Process) -> Memory:
    full = process.memory_full_info()
    pss = getattr(full, "pss", None)
    return Memory(
        round(full.rss / MIB), None if pss is None else round(pss / MIB), round(full.uss / MIB)
    )


def _percentile(values: Sequence[float], percent: int) -> float:
    ordered = sorted(values)
    return round(ordered[min(len(ordered) - 1, len(ordered) * percent // 100)], 2)


def _table(figures: Figures) -> str:
    rows: list[tuple[str, Any]] = []
    for name, value in asdict(figures).items():
        if isinstance(value, dict):
            rows.append((f"{name}_mib", "  ".join(f"{k} {v}" for k, v in value.items())))
        else:
            rows.append((name, value))
    return "\n".join(f"{name:22} {value}" for name, value in rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--faq", type=int, default=500, help="known questions asked")
    parser.add_argument("--written", type=int, default=30, help="questions that must be written")
    parser.add_argument("--starts", type=int, default=3)
    parser.add_argument("--models", type=Path, default=default_data_dir() / "models")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with suppress(AttributeError):
        load = psutil.getloadavg()[0]
        print(f"load of this machine before: {load:.1f}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        desk = DeskProcess(link_models(Path(folder) / "data", chosen.models), settings={})
        try:
            figures = measure(desk, chosen.faq, chosen.written, chosen.starts)
        finally:
            desk.close()
    print(json.dumps(asdict(figures), indent=2) if chosen.json else _table(figures))


if __name__ == "__main__":
    main()
