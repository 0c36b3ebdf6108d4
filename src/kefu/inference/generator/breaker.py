"""The circuit breaker (Nygard, Release It!, 2007): who fails again and again is left alone for a while."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Literal

FAILURES = 3
BACKOFF_SECONDS = (1.0, 2.0, 4.0, 8.0, 16.0, 30.0)

State = Literal["closed", "half_open", "open"]


class Breaker:
    """Closed: requests pass. After `FAILURES` in a row it opens; after a pause it is half open and
    lets one through: that one closes it, or opens it for a longer pause."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures = 0
        self._openings = 0
        self._until = 0.0
        self._on_trial = False

    @property
    def state(self) -> State:
        if not self._openings:
            return "closed"
        return "half_open" if self._clock() >= self._until else "open"

    @property
    def admits(self) -> bool:
        """Whether a request may go out now."""
        return self.state == "closed" or (self.state == "half_open" and not self._on_trial)

    @contextmanager
    def request(self) -> Iterator[bool]:
        """Around a request that `admits` allowed; whether it is the trial. One that says neither
        `succeed` nor `fail` (a customer who left) leaves the trial to the next."""
        is_trial = self.state == "half_open"
        self._on_trial = self._on_trial or is_trial
        try:
            yield is_trial
        finally:
            if is_trial:
                self._on_trial = False

    def succeed(self) -> None:
        self._failures = self._openings = 0

    def fail(self, *, is_trial: bool) -> None:
        """Requests that began before it opened and fail after that make its pause no longer."""
        self._failures += 1
        if is_trial if self._openings else self._failures >= FAILURES:
            pause = BACKOFF_SECONDS[min(self._openings, len(BACKOFF_SECONDS) - 1)]
            self._until = self._clock() + pause
            self._openings += 1

    def try_now(self) -> None:
        """End the pause: there is reason to believe that it works again."""
        self._until = self._clock()
