"""What a customer thought of a reply: thumbs up or down, with a reason where one was given."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from kefu.stamps import now_ms

Thumb = Literal["up", "down"]

MAX_REASON = 500


@dataclass(frozen=True)
class Rating:
    """The last word of the customer on one reply; an earlier one is forgotten."""

    value: Thumb
    reason: str = ""
    created_at_ms: int = field(default_factory=now_ms)
