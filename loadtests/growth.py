"""What a message costs when the shop has grown: entries, listed words, customers, one long talk.

    python -m loadtests.growth [--only entries words customers talk] [--messages 300] [--json]

A new desk for each size, filled through the stores or the commands that operators use, then asked
`--messages` questions one after the other over one connection; no two are alike, none is written by
the generator. `first`: the first message after the start, which reads the customer's talk from the
transcript. `history`: one GET /chat/history. Memory is the desk's own, llama.cpp's apart.

Needs the models that `make test` fetches. 100,000 entries take some minutes to encode.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import psutil
from loadtests.knowledge import entries_of, import_all, questions_of
from loadtests.throughput import WRITES_NOTHING, rephrasings
from rich.console import Console
from rich.table import Table
from sqlalchemy import Connection
from tests.e2e.desk_process import DeskProcess, run_kefu
from tests.e2e.folders import link_models

from kefu.bench.machine import describe_machine
from kefu.bench.moderation import make_words
from kefu.conversations.transcript import Turn
from kefu.moderation.lexicon import starter_lexicon
from kefu.settings import default_data_dir
from kefu.stores.opening import open_database
from kefu.stores.transcript import save_turn

SIZES: Mapping[str, Sequence[int]] = {
    "entries": (1_000, 10_000, 100_000),
    "words": (1_000, 20_000, 200_000),
    "customers": (100, 10_000, 100_000),
    "talk": (10, 100, 1_000, 10_000),
}
UNITS = {"talk": "messages of one customer"}
MIB = 2**20
TURNS_A_WRITE = 5_000
# A start with many words or entries takes a while.
READY_SECONDS = 300
HISTORIES = 20


@dataclass(frozen=True)
class Shop:
    """Who asks what: `say` gives the next uid and message."""

    arguments: Sequence[str]
    say: Iterator[tuple[str, str]]


@dataclass(frozen=True)
class Row:
    what: str
    size: int
    ready_seconds: float
    memory_mib: float
    database_mib: float
    first_ms: float
    p50_ms: float
    p99_ms: float
    history_ms: float


def with_entries(data: Path, size: int) -> Shop:
    asyncio.run(import_all(data / "kefu.db", size, data))
    questions = iter(questions_of(entries_of(size), 100_000))
    return Shop((), ((f"c{number}", question) for number, question in enumerate(questions)))


def with_words(data: Path, size: int) -> Shop:
    path = data / "words.txt"
    listed = starter_lexicon().words
    words = [word for word in make_words(size + len(listed)) if word not in listed]
    path.write_text("\n".join(words[:size]), "utf-8")
    asked = run_kefu(
        "--data-dir", data, "moderation", "words", "import", path,
        "--category", "advertising", "--force",
    )  # fmt: skip
    if asked.returncode:
        raise RuntimeError(f"The words were not taken:\n{asked.stdout}{asked.stderr}")
    return Shop(("--demo",), rephrased(lambda number: f"c{number}"))


def with_customers(data: Path, size: int) -> Shop:
    save(data, (f"c{number}" for number in range(size)))
    dice = random.Random(5)
    return Shop(("--demo",), rephrased(lambda _: f"c{dice.randrange(size)}"))


def with_talk(data: Path, size: int) -> Shop:
    save(data, ("ann" for _ in range(size)))
    return Shop(("--demo",), rephrased(lambda _: "ann"))


SHOPS: Mapping[str, Callable[[Path, int], Shop]] = {
    "entries": with_entries,
    "words": with_words,
    "customers": with_customers,
    "talk": with_talk,
}


def rephrased(uid_of: Callable[[int], str]) -> Iterator[tuple[str, str]]:
    for number, message in enumerate(rephrasings(random.Random(7))):
        yield uid_of(number), message


def save(data: Path, uids: Iterator[str]) -> None:
    """A turn of each, of a moment ago, so that the talk goes on."""
    turns = [
        Turn(uid=uid, conversation_id=f"talk of {uid}", question="几点关门？", reply="晚上九点。",
             source="faq", confidence=1.0)
        for uid in uids
    ]  # fmt: skip

    def write(connection: Connection, some: Sequence[Turn]) -> None:
        for turn in some:
            save_turn(connection, turn)

    with open_database(data / "kefu.db") as database:
        for start in range(0, len(turns), TURNS_A_WRITE):
            some = turns[start : start + TURNS_A_WRITE]
            asyncio.run(database.write_async(lambda c, some=some: write(c, some)))


def measure(what: str, size: int, messages: int, models: Path) -> Row:
    with tempfile.TemporaryDirectory() as folder:
        data = link_models(Path(folder) / "data", models)
        shop = SHOPS[what](data, size)
        desk = DeskProcess(data, shop.arguments, settings=WRITES_NOTHING)
        try:
            begun = time.perf_counter()
            desk.launch()
            desk.wait_ready(READY_SECONDS)
            ready = time.perf_counter() - begun
            times, history = ask(desk, shop, messages)
            memory = psutil.Process(desk.pid).memory_info().rss / MIB
        finally:
            desk.close()
        stored = sum(file.stat().st_size for file in data.glob("kefu.db*")) / MIB
    p50, p99 = (float(np.percentile(times[1:], p)) for p in (50, 99))
    return Row(what, size, ready, memory, stored, times[0], p50, p99, history)


def ask(desk: DeskProcess, shop: Shop, messages: int) -> tuple[list[float], float]:
    """Milliseconds of each message, and the median of the histories'."""
    times = []
    with desk.client() as client:
        for _ in range(messages):
            uid, message = next(shop.say)
            begun = time.perf_counter()
            reply = client.post("/chat", json={"uid": uid, "message": message})
            times.append(1000 * (time.perf_counter() - begun))
            reply.raise_for_status()
        histories = []
        for _ in range(HISTORIES):
            begun = time.perf_counter()
            client.get("/chat/history", params={"uid": uid, "limit": 100}).raise_for_status()
            histories.append(1000 * (time.perf_counter() - begun))
    return times, statistics.median(histories)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--only", nargs="+", choices=list(SIZES), default=list(SIZES))
    parser.add_argument("--messages", type=int, default=300)
    parser.add_argument("--most", type=int, default=200_000, help="No size above this.")
    parser.add_argument("--models", type=Path, default=default_data_dir() / "models")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    machine, rows = describe_machine(), []
    for what in given.only:
        for size in SIZES[what]:
            if size <= given.most:
                print(f"{what}: {size:,} ...", file=sys.stderr)
                rows.append(measure(what, size, given.messages, given.models))
    if given.json:
        print(json.dumps({"machine": machine, "rows": [asdict(row) for row in rows]}, indent=1))
        return
    show(rows)


def show(rows: Sequence[Row]) -> None:
    table = Table("", *("ready s", "memory MiB", "database MiB", "first ms", "p50 ms", "p99 ms"),
                  "history ms")  # fmt: skip
    for row in rows:
        table.add_row(
            f"{row.size:,} {UNITS.get(row.what, row.what)}",
            f"{row.ready_seconds:.1f}",
            *(f"{value:.0f}" for value in (row.memory_mib, row.database_mib)),
            *(f"{v:.1f}" for v in (row.first_ms, row.p50_ms, row.p99_ms, row.history_ms)),
        )
    Console(width=120).print(table)


if __name__ == "__main__":
    main()
