"""What a measurement was taken on. Figures of two machines are not compared without it."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib import metadata
from typing import Any

import psutil

from kefu import __version__
from kefu.doctor.processor import TELLING, cpuinfo, flags_of, name_of
from kefu.limits import usable_cpus

_PACKAGES = ("numpy", "onnxruntime", "torch", "transformers", "onnx", "tokenizers")


def describe_machine() -> dict[str, Any]:
    """JSON: processor, cores, memory, system and the versions of what was measured.

    `busy_percent` is what other programs take of all processors; it is looked at for a second.
    """
    info = cpuinfo()
    flags = flags_of(info)
    return {
        "cpu": name_of(info),
        "instructions": [name for name in TELLING if name in flags],
        "physical_cores": psutil.cpu_count(logical=False),
        "usable_cpus": usable_cpus(),
        "busy_percent": psutil.cpu_percent(interval=1),
        "memory_gib": round(psutil.virtual_memory().total / 1024**3, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), "kefu": __version__}
        | dict(_versions(_PACKAGES)),
    }


def _versions(packages: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in packages:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
