"""Graphics cards, as their makers' own tools tell: nvidia-smi and rocminfo.

llama.cpp can only tell of cards that its build can use; these tell of the others.
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

Version = tuple[int, ...]

_SECONDS = 20
_ROCM_VERSION = Path("/opt/rocm/.info/version")
_NVIDIA_QUERY = "--query-gpu=name,driver_version,memory.total,memory.free,compute_cap"
# Drivers before 510 do not know `compute_cap` and answer nothing at all.
_NVIDIA_OLD_QUERY = "--query-gpu=name,driver_version,memory.total,memory.free"
_CSV = "--format=csv,noheader,nounits"
# "CUDA Version" in the head of the table; newer drivers write "CUDA UMD Version". N/A: no libcuda.
_CUDA = re.compile(r"CUDA (?:UMD )?Version\s*:\s*(\d+)\.(\d+)")
_AGENT = re.compile(r"^\s+(Name|Marketing Name|Device Type):\s*(.*?)\s*$", re.MULTILINE)
_TARGET = re.compile(r"gfx[0-9a-f]+")
_MIB = 1024**2


@dataclass(frozen=True)
class NvidiaCard:
    """`driver`: its version; `cuda`: the newest CUDA it runs; `compute`: the compute capability.
    None where the tool does not tell."""

    name: str
    driver: str
    cuda: Version | None
    compute: Version | None
    total_bytes: int
    free_bytes: int


@dataclass(frozen=True)
class AmdCard:
    """`target`: the instruction set, as gfx1100; `rocm`: the version installed, None without."""

    name: str
    target: str
    rocm: Version | None


Card = NvidiaCard | AmdCard


def find_cards() -> list[Card]:
    """Those of NVIDIA, then those of AMD. Where a tool is missing or fails: none of its maker."""
    rows = _ask("nvidia-smi", _NVIDIA_QUERY, _CSV) or _ask("nvidia-smi", _NVIDIA_OLD_QUERY, _CSV)
    cards: list[Card] = list(read_nvidia_smi(rows, _ask("nvidia-smi") if rows else ""))
    rocm = _version(_ROCM_VERSION.read_text("utf-8")) if _ROCM_VERSION.is_file() else None
    return [*cards, *read_rocminfo(_ask("rocminfo"), rocm)]


def read_nvidia_smi(rows: str, table: str) -> list[NvidiaCard]:
    """`rows` of name, driver, total and free MiB and, of newer drivers, compute capability;
    `table` is what nvidia-smi prints by itself."""
    found = _CUDA.search(table)
    cuda = (int(found[1]), int(found[2])) if found else None
    cards = []
    for row in rows.splitlines():
        cells = [cell.strip() for cell in row.split(",")]
        if len(cells) < 4:
            continue
        name, driver, total, free, *rest = cells
        compute = _version(rest[0]) if rest else None
        cards.append(NvidiaCard(name, driver, cuda, compute, _bytes(total), _bytes(free)))
    return cards


def read_rocminfo(text: str, rocm: Version | None) -> list[AmdCard]:
    """The agents that are graphics cards. Each says its name, then what it is."""
    cards, agent = [], dict[str, str]()
    for key, value in _AGENT.findall(text):
        if key == "Name":  # of an agent, or of an instruction set, which has no type
            agent = {}
        agent[key] = value
        if key == "Device Type" and value == "GPU" and _TARGET.fullmatch(agent["Name"]):
            cards.append(AmdCard(agent.get("Marketing Name", "AMD"), agent["Name"], rocm))
    return cards


def _ask(*command: str) -> str:
    """What a tool prints; nothing where it is missing, fails or hangs."""
    try:
        done = subprocess.run(command, capture_output=True, timeout=_SECONDS, check=True)
    except (OSError, subprocess.SubprocessError):
        return ""
    return done.stdout.decode("utf-8", "replace")


def _version(text: str) -> Version | None:
    numbers: Sequence[str] = re.findall(r"\d+", text.split("-")[0])
    return tuple(map(int, numbers)) or None


def _bytes(mebibytes: str) -> int:
    return int(mebibytes) * _MIB if mebibytes.isdigit() else 0
