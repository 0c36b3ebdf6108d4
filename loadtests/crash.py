"""kill -9 of the desk at random moments under load: is every acknowledged turn there, once?

    python -m loadtests.crash [--kills 30] [--clients 20] [--seed N] [--json]

Clients ask known questions and questions that must be written, with an `Idempotency-Key` each,
and write down what was acknowledged: a whole 200 reply, or a `done` event. What was not, they send
again under the same key. Some messages are sent twice at once, some are sent again long after
their answer. In the end the database is read directly and through `kefu conversations show`.
Needs the models that `make test` fetches. Exit code 1 when anything was lost or doubled.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import importlib.resources
import json
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import httpx
from tests.e2e.desk_process import DeskProcess, run_kefu, wait_until
from tests.e2e.folders import DISPUTED, DISPUTED_QUESTIONS, link_models, write_files

from kefu.settings import default_data_dir
from kefu.stores.sqlite import sqlite_module

# So many questions to a customer; then the client goes on as another one.
QUESTIONS_PER_UID = 60
# One client in so many asks questions whose answers must be written: the generator is always busy, and the others do not wait for it.
ONE_CLIENT_IN_WRITTEN = 5
ONE_IN_DOUBLED = 10
ONE_IN_REPEATED = 10
RETRY_SECONDS = 0.1
# A kill comes within so long after the desk is ready, mostly soon; one in so many before it is.
LONGEST_LIFE_SECONDS = 10.0
ONE_IN_AT_START = 5
LONGEST_START_SECONDS = 3.0
# Statuses that tell a client to come again.
TRY_AGAIN = frozenset({429, 503, 504})


@dataclass(frozen=True)
class Question:
    uid: str
    key: str
    text: str
    streamed: bool


@dataclass(frozen=True)
class Acknowledged:
    """What a customer was told, and therefore what must be kept."""

    question: Question
    reply: str
    turn_id: str
    source: str
    generated: bool


class NotAcknowledged(Exception):
    """No whole reply came: the question has to be sent again."""


@dataclass
class Client:
    """One customer after another, each asking one question at a time."""

    number: int
    origin: str
    random: random.Random
    known: Sequence[str]
    written: Sequence[str]
    acknowledged: list[Acknowledged] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    given_up: set[tuple[str, str]] = field(default_factory=set)
    retries: int = 0

    async def run(self, enough: asyncio.Event) -> None:
        async with httpx.AsyncClient(base_url=self.origin, timeout=150, trust_env=False) as http:
            for question in self._questions():
                if enough.is_set():
                    return
                try:
                    await self._insist(http, question)
                except Exception as error:  # noqa: BLE001 - reported at the end, with the rest
                    self.problems.append(f"{question}: {error!r}")
                    self.given_up.add((question.uid, question.key))

    def _questions(self) -> Iterator[Question]:
        for talk in range(1_000_000):
            uid = f"client-{self.number}-{talk}"
            asks_written = self.number % ONE_CLIENT_IN_WRITTEN == 0
            texts = self.written if asks_written else self.known
            for place, text in enumerate(self.random.sample(texts, QUESTIONS_PER_UID)):
                yield Question(uid, f"{uid}-{place}", text, self.random.random() < 0.5)

    async def _insist(self, http: httpx.AsyncClient, question: Question) -> None:
        """Send until acknowledged; sometimes twice at once, sometimes an old one as well."""
        copies = 2 if self._one_in(ONE_IN_DOUBLED) else 1
        while True:
            sent = (self._send(http, question) for _ in range(copies))
            outcomes = await asyncio.gather(*sent, return_exceptions=True)
            for outcome in outcomes:
                if isinstance(outcome, BaseException) and not isinstance(outcome, NotAcknowledged):
                    raise outcome
            told = [outcome for outcome in outcomes if isinstance(outcome, Acknowledged)]
            if told:
                break
            self.retries += 1
            await asyncio.sleep(RETRY_SECONDS)
        if len({(one.turn_id, one.reply) for one in told}) > 1:
            self.problems.append(f"two answers to one message: {told}")
        self.acknowledged.append(told[0])
        if self._one_in(ONE_IN_REPEATED):
            await self._repeat(http, self.random.choice(self.acknowledged))

    async def _repeat(self, http: httpx.AsyncClient, before: Acknowledged) -> None:
        """An answered message sent again gets the same answer, or none while the desk is down."""
        try:
            again = await self._send(http, before.question)
        except NotAcknowledged:
            return
        if (again.turn_id, again.reply) != (before.turn_id, before.reply):
            self.problems.append(f"a repeated message got another answer: {before} and {again}")

    async def _send(self, http: httpx.AsyncClient, question: Question) -> Acknowledged:
        body = {"uid": question.uid, "message": question.text, "stream": question.streamed}
        headers = {"Idempotency-Key": question.key}
        try:
            response = await http.post("/chat", json=body, headers=headers)
        except httpx.TransportError as error:
            raise NotAcknowledged from error
        if response.status_code in TRY_AGAIN:
            raise NotAcknowledged
        if response.status_code != 200:
            raise RuntimeError(f"{response.status_code} {response.text}")
        reply = _done(response.text) if question.streamed else response.json()
        generated = "generate" in reply["timings_ms"]
        return Acknowledged(question, reply["reply"], reply["turn_id"], reply["source"], generated)

    def _one_in(self, number: int) -> bool:
        return self.random.randrange(number) == 0


def _done(text: str) -> dict[str, Any]:
    """The reply of an event stream. A stream cut off between two events has none."""
    for block in text.split("\n\n")[:-1]:
        name, _, data = block.partition("\n")
        if name == "event: done":
            return dict(json.loads(data.removeprefix("data: ")))
        if name == "event: error":
            problem = json.loads(data.removeprefix("data: "))
            if problem["status"] not in TRY_AGAIN:
                raise RuntimeError(f"error event {problem}")
    raise NotAcknowledged


@dataclass
class Outcome:
    """What happened, and in `problems` what should not have. Times are in seconds."""

    seed: int
    kills: int = 0
    kills_at_start: int = 0
    clients: int = 0
    acknowledged: int = 0
    sources: dict[str, int] = field(default_factory=dict)
    generated: int = 0
    retries: int = 0
    turns_kept: int = 0
    customers: int = 0
    shown_by_command: int = 0
    restart_p50: float = 0.0
    restart_max: float = 0.0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)


async def crash(
    desk: DeskProcess, *, kills: int, clients: int, seed: int, shown: int | None = None
) -> Outcome:
    """Kill `desk` again and again under load, and compare what was promised with what is kept.

    `shown`: for how many customers `kefu conversations show` is asked as well; None: for all.
    """
    begun = time.monotonic()
    dice = random.Random(seed)
    known = known_questions()
    crowd = [
        Client(number, desk.origin, random.Random(f"{seed}-{number}"), known, DISPUTED_QUESTIONS)
        for number in range(clients)
    ]
    outcome = Outcome(seed, clients=clients)
    enough = asyncio.Event()
    await asyncio.to_thread(_open, desk)
    running = [asyncio.create_task(client.run(enough)) for client in crowd]
    await _kill_again_and_again(desk, kills, dice, outcome)
    enough.set()
    await asyncio.gather(*running)
    await asyncio.to_thread(desk.stop)
    told = list(chain.from_iterable(client.acknowledged for client in crowd))
    outcome.problems += chain.from_iterable(client.problems for client in crowd)
    outcome.acknowledged = len(told)
    outcome.sources = dict(Counter(one.source for one in told))
    outcome.generated = sum(one.generated for one in told)
    outcome.retries = sum(client.retries for client in crowd)
    outcome.customers = len({one.question.uid for one in told})
    given_up = set().union(*(client.given_up for client in crowd))
    outcome.problems += compare_with_database(desk.database, told, given_up, outcome)
    if not given_up:  # else the command shows what has been reported already
        found = await asyncio.to_thread(_compare_with_command, desk, told, shown, outcome)
        outcome.problems += found
    outcome.problems += _tracebacks(desk)
    outcome.seconds = round(time.monotonic() - begun, 1)
    return outcome


def _open(desk: DeskProcess) -> None:
    desk.start()
    import_disputed(desk)


def import_disputed(desk: DeskProcess) -> None:
    """Give a running desk a document: what is asked of it must be written."""
    entries = desk.metric("kefu_knowledge_entries")
    folder = write_files(desk.data_dir / "disputed", DISPUTED)
    imported = run_kefu("--data-dir", desk.data_dir, "kb", "import", folder)
    if imported.returncode:
        raise RuntimeError(imported.stderr)
    wait_until(lambda: desk.metric("kefu_knowledge_entries") > entries, "the import is known")


async def _kill_again_and_again(
    desk: DeskProcess, kills: int, dice: random.Random, outcome: Outcome
) -> None:
    restarts = []
    for _ in range(kills):
        await asyncio.sleep(LONGEST_LIFE_SECONDS * dice.random() ** 2)
        await _kill(desk, outcome)
        begun = time.monotonic()
        await asyncio.to_thread(desk.launch)
        if outcome.kills < kills and dice.randrange(ONE_IN_AT_START) == 0:
            await asyncio.sleep(dice.uniform(0.0, LONGEST_START_SECONDS))
            await _kill(desk, outcome)
            outcome.kills_at_start += 1
            begun = time.monotonic()
            await asyncio.to_thread(desk.launch)
        await asyncio.to_thread(desk.wait_ready)
        restarts.append(time.monotonic() - begun)
        if outcome.kills >= kills:
            break
    restarts.sort()
    outcome.restart_p50 = round(restarts[len(restarts) // 2], 2)
    outcome.restart_max = round(restarts[-1], 2)


async def _kill(desk: DeskProcess, outcome: Outcome) -> None:
    try:
        await asyncio.to_thread(desk.kill)
    except TimeoutError as error:
        outcome.problems.append(f"kill {outcome.kills}: {error}")
    outcome.kills += 1


def compare_with_database(
    path: Path,
    told: Sequence[Acknowledged],
    given_up: Collection[tuple[str, str]],
    outcome: Outcome,
) -> list[str]:
    """What is wrong with the turns in the file, which no desk has open."""
    connection = sqlite_module().connect(path)
    try:
        integrity = connection.execute("PRAGMA integrity_check").fetchall()
        every_row = connection.execute(
            "SELECT uid, idempotency_key, question, reply, turn_id, status, source FROM turns "
            "ORDER BY seq"
        ).fetchall()
    finally:
        connection.close()
    rows = [row for row in every_row if row[:2] not in given_up]
    outcome.turns_kept = len(rows)
    problems = [] if integrity == [("ok",)] else [f"integrity_check: {integrity}"]
    for what, values in (
        ("idempotency key", [row[:2] for row in rows]),
        ("question", [(row[0], row[2]) for row in rows]),
        ("turn id", [row[4] for row in rows]),
    ):
        problems += [f"{what} twice: {v}" for v, count in Counter(values).items() if count > 1]
    kept = {row[:2]: row[2:] for row in rows}
    for one in told:
        asked = one.question
        promised = (asked.text, one.reply, one.turn_id, "answered", one.source)
        if (found := kept.pop((asked.uid, asked.key), None)) != promised:
            problems.append(f"promised {promised}, kept {found}")
    problems += [f"kept, but never asked or acknowledged: {key}" for key in kept]
    return problems + _out_of_order([(row[0], row[1]) for row in rows], told)


def _out_of_order(kept: Sequence[tuple[str, str]], told: Sequence[Acknowledged]) -> list[str]:
    by_uid: dict[str, list[str]] = {}
    for uid, key in kept:
        by_uid.setdefault(uid, []).append(key)
    asked: dict[str, list[str]] = {}
    for one in told:
        asked.setdefault(one.question.uid, []).append(one.question.key)
    return [f"order of {uid}: {by_uid.get(uid)}" for uid in asked if asked[uid] != by_uid.get(uid)]


def _compare_with_command(
    desk: DeskProcess, told: Sequence[Acknowledged], shown: int | None, outcome: Outcome
) -> list[str]:
    by_uid: dict[str, list[tuple[str, str, str]]] = {}
    for one in told:
        entry = (one.question.text, one.reply, one.turn_id)
        by_uid.setdefault(one.question.uid, []).append(entry)
    problems = []
    for uid in sorted(by_uid)[:shown]:
        found = [(turn["question"], turn["reply"], turn["turn_id"]) for turn in desk.turns(uid)]
        if found != by_uid[uid]:
            problems.append(f"`kefu conversations show {uid}` differs: {found}")
        outcome.shown_by_command += 1
    return problems


def _tracebacks(desk: DeskProcess) -> list[str]:
    """What the desk itself says went wrong, each kind once."""
    lines = chain.from_iterable(
        path.read_text("utf-8", "replace").splitlines()
        for path in sorted(desk.data_dir.glob("desk-*.log"))
    )
    found = [json.loads(line) for line in lines if line.startswith("{") and "Traceback" in line]
    return sorted({str(event.get("exception", event["event"]))[-1500:] for event in found})


def known_questions() -> list[str]:
    """Every question and alternative of the sample shop."""
    folder = importlib.resources.files("kefu.knowledge") / "sample_shop"
    questions: list[str] = []
    for name in ("faq.zh.csv", "faq.en.csv"):
        for row in csv.DictReader((folder / name).read_text("utf-8").splitlines()):
            questions += [row["question"], *row["alternatives"].split("|")]
    return list(dict.fromkeys(text for text in questions if text.strip()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--clients", type=int, default=20)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(10**6))
    parser.add_argument("--models", type=Path, default=default_data_dir() / "models")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    print(f"seed {chosen.seed}", file=sys.stderr)
    with tempfile.TemporaryDirectory() as folder:
        desk = DeskProcess(link_models(Path(folder) / "data", chosen.models), settings={})
        try:
            outcome = asyncio.run(
                crash(desk, kills=chosen.kills, clients=chosen.clients, seed=chosen.seed)
            )
        finally:
            desk.close()
    if chosen.json:
        print(json.dumps(asdict(outcome), ensure_ascii=False, indent=2))
    else:
        for name, value in asdict(outcome).items():
            print(f"{name:18} {value}")
    sys.exit(bool(outcome.problems))


if __name__ == "__main__":
    main()
