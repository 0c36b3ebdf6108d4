"""How many messages are worked on at once: as many as this machine answers in good time.

Found out by additive increase and multiplicative decrease, as TCP finds the rate of a path it knows
nothing of (Chiu and Jain 1989), and servers since Netflix's concurrency-limits (2018). Whoever comes
beyond that is told at once when to come again, instead of making everybody wait.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from kefu.errors import Overloaded
from kefu.telemetry import Metrics

# So many are always let in: one slow reply, on a machine that only wakes up, refuses nobody.
LEAST = 32.0
MOST = 1000.0
FIRST = 100.0
CUT = 0.9
# Not all at once, those that were refused at one moment.
AGAIN_SECONDS = (1, 2, 3)


class ConcurrencyLimit:
    """Counts the turns that are worked on; those that wait for the generator have a queue of their
    own and stand `aside`. For one event loop."""

    def __init__(
        self,
        aim_seconds: float,
        metrics: Metrics,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._aim_seconds = aim_seconds
        self._metrics = metrics
        self._clock = clock
        self._limit = FIRST
        self._working = 0
        self._cut_at = -aim_seconds
        metrics.turn_limit.set(FIRST)

    @property
    def limit(self) -> float:
        return self._limit

    def enter(self) -> None:
        """Count a turn, until it leaves. Raises `Overloaded` where as many are worked on as are answered
        in time."""
        if self._working >= self._limit:
            self._metrics.refused_turns.inc()
            full = Overloaded(
                f"{self._working} messages are being answered, as many as this desk answers in "
                "time. Send the message again in a moment."
            )
            full.retry_after_seconds = random.choice(AGAIN_SECONDS)  # noqa: S311 - nobody is to be fooled
            raise full
        self._working += 1

    def leave(self) -> None:
        self._working -= 1

    @contextmanager
    def aside(self) -> Iterator[None]:
        """For a turn that only waits now."""
        self._working -= 1
        try:
            yield
        finally:
            self._working += 1

    def note(self, seconds: float) -> None:
        """A turn that never stood aside took so long."""
        now = self._clock()
        if seconds <= self._aim_seconds:
            if 2 * self._working >= self._limit:  # else it says nothing about more
                self._set(min(MOST, self._limit + 1 / self._limit))
        elif now - self._cut_at >= self._aim_seconds:  # those after it came in before the cut
            self._cut_at = now
            self._set(max(LEAST, CUT * self._limit))

    def _set(self, limit: float) -> None:
        self._limit = limit
        self._metrics.turn_limit.set(limit)
