"""What this process may use of the machine: in a container, or a slice of systemd, that is less than
there is (Linux control groups, versions 2 and 1, where systemd and containers mount them)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import cache
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


@cache
def usable_cpus(root: Path = ROOT, own: Path = OWN) -> int:
    """Processors that this process can keep busy, at least one; looked up once.

    They are as many as it may run on, but no more than the whole ones of its quota: who uses up the
    quota is stopped until the next period (100 ms), and threads that meet wait for the stopped one.
    """
    if hasattr(os, "sched_getaffinity"):
        allowed = len(os.sched_getaffinity(0))
    else:
        allowed = os.cpu_count() or 1
    quota = find_limits(root, own).cpus
    return allowed if quota is None else max(1, min(allowed, int(quota)))


def find_limits(root: Path = ROOT, own: Path = OWN) -> Limits:
    """The tightest along the way from this process's group to the root: a limit holds for all below.

    `root` is where the groups are mounted, `own` the file that names those of this process.
    """
    groups = _groups("memory", root, own)
    memory = [_number(g / "memory.max") or _number(g / "memory.limit_in_bytes") for g in groups]
    limit = min((m for m in memory if m), default=None)
    used = next(
        (
            found
            for group in groups
            for name in ("memory.current", "memory.usage_in_bytes")
            if (found := _number(group / name)) is not None
        ),
        None,
    )
    quotas = [_quota(group) or _older_quota(group) for group in _groups("cpu", root, own)]
    return Limits(limit, used if limit else None, min((q for q in quotas if q), default=None))


def _groups(controller: str, root: Path, own: Path) -> list[Path]:
    """This process's groups and those they lie in, innermost first: of the one tree of version 2, and
    of the tree that `controller` has in version 1.

    Where a container is told paths of the host, they are not there; its root is then its own group.
    """
    unified = older = "/"
    for line in _lines(own):  # "0::/path" or "4:cpu,cpuacct:/path", cgroups(7)
        _, controllers, path = line.split(":", 2)
        if not controllers:
            unified = path
        elif controller in controllers.split(","):
            older = path
    return [*_upwards(root, unified), *_upwards(root / controller, older)]


def _upwards(root: Path, path: str) -> list[Path]:
    inner = root / path.lstrip("/")
    return [inner, *(parent for parent in inner.parents if parent.is_relative_to(root))]


def _quota(group: Path) -> float | None:
    try:
        quota, period = (group / "cpu.max").read_text("utf-8").split()
        return int(quota) / int(period)
    except (OSError, ValueError):  # no such group, or "max"
        return None


def _older_quota(group: Path) -> float | None:
    quota_us = _number(group / "cpu.cfs_quota_us")  # -1: none
    period_us = _number(group / "cpu.cfs_period_us")
    return quota_us / period_us if quota_us and quota_us > 0 and period_us else None


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text("utf-8").splitlines()
    except OSError:
        return []


def _number(path: Path) -> int | None:
    try:
        text = path.read_text("utf-8").strip()
    except OSError:
        return None
    number = int(text) if text.lstrip("-").isdigit() else None
    return None if number is None or number >= _NO_LIMIT else number
