"""The most requests a second that wrk gets from a desk that writes nothing.

    python -m loadtests.throughput [--runs 5] [--seconds 10] [--clients 32] [--json]

`rephrased`: questions of the sample shop with two words or particles put in, no two alike, each by
another customer: every one is encoded, classified, searched and saved. `cached`: a hundred
questions whose answers people have pinned, in other customers' mouths: nothing is encoded. wrk runs
on the same machine. The medians of the runs are told, and what the replies came from.

Needs `wrk` (Debian has it) and the models that `make test` fetches.
"""

from __future__ import annotations

import argparse
import json
import random
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import httpx
from tests.e2e.desk_process import DeskProcess
from tests.e2e.folders import link_models

from kefu.bench.machine import describe_machine
from kefu.knowledge.sample_shop import sample_entries
from kefu.language import detect
from kefu.settings import default_data_dir

SOURCES = ("faq", "canned", "cache", "handoff", "held", "blocked", "model")
WARM_UP_SECONDS = 3
# More than are asked in one run.
BODIES_PER_SECOND = 5000
PINNED = 100
# Nothing is near enough to be written from.
WRITES_NOTHING = {"KEFU_REPLIES__COPY_SCORE": "1"}

_PARTICLES = "吧呢呀啊嘛的了么"
_FILLERS = ("actually", "really", "maybe", "then", "so", "just", "still", "now")

SCRIPT = """
local bodies, sent = {}, 0
for line in io.lines("%s") do bodies[#bodies + 1] = line end
local headers = {["Content-Type"] = "application/json"}
function request()
  sent = sent + 1
  return wrk.format("POST", "/chat", headers, bodies[(sent - 1) %% #bodies + 1])
end
function done(summary, latency, requests)
  local failed = summary.errors.status + summary.errors.timeout + summary.errors.read
  print(string.format("told %%d %%d %%d %%d %%d %%d", summary.requests, summary.duration, failed,
    latency:percentile(50), latency:percentile(99), sent > #bodies and 1 or 0))
end
"""


@dataclass(frozen=True)
class Run:
    """Milliseconds, and shares of replies by their source."""

    requests_per_second: float
    p50: float
    p99: float
    failed: int
    sources: dict[str, float]


def rephrasings(dice: random.Random) -> Iterator[str]:
    """Questions that nobody asked before, for ever."""
    questions = [q for entry in sample_entries() for q in entry.questions]
    said: set[str] = set()
    while True:
        words = dice.choice(questions)
        is_chinese = detect(words, "zh") == "zh"
        parts = list(words) if is_chinese else words.split()
        for _ in range(2):
            put_in = dice.choice(_PARTICLES if is_chinese else _FILLERS)
            parts.insert(dice.randrange(len(parts) + 1), put_in)
        message = ("" if is_chinese else " ").join(parts)
        if message not in said:
            said.add(message)
            yield message


def pin(desk: DeskProcess, questions: Iterable[str]) -> list[str]:
    """Pin an answer to each, and return those that get it."""
    pinned = []
    with desk.client(headers={"Authorization": f"Bearer {desk.key()}"}) as client:
        for question in questions:
            body = {"question": question, "reply": f"{question}: yes."}
            client.put("/api/cache", json=body).raise_for_status()
            asked = client.post("/chat", json={"uid": f"pin-{question}", "message": question})
            if asked.json()["source"] == "cache":  # and not a follow-up of nothing, say
                pinned.append(question)
    return pinned


class Wrk:
    """Runs wrk with one connection a client. No message is sent twice with the same uid."""

    def __init__(self, desk: DeskProcess, clients: int) -> None:
        self._desk = desk
        self._clients = clients
        self._customers = 0

    def run(self, messages: Sequence[str], seconds: int) -> Run:
        before = self._counts()
        with tempfile.TemporaryDirectory() as folder:
            bodies, script = Path(folder) / "bodies.jsonl", Path(folder) / "script.lua"
            bodies.write_text("\n".join(map(self._body, messages)), "utf-8")
            script.write_text(SCRIPT % bodies, "utf-8")
            command = ["wrk", "-t1", f"-c{self._clients}", f"-d{seconds}s", "-s", str(script)]
            said = subprocess.run(
                [*command, self._desk.origin], capture_output=True, text=True, check=True
            ).stdout
        told = re.search(r"^told (\d+) (\d+) (\d+) (\d+) (\d+) (\d)$", said, re.MULTILINE)
        if told is None or told[6] == "1":
            raise RuntimeError(f"wrk ran out of messages, or said something else:\n{said}")
        requests, micros, failed, p50, p99 = (int(told[n]) for n in range(1, 6))
        after = self._counts()
        asked = sum(after.values()) - sum(before.values())
        sources = {name: (after[name] - before[name]) / asked for name in SOURCES}
        return Run(requests / micros * 1e6, p50 / 1000, p99 / 1000, failed, sources)

    def _body(self, message: str) -> str:
        self._customers += 1
        return json.dumps({"uid": f"wrk-{self._customers}", "message": message}, ensure_ascii=False)

    def _counts(self) -> dict[str, float]:
        return {name: self._desk.metric("kefu_turns_total", source=name) for name in SOURCES}


def measure(desk: DeskProcess, runs: int, seconds: int, clients: int) -> dict[str, list[Run]]:
    wrk, unsaid = Wrk(desk, clients), rephrasings(random.Random(7))

    def new(seconds: int) -> list[str]:
        return [next(unsaid) for _ in range(seconds * BODIES_PER_SECOND)]

    found: dict[str, list[Run]] = {"rephrased": [], "cached": []}
    wrk.run(new(WARM_UP_SECONDS), WARM_UP_SECONDS)
    for _ in range(runs):
        found["rephrased"].append(tell("rephrased", wrk.run(new(seconds), seconds)))
    # Not before: then unsure questions would be compared with the pinned ones, too.
    pinned = pin(desk, [next(unsaid) for _ in range(PINNED)])
    known = pinned * (seconds * 2 * BODIES_PER_SECOND // len(pinned))
    for _ in range(runs):
        found["cached"].append(tell("cached", wrk.run(known, seconds)))
    return found


def tell(name: str, run: Run) -> Run:
    print(f"{name}: {run.requests_per_second:.0f}/s", file=sys.stderr)
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=10)
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--models", type=Path, default=default_data_dir() / "models")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if shutil.which("wrk") is None:
        parser.error("wrk is not installed: apt-get install wrk")
    machine = describe_machine()
    with tempfile.TemporaryDirectory() as folder:
        data = link_models(Path(folder) / "data", given.models)
        desk = DeskProcess(data, settings=WRITES_NOTHING)
        try:
            found = measure(desk.start(), given.runs, given.seconds, given.clients)
        except httpx.HTTPError as error:
            sys.exit(f"The desk did not answer: {error}")
        finally:
            desk.close()
    if given.json:
        told = {name: [asdict(run) for run in runs] for name, runs in found.items()}
        print(json.dumps({"machine": machine, **told}, indent=1))
        return
    for name, runs in found.items():
        middle = {
            column: statistics.median(getattr(run, column) for run in runs)
            for column in ("requests_per_second", "p50", "p99", "failed")
        }
        sources = ", ".join(f"{k} {v:.1%}" for k, v in runs[-1].sources.items() if v)
        print(f"{name:10} {middle['requests_per_second']:6.0f}/s, p50 {middle['p50']:.1f} ms, "
              f"p99 {middle['p99']:.1f} ms, {middle['failed']:.0f} failed; {sources}")  # fmt: skip


if __name__ == "__main__":
    main()
