"""What a container, or a slice of systemd, lets its processes have (Linux control groups)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/sys/fs/cgroup")
OWN = Path("/proc/self/cgroup")
# Version 1 writes "no limit" as the largest multiple of a page that it can count.
_NO_LIMIT = 2**62


@dataclass(frozen=True)
class Limits:
    """None: no limit. `cpus`: of the quota, a fraction of processors."""

    memory_bytes: int | None
    memory_used_bytes: int | None
    cpus: float | None


def find_limits(root: Path = ROOT, own: Path = OWN) -> Limits:
    """The tightest along the way from this process's group to the root: a limit holds for all below."""
    groups = _groups(root, own)
    memory = [
        _number(g / "memory.max") or _number(g / "memory/memory.limit_in_bytes") for g in groups
    ]
    limit = min((m for m in memory if m), default=None)
    used = next(
        (
            found
            for group in groups
            for name in ("memory.current", "memory/memory.usage_in_bytes")
            if (found := _number(group / name)) is not None
        ),
        None,
    )
    quotas = [quota for group in groups if (quota := _cpus(group)) is not None]
    return Limits(limit, used if limit else None, min(quotas, default=None))


def _groups(root: Path, own: Path) -> list[Path]:
    """This process's group in the unified tree and those it lies in, innermost first; in a container
    the root is its own group."""
    try:
        lines = own.read_text("utf-8").splitlines()
    except OSError:
        return [root]
    path = next((line[3:] for line in lines if line.startswith("0::")), "/")
    inner = root / path.lstrip("/")
    return [inner, *(parent for parent in inner.parents if parent.is_relative_to(root))]


def _cpus(group: Path) -> float | None:
    try:
        quota, period = (group / "cpu.max").read_text("utf-8").split()
    except (OSError, ValueError):
        quota_us = _number(group / "cpu/cpu.cfs_quota_us")
        period_us = _number(group / "cpu/cpu.cfs_period_us")
        return quota_us / period_us if quota_us and quota_us > 0 and period_us else None
    return None if quota == "max" else int(quota) / int(period)


def _number(path: Path) -> int | None:
    try:
        text = path.read_text("utf-8").strip()
    except OSError:
        return None
    number = int(text) if text.lstrip("-").isdigit() else None
    return None if number is None or number >= _NO_LIMIT else number
