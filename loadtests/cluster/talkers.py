"""The customers: a constant rate of messages, each sent again until somebody answers it.

Who waits for a reply writes nothing meanwhile; the customer who has been idle longest writes instead,
and where nobody is idle the message is late and the wait counts (kefu/bench/load/traffic.py).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from loadtests.cluster.record import GAVE_UP, UID_PREFIX, Attempt, Message
from loadtests.cluster.wire import Client, Response

from kefu.bench.load.traffic import Arrival

GIVE_UP_SECONDS = 30.0
FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0
# What tells a customer to come again.
TRY_AGAIN = frozenset({0, 429, 502, 503, 504})


@dataclass
class Talkers:
    """`uids` customers of the gateway at `origin`. `told` grows while they talk. Times count from when
    this is made."""

    origin: str
    uids: int
    seed: int = 1
    told: list[Message] = field(default_factory=list)
    zero: float = field(default_factory=time.monotonic)
    enough: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._client = Client(self.origin)
        self._dice = random.Random(self.seed)
        self._idle = dict.fromkeys(range(self.uids))
        self._late: deque[Arrival] = deque()
        self._numbers = 0

    def now(self) -> float:
        return time.monotonic() - self.zero

    async def talk(self, arrivals: Iterable[Arrival]) -> None:
        """Send each message when it is due, until there is `enough`, and return when the last one has
        been answered or given up."""
        try:
            async with asyncio.TaskGroup() as group:
                for arrival in arrivals:
                    await asyncio.sleep(max(0.0, arrival.due - self.now()))
                    if self.enough.is_set():
                        break
                    self._hand_out(arrival, group)
        finally:
            self._client.close()

    def _hand_out(self, arrival: Arrival, group: asyncio.TaskGroup) -> None:
        customer = arrival.user if arrival.user in self._idle else next(iter(self._idle), None)
        if customer is None:
            self._late.append(arrival)
            return
        del self._idle[customer]
        group.create_task(self._be(customer, arrival))

    async def _be(self, customer: int, arrival: Arrival) -> None:
        """One message after another, as long as some are late."""
        self.told.append(await self._insist(customer, arrival))
        while self._late:
            self.told.append(await self._insist(customer, self._late.popleft()))
        self._idle[customer] = None

    async def _insist(self, customer: int, arrival: Arrival) -> Message:
        """Send until it is answered, refused for good, or `GIVE_UP_SECONDS` are over."""
        self._numbers += 1
        uid = f"{UID_PREFIX}{customer}"
        message = Message(self._numbers, uid, arrival.kind, arrival.message, arrival.due, ())
        end = self.now() + GIVE_UP_SECONDS
        attempts: list[Attempt] = []
        reply: dict[str, Any] = {}
        pause = FIRST_PAUSE_SECONDS
        while not reply:
            attempt, response = await self._send(message, end - self.now())
            attempts.append(attempt)
            if attempt.is_good and response:
                reply = response.json()
            elif attempt.status not in TRY_AGAIN:
                break
            else:
                # Not all at once, when what they waited for is back.
                asked = max(pause, _retry_after(response)) * self._dice.uniform(0.75, 1.25)
                if self.now() + asked >= end:
                    break
                await asyncio.sleep(asked)
                pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        return Message(
            message.number,
            uid,
            message.kind,
            message.text,
            message.due,
            tuple(attempts),
            reply.get("turn_id", ""),
            reply.get("reply", ""),
            reply.get("source", ""),
            is_written="generate" in reply.get("timings_ms", ()),
        )

    async def _send(self, message: Message, seconds: float) -> tuple[Attempt, Response | None]:
        sent = self.now()
        body = {"uid": message.uid, "message": message.text}
        headers = {"Idempotency-Key": message.key}
        try:
            response = await self._client.post("/chat", body, headers, seconds)
        except TimeoutError:
            return Attempt(sent, self.now(), 0, GAVE_UP), None
        except OSError as error:
            return Attempt(sent, self.now(), 0, f"{type(error).__name__}: {error}"), None
        error = "" if response.status == 200 else _code(response)
        return Attempt(sent, self.now(), response.status, error), response


def _retry_after(response: Response | None) -> float:
    value = response.headers.get(b"retry-after", b"") if response else b""
    return float(value) if value.isdigit() else 0.0


def _code(response: Response) -> str:
    """The code of a problem, or the status where the body is none."""
    try:
        return str(response.json()["code"])
    except (ValueError, KeyError, TypeError):
        return f"status {response.status}"
