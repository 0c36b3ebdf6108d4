"""What a measurement was taken on. Figures of two machines are not compared without it."""

from __future__ import annotations

import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from kefu import __version__
from kefu.settings import usable_cpus

# Instructions that decide how fast int8 and bfloat16 are.
_TELLING = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")

_PACKAGES = ("numpy", "onnxruntime", "torch", "transformers", "onnx", "tokenizers")


def describe_machine() -> dict[str, Any]:
    """JSON: processor, cores, memory, system and the versions of what was measured.

    `busy_percent` is what other programs take of all processors; it is looked at for a second.
    """
    cpuinfo = _cpuinfo()
    flags = set(cpuinfo.get("flags", "").split())
    return {
        "cpu": cpuinfo.get("model name") or platform.processor() or platform.machine(),
        "instructions": [name for name in _TELLING if name in flags],
        "physical_cores": psutil.cpu_count(logical=False),
        "usable_cpus": usable_cpus(),
        "busy_percent": psutil.cpu_percent(interval=1),
        "memory_gib": round(psutil.virtual_memory().total / 1024**3, 1),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"python": platform.python_version(), "kefu": __version__}
        | dict(_versions(_PACKAGES)),
    }


def _cpuinfo() -> dict[str, str]:
    """Of the first processor. Empty where there is no such file (macOS, Windows)."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def _versions(packages: Iterable[str]) -> Iterable[tuple[str, str]]:
    for name in packages:
        try:
            yield name, metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
