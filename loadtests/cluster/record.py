"""What is written down during a run. All times in seconds after the first message was due."""

from __future__ import annotations

from dataclasses import dataclass

from kefu.bench.load.traffic import Kind

# All customers of a run: turns of others, say of somebody who tries the chat page, do not count.
UID_PREFIX = "talker-"
GAVE_UP = "gave up"


@dataclass(frozen=True)
class Attempt:
    """One request. `status` 0: no answer came, `error` says why; else the code of the problem."""

    sent: float
    ended: float
    status: int
    error: str = ""

    @property
    def is_good(self) -> bool:
        return self.status == 200

    @property
    def is_ours(self) -> bool:
        """Nobody failed it: its customer gave up, and the message counts as unanswered."""
        return self.error == GAVE_UP

    @property
    def is_refusal(self) -> bool:
        """Told to come again because too much came at once; nothing was done with it."""
        return self.error in ("overloaded", "too_many_waiting", "too_many_requests")


@dataclass(frozen=True)
class Message:
    """A customer's message and what became of it. `number`: of all messages, in the order in which they
    were sent. `turn_id` is empty where nobody acknowledged it. `is_written`: the generator was asked, whether
    or not what it wrote was used."""

    number: int
    uid: str
    kind: Kind
    text: str
    due: float
    attempts: tuple[Attempt, ...]
    turn_id: str = ""
    reply: str = ""
    source: str = ""
    is_written: bool = False

    @property
    def key(self) -> str:
        """The `Idempotency-Key`: carries the number, so that the text may stay a customer's."""
        return f"{self.uid}-{self.number}"

    @property
    def is_acknowledged(self) -> bool:
        return bool(self.turn_id)

    @property
    def ended(self) -> float:
        return self.attempts[-1].ended

    @property
    def wait(self) -> float:
        """From when it was due, whether or not its customer was free to send it."""
        return self.ended - self.due

    @property
    def failures(self) -> list[Attempt]:
        return [attempt for attempt in self.attempts if not attempt.is_good]


@dataclass(frozen=True)
class KeptTurn:
    """A row of the transcript; lists of them are in the order of `seq`."""

    uid: str
    idempotency_key: str | None
    turn_id: str
    status: str
    question: str
    reply: str
    source: str


@dataclass(frozen=True)
class Outage:
    """kill -9 of one program. `gone_at`: its last process is gone; `back_at`: its process is ready; `whole_at`: so is every desk, whose
    connections to it had to be made anew."""

    program: str
    killed_at: float
    gone_at: float
    back_at: float
    whole_at: float

    def covers(self, attempt: Attempt) -> bool:
        """Whether any of it was under way in the outage."""
        return attempt.sent <= self.whole_at and attempt.ended >= self.killed_at

    def cut_off(self, attempt: Attempt) -> bool:
        """Whether it was under way when the program was killed."""
        return attempt.sent <= self.gone_at and attempt.ended >= self.killed_at
