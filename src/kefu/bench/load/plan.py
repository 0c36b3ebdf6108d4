"""What the parent tells the process that plays the customers, and what it hears from it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from kefu.bench.load.traffic import Arrival, Kind

UID_PREFIX = "bench-"


@dataclass(frozen=True)
class Plan:
    """`url`: the desk's; `run`: part of every uid, so that no test meets the talks of another.

    `grace_seconds`: how long a reply may take after the last message was due.
    """

    url: str
    key: str
    run: str
    users: int
    spawn_rate: float
    seconds: float
    grace_seconds: float
    arrivals: str
    samples: str


@dataclass(frozen=True)
class Sample:
    """What became of a message. Times in seconds after the start; `first`: the first piece of a
    stream. `status` 0: no reply came, `error` says why."""

    due: float
    begun: float
    first: float | None
    ended: float
    kind: Kind
    is_streamed: bool
    status: int
    source: str
    error: str = ""

    @property
    def latency(self) -> float:
        """Seconds from when it was due."""
        return self.ended - self.due

    @property
    def is_error(self) -> bool:
        return self.status != 200


def write_arrivals(path: Path, arrivals: Iterable[Arrival]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for arrival in arrivals:
            file.write(json.dumps(asdict(arrival), ensure_ascii=False) + "\n")


def read_arrivals(path: Path) -> Iterator[Arrival]:
    with path.open(encoding="utf-8") as file:
        for line in file:
            yield Arrival(**json.loads(line))


def read_samples(path: Path) -> list[Sample]:
    """In the order in which they were due."""
    with path.open(encoding="utf-8") as file:
        samples = [Sample(**json.loads(line)) for line in file]
    return sorted(samples, key=lambda sample: sample.due)
