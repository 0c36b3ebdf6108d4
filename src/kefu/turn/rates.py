"""How many messages a customer may send in a minute."""

from __future__ import annotations

import math
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Protocol

from kefu.errors import Overloaded

WINDOW_SECONDS = 60.0
# Customers kept in memory; one beyond these begins anew.
MAX_REMEMBERED = 100_000


class TooManyMessages(Overloaded):
    """This customer has sent as many messages in the last minute as one may."""

    status = 429
    code = "too_many_messages"


class Rates(Protocol):
    async def count(self, uid: str) -> None:
        """Count a message. Raises `TooManyMessages`, which is not counted."""
        ...


class OwnRates:
    """Those of one desk, by the generic cell rate algorithm (ITU-T I.371): a minute's messages may come at
    once, and then one whenever its share of the minute has passed. For one event loop."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_minute = per_minute
        self._clock = clock
        # When each customer has all of the minute again, the one who wrote last at the end.
        self._free_at: OrderedDict[str, float] = OrderedDict()

    async def count(self, uid: str) -> None:
        now = self._clock()
        free_at = max(now, self._free_at.get(uid, now)) + WINDOW_SECONDS / self._per_minute
        wait = free_at - now - WINDOW_SECONDS
        if wait > 1e-6:
            raise too_many(self._per_minute, wait)
        self._free_at[uid] = free_at
        self._free_at.move_to_end(uid)
        if len(self._free_at) > MAX_REMEMBERED:
            self._free_at.popitem(last=False)


def too_many(per_minute: int, wait_seconds: float) -> TooManyMessages:
    error = TooManyMessages(
        f"More than {per_minute} messages of this customer came in a minute. Wait a moment."
    )
    error.retry_after_seconds = max(1, math.ceil(wait_seconds))
    return error
