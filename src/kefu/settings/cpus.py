"""What the defaults of some settings depend on."""

from __future__ import annotations

import os
from functools import cache


@cache
def usable_cpus() -> int:
    """CPUs this process may use, which in a container is fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
