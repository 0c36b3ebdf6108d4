"""Plays one schedule against a desk and gathers what became of it."""

from __future__ import annotations

import importlib.util
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import httpx
import psutil

from kefu.bench.load.figures import Figures, figures
from kefu.bench.load.plan import Plan, read_samples, write_arrivals
from kefu.bench.load.traffic import Arrival, Mix, Words, schedule
from kefu.bench.load.watching import processes_of_desk, watching
from kefu.bert.optional import NotInstalled
from kefu.errors import KefuError

CUSTOMERS = "customers"
# How long replies may take after the last message was due.
GRACE_SECONDS = 60.0
_POLL_SECONDS = 0.2

OnProgress = Callable[[float, float], None]
"""Told the seconds that are over, and those there will be."""


class LoadFailed(KefuError):
    """The process that plays the customers could not do its work."""

    code = "load_failed"


@dataclass(frozen=True)
class Test:
    """One test: `users` customers send `rate` messages a second together for `seconds`."""

    url: str
    key: str
    users: int
    spawn_rate: float
    rate: float
    seconds: float
    seed: int


@dataclass(frozen=True)
class Capacity:
    """The highest rate whose test held, and the tests that led there, in their order.

    `rate` is None where even the lowest did not hold.
    """

    limit_ms: float
    rate: float | None
    share_written: float
    steps: tuple[tuple[float, bool, Figures], ...]


def require_locust() -> None:
    """Raises `NotInstalled`. Locust itself is imported only by the customers' process."""
    if importlib.util.find_spec("locust") is None:
        raise NotInstalled("Locust is not installed: pip install 'kefu[bench]'")


def require_desk(url: str, key: str) -> None:
    """Raises `LoadFailed` where no desk is ready at `url`."""
    try:
        httpx.get(f"{url}/readyz", timeout=10).raise_for_status()
    except httpx.HTTPError as error:
        raise LoadFailed(f"No desk is ready at {url}: {error}. Start one: kefu serve") from error


def run_test(test: Test, words: Words, mix: Mix, on_progress: OnProgress) -> Figures:
    """Raises `InvalidInput` for a mix that cannot be made, `LoadFailed` without a result."""
    arrivals = schedule(
        words,
        mix,
        users=test.users,
        spawn_rate=test.spawn_rate,
        rate=test.rate,
        seconds=test.seconds,
        seed=test.seed,
    )
    with TemporaryDirectory(prefix="kefu-bench-") as folder:
        return _play(test, arrivals, Path(folder), on_progress)


def find_capacity(
    test: Test,
    words: Words,
    mix: Mix,
    limit_ms: float,
    on_progress: Callable[[float, float, float], None],
    precision: float = 0.1,
) -> Capacity:
    """Double the rate until the replies that are not written miss `limit_ms` at p99, fail, or fall
    behind; then halve the gap until it is within `precision`.

    `on_progress` is told the rate, too.
    """
    steps: list[tuple[float, bool, Figures]] = []

    def holds(rate: float) -> bool:
        found = run_test(
            replace(test, rate=rate, seed=test.seed + len(steps)),
            words,
            mix,
            lambda done, total: on_progress(rate, done, total),
        )
        is_held = held(found, limit_ms)
        steps.append((rate, is_held, found))
        return is_held

    low, high = 0.0, test.rate
    while holds(high):
        low, high = high, 2 * high
    while high - low > precision * high and high > 1:
        middle = (low + high) / 2
        low, high = (middle, high) if holds(middle) else (low, middle)
    best = next((step for step in reversed(steps) if step[1] and step[0] == low), None)
    return Capacity(
        limit_ms,
        best[0] if best else None,
        best[2].share_written if best else 0.0,
        tuple(steps),
    )


def held(found: Figures, limit_ms: float) -> bool:
    return not found.error_count and found.quick is not None and found.quick.p99 <= limit_ms


def _play(
    test: Test, arrivals: Sequence[Arrival], folder: Path, on_progress: OnProgress
) -> Figures:
    plan = Plan(
        url=test.url,
        key=test.key,
        run=secrets.token_hex(3),
        users=test.users,
        spawn_rate=test.spawn_rate,
        seconds=test.seconds,
        grace_seconds=GRACE_SECONDS,
        arrivals=str(folder / "arrivals.jsonl"),
        samples=str(folder / "samples.jsonl"),
    )
    write_arrivals(Path(plan.arrivals), arrivals)
    plan_file, log = folder / "plan.json", folder / "log.txt"
    plan_file.write_text(json.dumps(asdict(plan)), "utf-8")
    command = [sys.executable, "-m", "kefu.bench.load.customers", str(plan_file)]
    with log.open("wb") as errors:
        child = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=errors
        )
    try:
        watched = {**processes_of_desk(test.url), CUSTOMERS: psutil.Process(child.pid)}
        with watching(watched) as watch:
            _wait(child, test.seconds, on_progress)
    finally:
        child.kill()
        child.wait()
    if child.returncode != 0:
        said = log.read_text("utf-8", "replace").strip().splitlines()
        raise LoadFailed(f"The customers stopped: {said[-1] if said else child.returncode}")
    samples = read_samples(Path(plan.samples))
    return figures(samples, len(arrivals) - len(samples), test.seconds, watch.loads)


def _wait(child: subprocess.Popen[bytes], seconds: float, on_progress: OnProgress) -> None:
    begun = time.monotonic()
    while child.poll() is None:
        on_progress(min(seconds, time.monotonic() - begun), seconds)
        time.sleep(_POLL_SECONDS)
    on_progress(seconds, seconds)
