"""What llama.cpp can compute with on this machine, asked in a child: it is native code."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass

from kefu.errors import GeneratorUnavailable

_SECONDS = 60
_GPUS = ("GPU", "IGPU")
_ASK = """
import json, os, sys
pipe = os.dup(1)
os.dup2(2, 1)  # llama.cpp prints where it likes
import xllamacpp
found = [
    {"name": d["name"], "description": d["description"], "free_bytes": d["memory_free"],
     "total_bytes": d["memory_total"], "kind": d["type"].name.rpartition("_")[2]}
    for d in xllamacpp.get_device_info()
]
os.write(pipe, json.dumps(found).encode())
"""


@dataclass(frozen=True)
class Device:
    """`kind`: CPU, GPU, IGPU (shares the machine's memory) or ACCEL."""

    name: str
    description: str
    kind: str
    free_bytes: int
    total_bytes: int

    @property
    def is_gpu(self) -> bool:
        return self.kind in _GPUS


def find_devices() -> list[Device]:
    """Raises `GeneratorUnavailable` where llama.cpp cannot even be loaded."""
    try:
        done = subprocess.run(
            [sys.executable, "-P", "-c", _ASK], capture_output=True, timeout=_SECONDS, check=True
        )
    except (subprocess.SubprocessError, OSError) as error:
        said = getattr(error, "stderr", None) or b""
        last = said.decode(errors="replace").strip().splitlines()[-1:] or [str(error)]
        raise GeneratorUnavailable(f"llama.cpp cannot be loaded: {last[0]}") from error
    return [Device(**found) for found in json.loads(done.stdout)]
