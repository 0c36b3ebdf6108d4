"""A cluster under load while each of its programs in turn is killed with -9 and comes back.

    python -m loadtests.cluster [--rate 150] [--seconds 600] [--uids 1000] [--desks 3] [--kill-every 30]
                                [--no-kill] [--kill NAME ...] [--new 0.01] [--keep DIR] [--json FILE]
                                [--picture FILE]

PostgreSQL, Redis, two llama.cpp servers, three desks and nginx, all on loopback and all gone afterwards.
Customers come through nginx and send each message until it is answered. In the end the transcript is held
against what they were told: exit code 1 where anything was lost, doubled or out of order, or a request
failed while nothing was away. Ctrl-C stops all.

Needs what `make test` installs and fetches.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import shutil
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from loadtests.cluster import checks
from loadtests.cluster.cluster import Cluster, Shape, started_cluster
from loadtests.cluster.figures import Figures, figures
from loadtests.cluster.kills import OnKill, Plan, kill_in_turn
from loadtests.cluster.llama_server import NICENESS
from loadtests.cluster.manual import THINGS, question_of
from loadtests.cluster.picture import draw
from loadtests.cluster.program import Program
from loadtests.cluster.record import Message, Outage
from loadtests.cluster.report import show
from loadtests.cluster.talkers import Talkers
from loadtests.cluster.watch import watching
from rich.console import Console

from kefu.bench.load.questions import words_of
from kefu.bench.load.traffic import Arrival, Mix, Words, schedule
from kefu.bench.machine import describe_machine
from kefu.knowledge.sample_shop import sample_entries
from kefu.settings import default_data_dir

SEED = 20_261_123
# What is quiet at both ends of a run, to compare with.
CALM_SECONDS = 20.0
WIDTH = 120
FOLLOW_UPS, BLOCKED = 0.05, 0.01
# Of the manual's questions so many are asked again and again.
KEPT = 10


@dataclass(frozen=True)
class Outcome:
    """`problems` by what was promised; a promise that held has none."""

    told: Sequence[Message]
    outages: Sequence[Outage]
    figures: Figures
    problems: dict[str, list[str]]

    @property
    def is_good(self) -> bool:
        return not any(self.problems.values())


async def run(
    cluster: Cluster,
    arrivals: Sequence[Arrival],
    uids: int,
    victims: Sequence[Program],
    plan: Plan,
    say: OnKill = lambda _: None,
) -> Outcome:
    """Play the customers and kill `victims`; then look at what is kept. Where the number of kills is
    given, customers stop after the last."""
    with watching(cluster) as watch:
        talkers = Talkers(cluster.origin, uids)
        async with asyncio.TaskGroup() as group:
            group.create_task(talkers.talk(arrivals))
            outages = await kill_in_turn(cluster, victims, plan, talkers.now, say)
            if plan.most < math.inf:
                await asyncio.sleep(plan.calm)
                talkers.enough.set()
    kept = await asyncio.to_thread(checks.read_transcript, cluster.database)
    return Outcome(
        talkers.told,
        outages,
        figures(talkers.told, outages, watch),
        checks.check(talkers.told, kept, outages),
    )


def arrivals_of(
    rate: float, seconds: float, uids: int, new: float, seed: int, things: int = len(THINGS)
) -> list[Arrival]:
    """The sample shop's questions as customers ask them, now and then one about a few of the manual's
    `things`, which is written once and kept, and a share of `new` ones about the others."""
    known = 1 - FOLLOW_UPS - BLOCKED - new
    mix = Mix(0.75 * known, 0.25 * known, new, FOLLOW_UPS, BLOCKED, streamed=0.0)
    asked = words_of(sample_entries())
    questions = [question_of(thing) for thing in THINGS[:things]]
    words = Words([*asked.known, *questions[:KEPT]], questions[KEPT:], asked.blocked)
    return schedule(
        words,
        mix,
        users=uids,
        spawn_rate=uids,
        rate=rate,
        seconds=seconds,
        seed=seed,
    )


def main() -> None:
    given = _arguments()
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # in order, as after Ctrl-C
    try:
        with started_cluster(given.models, Shape(given.desks, given.llamas)) as cluster:
            _announce(console, cluster)
            with _kept_logs(cluster, given.keep):
                outcome = asyncio.run(_run(cluster, given, console))
    except KeyboardInterrupt:
        console.print("stopped")
        sys.exit(1)
    _write(outcome, given)
    show(console, outcome.figures, outcome.problems, describe_machine())
    sys.exit(not outcome.is_good)


async def _run(cluster: Cluster, given: argparse.Namespace, console: Console) -> Outcome:
    victims = [p for p in cluster.programs if not given.kill or p.name in given.kill]
    calm = min(CALM_SECONDS, given.seconds / 5)
    every = given.kill_every or max(10.0, (given.seconds - 2 * calm) / (2 * len(victims)))
    plan = Plan(first=calm, every=every, last=given.seconds - calm)
    arrivals = arrivals_of(given.rate, given.seconds, given.uids, given.new, given.seed)
    return await run(
        cluster,
        arrivals,
        given.uids,
        [] if given.no_kill else victims,
        plan,
        lambda line: console.print(line, highlight=False),
    )


def _announce(console: Console, cluster: Cluster) -> None:
    console.print(f"chat page  {cluster.origin}/  (through nginx)")
    for program in cluster.programs:
        assert program.process
        console.print(f"{program.name:10} port {program.port}, kill -9 {program.process.pid}")
    console.print(
        f"llama.cpp gets what the others leave (nice {NICENESS}): elsewhere it has machines of its own."
    )
    console.print("Customers are coming. Ctrl-C stops all.\n")


@contextmanager
def _kept_logs(cluster: Cluster, folder: Path | None) -> Iterator[None]:
    try:
        yield
    finally:
        if folder:
            folder.mkdir(parents=True, exist_ok=True)
            for log in cluster.folder.glob("*.log"):
                shutil.copy(log, folder)


def _write(outcome: Outcome, given: argparse.Namespace) -> None:
    found = {
        "machine": describe_machine(),
        "rate": given.rate,
        "uids": given.uids,
        **asdict(outcome.figures),
        "problems": outcome.problems,
    }
    if given.json:
        given.json.write_text(json.dumps(found, ensure_ascii=False, indent=1), "utf-8")
    if given.picture:
        draw(outcome.told, outcome.outages, given.picture)
    if given.keep:
        with (given.keep / "messages.jsonl").open("w", encoding="utf-8") as file:
            for message in outcome.told:
                file.write(json.dumps(asdict(message), ensure_ascii=False) + "\n")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m loadtests.cluster", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--rate", type=float, default=150, help="messages a second")
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--uids", type=int, default=1000, help="customers")
    parser.add_argument("--desks", type=int, default=3)
    parser.add_argument("--llamas", type=int, default=2)
    parser.add_argument("--kill-every", type=float, help="seconds; default: each program twice")
    parser.add_argument("--kill", action="append", metavar="NAME", help="only these programs")
    parser.add_argument("--no-kill", action="store_true")
    parser.add_argument("--new", type=float, default=0.01, help="share that must be written")
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--models", type=Path, default=default_data_dir() / "models")
    parser.add_argument("--keep", type=Path, help="folder for logs and all messages")
    parser.add_argument("--json", type=Path, help="file for the figures")
    parser.add_argument("--picture", type=Path, help="file (.png, .svg) for waits over time")
    return parser.parse_args()


if __name__ == "__main__":
    main()
