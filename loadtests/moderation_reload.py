"""Do customers notice when a desk takes over 200,000 words?

    python -m loadtests.moderation_reload [--words 200000] [--clients 4] [--json]

Customers ask known questions one after another on kept connections, while a list is imported by
`kefu moderation words import` in another process, and while the desk builds the filter and swaps it:
once on top of the words that come with kefu, and once more with 2,000 further words, when the large
filter of before goes away. The bar for the longest request of a swap is 50 ms. Needs the models that
`make test` fetches. Nothing else should run on the machine.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path

from loadtests.crash import known_questions
from tests.e2e.desk_process import DeskProcess, run_kefu, wait_until
from tests.e2e.folders import link_models

from kefu.bench.moderation import make_words
from kefu.settings import default_data_dir

BAR_MS = 50.0
QUIET_SECONDS = 10.0
WARM_UP = 50
MORE_WORDS = 2_000
RELOAD_SECONDS = 120.0


@dataclass(frozen=True)
class Request:
    began: float
    ended: float
    ok: bool

    @property
    def milliseconds(self) -> float:
        return (self.ended - self.began) * 1000


@dataclass(frozen=True)
class Phase:
    """Requests that ran at some time between its beginning and its end; times in milliseconds."""

    name: str
    seconds: float
    requests: int
    failed: int
    p50: float
    p99: float
    longest: float


class Customers:
    """Threads that ask until they are told to stop."""

    def __init__(self, desk: DeskProcess, clients: int) -> None:
        self._desk = desk
        self._stopped = threading.Event()
        self.requests: list[Request] = []
        self._threads = [threading.Thread(target=self._ask, args=(n,)) for n in range(clients)]

    def __enter__(self) -> Customers:
        for thread in self._threads:
            thread.start()
        wait_until(lambda: len(self.requests) > WARM_UP, "the desk answers")
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        for thread in self._threads:
            thread.join()

    def _ask(self, number: int) -> None:
        questions = known_questions()
        random.Random(number).shuffle(questions)
        with self._desk.client() as client:
            for turn in count():
                if self._stopped.is_set():
                    return
                question = questions[turn % len(questions)]
                body = {"uid": f"customer-{number}-{turn}", "message": question}
                began = time.perf_counter()
                ok = client.post("/chat", json=body).status_code == 200
                self.requests.append(Request(began, time.perf_counter(), ok))

    def between(self, name: str, began: float, ended: float) -> Phase:
        inside = [r for r in self.requests if r.began < ended and r.ended > began]
        times = sorted(request.milliseconds for request in inside)
        p50, p99 = (times[min(len(times) - 1, len(times) * p // 100)] for p in (50, 99))
        failed = sum(not request.ok for request in inside)
        figures = (round(ended - began, 2), len(inside), failed)
        return Phase(name, *figures, *(round(time_, 2) for time_ in (p50, p99, times[-1])))


def measure(desk: DeskProcess, words: int, clients: int) -> list[Phase]:
    listed = make_words(words + MORE_WORDS)
    desk.start()
    with Customers(desk, clients) as customers:
        began = time.perf_counter()
        time.sleep(QUIET_SECONDS)
        phases = [customers.between("quiet", began, time.perf_counter())]
        phases += _import(desk, customers, listed[:words], "first")
        phases += _import(desk, customers, listed[words:], "second")
    return phases


def _import(
    desk: DeskProcess, customers: Customers, words: Sequence[str], name: str
) -> list[Phase]:
    """The import by another process, and the swap in the desk, which begins a poll later."""
    path = _write(desk.data_dir / f"{name}.csv", words)
    swaps = _swaps(desk)
    began = time.perf_counter()
    ran = run_kefu("--data-dir", desk.data_dir, "moderation", "words", "import", path, "--force")
    imported = time.perf_counter()
    assert ran.returncode == 0, ran.stderr
    wait_until(lambda: _swaps(desk) > swaps, "the desk has the words", RELOAD_SECONDS)
    swapped = time.perf_counter()
    wait_until(lambda: customers.requests[-1].began > swapped, "a request after the swap")
    return [
        customers.between(f"{name} import", began, imported),
        customers.between(f"{name} swap", imported, swapped),
    ]


def _swaps(desk: DeskProcess) -> int:
    return desk.log.count("moderation_words_in_use")


def _write(path: Path, words: Sequence[str]) -> Path:
    with path.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("word", "category", "severity"))
        rows.writerows((word, "abuse", "low") for word in words)
    return path


def _table(phases: Sequence[Phase]) -> str:
    rows = [
        f"{'':14} {'seconds':>8} {'requests':>9} {'failed':>7} {'p50':>7} {'p99':>7} {'longest':>8}"
    ]
    rows += [
        f"{p.name:14} {p.seconds:8.1f} {p.requests:9,} {p.failed:7} {p.p50:7.1f} {p.p99:7.1f} "
        f"{p.longest:8.1f}"
        for p in phases
    ]
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--words", type=int, default=200_000 - MORE_WORDS)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--models", type=Path, default=default_data_dir() / "models")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        desk = DeskProcess(link_models(Path(folder) / "data", chosen.models))
        try:
            phases = measure(desk, chosen.words, chosen.clients)
        finally:
            desk.close()
    longest = max(phase.longest for phase in phases if phase.name.endswith("swap"))
    if chosen.json:
        print(
            json.dumps({"bar_ms": BAR_MS, "longest_ms": longest, "phases": [*map(asdict, phases)]})
        )
        return
    print(_table(phases))
    print(f"Longest request of a swap: {longest:.1f} ms (bar {BAR_MS:.0f} ms).")


if __name__ == "__main__":
    main()
