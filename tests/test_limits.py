"""What a container lets this process have: files as the kernel writes them, and the kernel itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from uuid import uuid4

import psutil
import pytest

from kefu.limits import OWN, ROOT, Limits, find_limits, usable_cpus
from kefu.settings import GeneratorSettings, inference

GIB = 1024**3


def write(folder: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Where control groups are mounted."""
    return tmp_path / "cgroup"


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """What names the groups of this process."""
    return tmp_path / "own"


def test_limits_of_a_container(root: Path, own: Path):
    own.write_text("0::/\n")
    files = {"memory.max": "1073741824\n", "memory.current": "268435456\n"}
    write(root, {**files, "cpu.max": "150000 100000\n"})
    assert find_limits(root, own) == Limits(1 * GIB, GIB // 4, 1.5)


def test_a_limit_holds_for_all_groups_below(root: Path, own: Path):
    own.write_text("0::/kube/pod/app\n")
    files = {
        "cpu.max": "max 100000\n",
        "kube/pod/memory.max": "2147483648\n",
        "kube/pod/cpu.max": "200000 100000\n",
        "kube/pod/app/memory.max": "max\n",
        "kube/pod/app/memory.current": "1000\n",
        "kube/pod/app/cpu.max": "400000 100000\n",
        "kube/other/cpu.max": "100000 100000\n",
    }
    write(root, files)
    assert find_limits(root, own) == Limits(2 * GIB, 1000, 2.0)


def test_the_older_control_groups(root: Path, own: Path):
    quota = {"cpu/cpu.cfs_quota_us": "50000\n", "cpu/cpu.cfs_period_us": "100000\n"}
    write(root, {"memory/memory.limit_in_bytes": "536870912\n", **quota})
    write(root, {"memory/memory.usage_in_bytes": "100\n"})
    assert find_limits(root, own) == Limits(GIB // 2, 100, 0.5)
    write(root, {"memory/memory.limit_in_bytes": "9223372036854771712\n"})
    write(root, {"cpu/cpu.cfs_quota_us": "-1\n"})
    assert find_limits(root, own) == Limits(None, None, None)


@pytest.mark.parametrize("there", ["/system.slice/docker.service", ""])
def test_each_older_controller_has_groups_of_its_own(root: Path, own: Path, there: str):
    """A container may be told the host's path, and see its own group as the root."""
    own.write_text(
        "12:memory:/a:colon\n4:cpu,cpuacct:/system.slice/docker.service/main\n2:cpuset:/\n0::/b\n"
    )
    quota = {"cpu.cfs_quota_us": "300000\n", "cpu.cfs_period_us": "100000\n"}
    write(root / f"cpu{there}", quota)
    write(root / "memory/a:colon", {"memory.limit_in_bytes": "1073741824\n"})
    assert find_limits(root, own) == Limits(GIB, None, 3.0)


def test_no_control_groups_no_limits(root: Path, own: Path):
    assert find_limits(root, own) == Limits(None, None, None)


@pytest.mark.parametrize(
    ("quota", "cpus"),
    [
        ("200000 100000", 2),  # docker run --cpus 2
        ("250000 100000", 2),  # the half is no processor
        ("50000 100000", 1),
        ("9900000 100000", 64),
        ("max 100000", 64),
    ],
)
def test_no_more_processors_are_usable_than_the_quota_lets_run(
    quota: str, cpus: int, root: Path, own: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(64)), raising=False)
    own.write_text("0::/box\n")
    write(root, {"box/cpu.max": f"{quota}\n"})
    assert usable_cpus(root, own) == cpus


@pytest.mark.parametrize(("usable", "threads"), [(2, 2), (64, 32)])
def test_llama_takes_physical_cores_that_are_usable(
    usable: int, threads: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(psutil, "cpu_count", lambda logical=True: 64 if logical else 32)
    monkeypatch.setattr(inference, "usable_cpus", lambda: usable)
    assert GeneratorSettings().detected_threads == threads
    assert GeneratorSettings(threads=48).detected_threads == 48


SEEN = """
import json, os
from kefu.limits import find_limits, usable_cpus
from kefu.settings import GeneratorSettings
print(json.dumps([find_limits().cpus, usable_cpus(), GeneratorSettings().detected_threads]))
"""


def seen_by(*command: str) -> tuple[float | None, int, int]:
    """Quota, usable processors and llama.cpp's threads, as a process sees them that `command` starts."""
    done = subprocess.run(
        [*command, sys.executable, "-c", SEEN], capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    quota, cpus, threads = json.loads(done.stdout)
    return quota, cpus, threads


@pytest.mark.skipif(sys.platform != "linux", reason="taskset is Linux's")
def test_a_process_that_may_run_on_one_processor_uses_one():
    first = min(os.sched_getaffinity(0))
    assert seen_by("taskset", "--cpu-list", str(first))[1:] == (1, 1)


@pytest.fixture
def limited() -> Iterator[Path]:
    """A control group of this machine that lies in one with a quota of 1.5 processors."""
    if "cpu" in _words(ROOT / "cgroup.subtree_control"):
        parent, files = ROOT, {"cpu.max": "150000 100000"}
    elif any(re.fullmatch(r"\d+:(.+,)?cpu(,.+)?:/", line) for line in _words(OWN)):
        parent = ROOT / "cpu"
        files = {"cpu.cfs_period_us": "100000", "cpu.cfs_quota_us": "150000"}
    else:
        pytest.skip("control groups are not here, or not for this process to make")
    outer = parent / f"kefu-test-{uuid4().hex[:8]}"
    with ExitStack() as groups:
        try:
            for group in (outer, outer / "inner"):
                group.mkdir()
                groups.callback(group.rmdir)
            for name, text in files.items():
                (outer / name).write_text(text)
        except OSError as error:  # not root, read-only, or within a quota that is smaller
            pytest.skip(f"no control group with a quota can be made: {error}")
        yield outer / "inner"


def _words(path: Path) -> list[str]:
    return path.read_text("utf-8").split() if path.exists() else []


def test_a_quota_that_the_kernel_holds_a_process_to(limited: Path):
    join = 'echo $$ > "$0/cgroup.procs" && exec "$@"'
    quota = min(1.5, find_limits().cpus or 1.5)
    assert seen_by("sh", "-c", join, str(limited)) == (quota, 1, 1)
