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
    return os.urandom(16).hex()
