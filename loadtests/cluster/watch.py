"""What the programs take during a run: processor time, Redis commands, PostgreSQL transactions.

A killed program begins to count from zero again: what is gathered are the rises between two looks, and
what came between the last look and the kill is missing.
"""

from __future__ import annotations

import os
import threading
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field

import psutil
import psycopg
import redis
from loadtests.cluster.cluster import Cluster
from loadtests.cluster.programs import ASK_SECONDS, LOOPBACK

EVERY_SECONDS = 2.0
CUSTOMERS = "customers"
# What is asked to see whether Redis is there, and what connecting takes.
_OURS = frozenset({"cmdstat_info", "cmdstat_ping", "cmdstat_hello", "cmdstat_client|setinfo"})
_SQL = """
    SELECT xact_commit, xact_rollback, tup_inserted, tup_updated, tup_fetched
    FROM pg_stat_database WHERE datname = current_database()
"""


@dataclass
class Watch:
    """`cpu_seconds` by program; `redis` by command, `sql` by what PostgreSQL calls it. `memory_mib`:
    resident at most, what processes share counted for each."""

    cpu_seconds: Counter[str] = field(default_factory=Counter)
    memory_mib: dict[str, float] = field(default_factory=dict)
    redis: Counter[str] = field(default_factory=Counter)
    sql: Counter[str] = field(default_factory=Counter)


@contextmanager
def watching(cluster: Cluster) -> Iterator[Watch]:
    """Look at the cluster, and at this process, which plays its customers."""
    looking = _Looking(cluster)
    stop = threading.Event()
    looking.look(counts=False)
    thread = threading.Thread(target=looking.run, args=[stop], name="watch", daemon=True)
    thread.start()
    try:
        yield looking.watch
    finally:
        stop.set()
        thread.join()
        looking.look()


class _Looking:
    def __init__(self, cluster: Cluster) -> None:
        self.watch = Watch()
        self._cluster = cluster
        self._before: defaultdict[str, Mapping[str, float]] = defaultdict(dict)

    def run(self, stop: threading.Event) -> None:
        while not stop.wait(EVERY_SECONDS):
            self.look()

    def look(self, *, counts: bool = True) -> None:
        """`counts`: whether what has risen since the look before is added."""
        for program in self._cluster.programs:
            self._look_at(program.name, program.processes(), counts)
        self._look_at(CUSTOMERS, [psutil.Process(os.getpid())], counts)
        redis_port = self._cluster.redis.port
        with (
            suppress(redis.RedisError),
            redis.Redis(LOOPBACK, redis_port, socket_timeout=ASK_SECONDS) as client,
        ):
            self._rise("Redis commands", _commands(client), self.watch.redis if counts else None)
        with (
            suppress(psycopg.Error),
            psycopg.connect(self._cluster.database, connect_timeout=2) as connection,
        ):
            self._rise(
                "PostgreSQL counters", _transactions(connection), self.watch.sql if counts else None
            )

    def _look_at(self, name: str, processes: list[psutil.Process], counts: bool) -> None:
        seconds: dict[str, float] = {}
        mib = 0.0
        for process in processes:
            with suppress(psutil.Error):
                times = process.cpu_times()
                seconds[str(process.pid)] = times.user + times.system
                mib += process.memory_info().rss / 2**20
        spent: Counter[str] = Counter()
        self._rise(f"{name} processes", seconds, spent)
        if counts:
            self.watch.cpu_seconds[name] += sum(spent.values())
            self.watch.memory_mib[name] = max(mib, self.watch.memory_mib.get(name, 0.0))

    def _rise(self, what: str, now: Mapping[str, float], to: Counter[str] | None) -> None:
        before, self._before[what] = self._before[what], now
        if to is not None:
            for name, value in now.items():
                since = before.get(name, 0)
                to[name] += value - since if value >= since else value


def _commands(client: redis.Redis) -> dict[str, float]:
    found = client.info("commandstats")
    return {
        name.removeprefix("cmdstat_"): stats["calls"]
        for name, stats in found.items()
        if name not in _OURS
    }


def _transactions(connection: psycopg.Connection) -> dict[str, float]:
    row = connection.execute(_SQL).fetchone()
    assert row
    names = ("commits", "rollbacks", "rows inserted", "rows updated", "rows fetched")
    return dict(zip(names, row, strict=True))
