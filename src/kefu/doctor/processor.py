"""What the processor can do, as far as kefu's programs care."""

from __future__ import annotations

import platform
from pathlib import Path

# Instructions that decide how fast int8 and bfloat16 are.
TELLING = ("avx2", "avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")
# Built for processors of 2013 and later; nothing above is used by llama.cpp's packaged build.
NEEDED_BY_LLAMA = ("avx2", "fma", "f16c", "bmi2")
UNUSED_BY_LLAMA = ("avx512f", "avx512_vnni", "avx_vnni", "avx512_bf16", "amx_int8", "amx_bf16")


def cpuinfo() -> dict[str, str]:
    """Of the first processor. Empty where there is no such file (macOS, Windows)."""
    try:
        text = Path("/proc/cpuinfo").read_text("utf-8")
    except OSError:
        return {}
    lines = (line.partition(":") for line in text.split("\n\n")[0].splitlines())
    return {name.strip(): value.strip() for name, _, value in lines}


def name_of(info: dict[str, str]) -> str:
    return info.get("model name") or platform.processor() or platform.machine()


def flags_of(info: dict[str, str]) -> frozenset[str]:
    """Empty where they are not known."""
    return frozenset(info.get("flags", "").split())
