"""Throughput of one, two and three desks on one PostgreSQL and one Redis, beside one desk on SQLite.

    python -m loadtests.desks [--desks 1,2,3] [--runs 3] [--seconds 8] [--clients 32] [--json]

wrk asks questions of the sample shop with words put in, no two alike, each by another customer
(loadtests.throughput); nothing is written, for the generator is a mock and is not asked. `direct`: as many
wrks as desks, which share the clients; `nginx`: one wrk before the gateway. Everything is on this machine, wrk
too, so more desks are quicker only where there are cores for them. Medians of the runs.

Needs what `make test` installs and fetches.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import statistics
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import count, islice
from pathlib import Path

from loadtests.cluster.cluster import Cluster, Shape, started_cluster
from loadtests.cluster.programs import origin
from loadtests.cluster.watch import watching
from loadtests.throughput import (
    BODIES_PER_SECOND,
    SCRIPT,
    WARM_UP_SECONDS,
    WRITES_NOTHING,
    rephrasings,
)
from tests.e2e.desk_process import DeskProcess
from tests.e2e.folders import link_models

from kefu.bench.machine import describe_machine
from kefu.settings import default_data_dir

# Nobody listens there, and nobody asks.
MOCK = "http://127.0.0.1:1/v1"


@dataclass(frozen=True)
class Run:
    """`desk_ms`, `all_ms`: processor time for each reply, of the desks and of all programs but wrk.
    p50 and p99 are milliseconds, of the slowest wrk."""

    where: str
    per_second: float
    failed: int
    p50: float
    p99: float
    desk_ms: float = 0.0
    all_ms: float = 0.0
    redis_scripts: float = 0.0
    sql_commits: float = 0.0


class Bodies:
    """Messages that nobody sent before, from customers who never wrote."""

    def __init__(self) -> None:
        self._unsaid = rephrasings(random.Random(7))
        self._numbers = count()

    def take(self, number: int) -> list[str]:
        return [
            json.dumps({"uid": f"wrk-{next(self._numbers)}", "message": m}, ensure_ascii=False)
            for m in islice(self._unsaid, number)
        ]


def ask(origins: Sequence[str], bodies: Bodies, seconds: int, clients: int, where: str) -> Run:
    """One wrk for each origin, all at once."""
    each = [bodies.take(seconds * BODIES_PER_SECOND // len(origins)) for _ in origins]
    with tempfile.TemporaryDirectory() as folder, ThreadPoolExecutor(len(origins)) as threads:
        said = list(
            threads.map(
                lambda one: _wrk(Path(folder), *one, seconds, clients // len(origins)),
                enumerate(zip(origins, each, strict=True)),
            )
        )
    return Run(
        where,
        sum(requests / micros * 1e6 for requests, micros, *_ in said),
        sum(failed for _, _, failed, *_ in said),
        max(p50 for *_, p50, _ in said) / 1000,
        max(p99 for *_, p99 in said) / 1000,
    )


def _wrk(
    folder: Path, number: int, asked: tuple[str, list[str]], seconds: int, clients: int
) -> tuple[int, ...]:
    """Requests, microseconds, failures, and p50 and p99 in microseconds."""
    where, bodies = asked
    lines, script = folder / f"bodies-{number}", folder / f"script-{number}.lua"
    lines.write_text("\n".join(bodies), "utf-8")
    script.write_text(SCRIPT % lines, "utf-8")
    command = ["wrk", "-t1", f"-c{clients}", f"-d{seconds}s", "-s", str(script), where]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    told = re.search(r"^told (\d+) (\d+) (\d+) (\d+) (\d+) (\d)$", said, re.MULTILINE)
    if told is None or told[6] == "1":
        raise RuntimeError(f"wrk ran out of messages, or said something else:\n{said}")
    return tuple(int(told[n]) for n in range(1, 6))


def of_embedded(models: Path, bodies: Bodies, given: argparse.Namespace) -> Iterator[Run]:
    with tempfile.TemporaryDirectory() as folder:
        desk = DeskProcess(link_models(Path(folder) / "data", models), settings=WRITES_NOTHING)
        try:
            desk.start()
            ask([desk.origin], bodies, WARM_UP_SECONDS, given.clients, "")
            for _ in range(given.runs):
                yield ask([desk.origin], bodies, given.seconds, given.clients, "SQLite, 1 desk")
        finally:
            desk.close()


def of_cluster(
    desks: int, models: Path, bodies: Bodies, given: argparse.Namespace
) -> Iterator[Run]:
    shape = Shape(desks, llamas=0, things=1, upstreams=[MOCK], settings=WRITES_NOTHING)
    with started_cluster(models, shape) as cluster:
        direct = [origin(desk.port) for desk in cluster.desks]
        ask(direct, bodies, WARM_UP_SECONDS, given.clients, "")
        for _ in range(given.runs):
            for name, origins in (("direct", direct), ("nginx", [cluster.origin])):
                yield _watched(cluster, origins, bodies, given, f"{desks} desks, {name}")


def _watched(
    cluster: Cluster,
    origins: Sequence[str],
    bodies: Bodies,
    given: argparse.Namespace,
    where: str,
) -> Run:
    with watching(cluster) as watch:
        run = ask(origins, bodies, given.seconds, given.clients, where)
    replies = run.per_second * given.seconds
    spent = {p.name: watch.cpu_seconds[p.name] for p in cluster.programs}
    desks = sum(seconds for name, seconds in spent.items() if name.startswith("desk"))
    return Run(
        run.where,
        run.per_second,
        run.failed,
        run.p50,
        run.p99,
        1000 * desks / replies,
        1000 * sum(spent.values()) / replies,
        watch.redis["evalsha"] / replies,
        watch.sql["commits"] / replies,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--desks", default="1,2,3")
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--models", type=Path, default=default_data_dir() / "models")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    bodies = Bodies()
    runs = list(of_embedded(given.models, bodies, given))
    for desks in map(int, given.desks.split(",")):
        runs += of_cluster(desks, given.models, bodies, given)
    if given.json:
        print(json.dumps({"machine": describe_machine(), "runs": [asdict(r) for r in runs]}))
        return
    for where in dict.fromkeys(run.where for run in runs):
        print(_line(where, [run for run in runs if run.where == where]))


def _line(where: str, runs: Sequence[Run]) -> str:
    def median(name: str) -> float:
        return statistics.median(getattr(run, name) for run in runs)

    rates = " ".join(f"{run.per_second:.0f}" for run in runs)
    line = (
        f"{where:16} {median('per_second'):5.0f}/s ({rates}), {median('failed'):.0f} failed, "
        f"p50 {median('p50'):.0f} ms, p99 {median('p99'):.0f} ms"
    )
    if median("desk_ms"):
        line += (
            f"; a reply: {median('desk_ms'):.2f} ms of the desks' processors, {median('all_ms'):.2f} of all, "
            f"{median('redis_scripts'):.1f} Redis scripts, {median('sql_commits'):.1f} SQL transactions"
        )
    return line


if __name__ == "__main__":
    main()
