"""Identifiers and times, made in one way everywhere."""

from __future__ import annotations

import time
import uuid


def now_ms() -> int:
    """Milliseconds since 1970, UTC."""
    return time.time_ns() // 1_000_000


def new_id() -> str:
    """32 hexadecimal digits that nobody can guess."""
    return uuid.uuid4().hex
