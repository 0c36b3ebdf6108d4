"""The process that plays the customers, with Locust: `python -m kefu.bench.load.customers PLAN`.

A process of its own because Locust replaces the standard library's sockets with gevent's when it is
imported, and because its work should be told apart from the desk's.
"""

from __future__ import annotations

# Locust first: it replaces what the others import.
from locust import FastHttpUser, constant, events, task  # isort: skip
from locust.env import Environment  # isort: skip
from locust.exception import StopUser  # isort: skip

import json
import sys
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from itertools import count
from pathlib import Path
from typing import IO, Any, ClassVar

import gevent
from gevent.event import AsyncResult

from kefu.bench.load.plan import UID_PREFIX, Plan, Sample, read_arrivals
from kefu.bench.load.traffic import Arrival

CONNECT_SECONDS = 10.0
REPLY_SECONDS = 120.0
# Between the clock's zero and the first customer, while Locust gets ready.
LEAD_SECONDS = 0.5


class Dispatcher:
    """Hands out each message when it is due: to the customer it was drawn for, or, where that one
    still waits for a reply, to the one that has been idle longest. Where nobody is free it waits, and
    the wait counts."""

    def __init__(self, arrivals: Iterable[Arrival], zero: float) -> None:
        self._arrivals = arrivals
        self._zero = zero
        self._idle: dict[int, AsyncResult] = {}
        self._late: deque[Arrival] = deque()
        self._is_over = False

    def run(self) -> None:
        for arrival in self._arrivals:
            gevent.sleep(max(0.0, arrival.due - self.now()))
            self._hand_out(arrival)
        self._is_over = True
        for idle in self._idle.values():
            idle.set(None)

    def now(self) -> float:
        return time.perf_counter() - self._zero

    def next_for(self, customer: int) -> Arrival | None:
        """Waits for it. None when there will be no more."""
        if self._late:
            return self._late.popleft()
        if self._is_over:
            return None
        self._idle[customer] = idle = AsyncResult()
        arrival: Arrival | None = idle.get()
        return arrival

    def _hand_out(self, arrival: Arrival) -> None:
        longest = next(iter(self._idle), None)
        chosen = arrival.user if arrival.user in self._idle else longest
        if chosen is None:
            self._late.append(arrival)
        else:
            self._idle.pop(chosen).set(arrival)


class Customer(FastHttpUser):
    """Sends one message after another, the next when the reply to the last is there."""

    abstract = True
    wait_time = constant(0)
    connection_timeout = CONNECT_SECONDS
    network_timeout = REPLY_SECONDS
    plan: ClassVar[Plan]
    numbers: ClassVar[Iterator[int]]
    dispatcher: ClassVar[Dispatcher]
    out: ClassVar[IO[str]]

    def on_start(self) -> None:
        self.number = next(self.numbers)
        self.uid = f"{UID_PREFIX}{self.plan.run}-{self.number}"

    @task
    def send_next(self) -> None:
        """After the last one the customer goes."""
        arrival = self.dispatcher.next_for(self.number)
        if arrival is None:
            raise StopUser
        sample = self._send(arrival)
        self.out.write(json.dumps(asdict(sample)) + "\n")

    def _now(self) -> float:
        return self.dispatcher.now()

    def _send(self, arrival: Arrival) -> Sample:
        body = {"uid": self.uid, "message": arrival.message, "stream": arrival.is_streamed}
        headers = {"Accept-Encoding": "identity"}
        if self.plan.key:
            headers["Authorization"] = f"Bearer {self.plan.key}"
        begun, first, source, error = self._now(), None, "", ""
        response = self.client.post(
            "/chat", json=body, headers=headers, stream=arrival.is_streamed, name=arrival.kind
        )
        status = response.status_code
        try:
            if status == 200 and arrival.is_streamed:
                first, done = self._read_events(response.stream)
                source = done["source"]
            elif status == 200:
                source = response.json()["source"]
            else:
                error = (
                    str(getattr(response, "error", "no reply")) if status == 0 else _code(response)
                )
        except Exception as problem:  # noqa: BLE001 - whatever ended the reply is what is measured
            status, error = 0, f"{type(problem).__name__}: {problem}"
        return Sample(
            arrival.due,
            begun,
            first,
            self._now(),
            arrival.kind,
            arrival.is_streamed,
            status,
            source,
            error,
        )

    def _read_events(self, stream: Any) -> tuple[float | None, dict[str, Any]]:
        """When the first piece came, and the reply. Raises where the stream ends without one."""
        first, name = None, ""
        while line := stream.readline(b"\n"):
            head, _, value = line.strip().partition(b": ")
            if head == b"event":
                name = value.decode()
                if name == "delta" and first is None:
                    first = self._now()
            elif head == b"data" and name == "done":
                return first, json.loads(value)
            elif head == b"data" and name == "error":
                raise RuntimeError(json.loads(value).get("code", "error"))
        raise EOFError("the stream ended without a reply")


def _code(response: Any) -> str:
    """The code of a problem, or the status where the body is none."""
    try:
        return str(response.json()["code"])
    except (ValueError, KeyError, TypeError):
        return f"status {response.status_code}"


def main() -> None:
    plan = Plan(**json.loads(Path(sys.argv[1]).read_text("utf-8")))
    arrivals = read_arrivals(Path(plan.arrivals))
    with Path(plan.samples).open("w", encoding="utf-8") as out:
        _play(plan, arrivals, out)


def _play(plan: Plan, arrivals: Iterable[Arrival], out: IO[str]) -> None:
    zero = time.perf_counter() + LEAD_SECONDS
    dispatcher = Dispatcher(arrivals, zero)
    members = {
        "abstract": False,
        "plan": plan,
        "numbers": count(),
        "dispatcher": dispatcher,
        "out": out,
    }
    user_class = type("Player", (Customer,), members)
    environment = Environment(user_classes=[user_class], host=plan.url, events=events)
    runner = environment.create_local_runner()
    runner.start(plan.users, plan.spawn_rate)
    dispatching = gevent.spawn(dispatcher.run)
    end = zero + plan.seconds + plan.grace_seconds
    while time.perf_counter() < end and (not dispatching.ready() or runner.user_count):
        gevent.sleep(0.1)
    runner.quit()


if __name__ == "__main__":
    main()
