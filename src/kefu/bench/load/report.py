"""What `kefu bench serve` found, with what it was found on: for programs and for the pages."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from kefu.bench.load.figures import Figures
from kefu.bench.load.running import Capacity, Test
from kefu.bench.load.traffic import Mix


@dataclass(frozen=True)
class Report:
    machine: dict[str, Any]
    test: Test
    mix: Mix
    figures: Figures
    capacity: Capacity | None

    def as_json(self) -> dict[str, Any]:
        """JSON without the key."""
        found = asdict(self)
        del found["test"]["key"]
        return found

    @property
    def statement(self) -> str:
        """What this machine holds, in one sentence."""
        if self.capacity is None:
            return (
                f"{self.figures.rate:.0f} replies a second were given, "
                f"{_percent(self.figures.share_written)} of them generated."
            )
        limit = f"p99 < {self.capacity.limit_ms:g} ms"
        if self.capacity.rate is None:
            lowest = min(rate for rate, _, _ in self.capacity.steps)
            return f"This machine does not hold {lowest:.0f} requests/s at {limit}."
        return (
            f"This machine holds {self.capacity.rate:.0f} requests/s at {limit} "
            f"with {_percent(self.capacity.share_written)} generated."
        )


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
