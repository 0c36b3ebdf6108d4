"""Identifiers and times, made in one way everywhere."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def utc_now() -> str:
    """The time in UTC for people, to the second: 2026-01-31T09:30:00+00:00."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def new_id() -> str:
    """32 hexadecimal digits that nobody can guess."""
    try:
        return _unused_ids.pop()
    except IndexError:
        fresh = os.urandom(_IDS_AT_ONCE * _ID_BYTES).hex()
        digits = 2 * _ID_BYTES
        _unused_ids.extend(fresh[at : at + digits] for at in range(digits, len(fresh), digits))
        return fresh[:digits]


# Each call of the system lets another thread take over, which takes its time under load.
_IDS_AT_ONCE = 256
_ID_BYTES = 16
_unused_ids: list[str] = []
if hasattr(os, "register_at_fork"):  # a child process must not give the same ones
    os.register_at_fork(after_in_child=_unused_ids.clear)
