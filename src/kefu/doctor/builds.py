"""Which build of llama.cpp uses a card, and how to get it.

What the builds of xllamacpp 2026.10 contain and need is what their README tells
(https://github.com/xorbitsai/xllamacpp): machine code for some cards, and portable code for others, which
the driver compiles if it is as new as the build.
"""

from __future__ import annotations

import platform
import shlex
import sys
from dataclasses import dataclass
from importlib import metadata

from kefu.doctor.cards import AmdCard, Card, NvidiaCard, Version

_INDEX = "https://xorbitsai.github.io/xllamacpp/whl"
_LEAST_GLIBC = (2, 35)


@dataclass(frozen=True)
class _CudaBuild:
    """`native`: compute capabilities there is machine code for, which any driver of the same CUDA
    generation runs; `portable_from`: those above run portable code, with a driver of `cuda`."""

    name: str
    cuda: Version
    native: frozenset[Version]
    portable_from: Version


_CUDA_BUILDS = (
    _CudaBuild(
        "cu132",
        (13, 2),
        frozenset({(7, 5), (8, 6), (8, 9), (12, 0), (12, 1)}),
        (8, 0),
    ),
    _CudaBuild("cu128", (12, 8), frozenset({(8, 6), (8, 9), (12, 0)}), (5, 0)),
)
_ROCM_TARGETS = {
    6: ("rocm-6.4.1", frozenset({"gfx1030", "gfx1031", "gfx1032", "gfx1100", "gfx1101", "gfx1102"})),
    7: (
        "rocm-7.2.4",
        frozenset({
            "gfx1030", "gfx1031", "gfx1032", "gfx1100", "gfx1101", "gfx1102",
            "gfx1150", "gfx1151", "gfx1200", "gfx1201", "gfx950",
        }),
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Advice:
    """`build`: the index of the build, "" where none runs; `why`: what must change first, or what is
    not as fast as it could be."""

    build: str
    why: str = ""

    @property
    def command(self) -> str:
        """Replaces the build that is installed by this one, in the Python that runs."""
        version = metadata.version("xllamacpp")
        return shlex.join(
            [
                *(sys.executable, "-m", "pip", "install", "--force-reinstall", "--no-deps"),
                *(f"xllamacpp=={version}", "--index-url", f"{_INDEX}/{self.build}"),
            ]
        )


def advice_for(card: Card, glibc: Version | None = None) -> Advice:
    """The best build for a card, given this machine's glibc (by default what is here)."""
    glibc = glibc or _glibc()
    if glibc and glibc < _LEAST_GLIBC:
        needed = ".".join(map(str, _LEAST_GLIBC))
        return Advice("", f"the builds for cards need glibc {needed}; here is {_dotted(glibc)}")
    return _for_nvidia(card) if isinstance(card, NvidiaCard) else _for_amd(card)


def _for_nvidia(card: NvidiaCard) -> Advice:
    if card.cuda is None:
        return Advice("", f"driver {card.driver} offers no CUDA: install libcuda with the driver")
    for build in _CUDA_BUILDS:
        if _runs(build, card):
            return Advice(build.name)
    fitting = [b for b in _CUDA_BUILDS if card.compute is None or card.compute >= b.portable_from]
    if not fitting:
        return Advice("vulkan", "too old for the builds with CUDA")
    needed = min(build.cuda for build in fitting)
    return Advice(
        "",
        f"driver {card.driver} runs CUDA {_dotted(card.cuda)}; update it to one that runs "
        f"{_dotted(needed)} or newer",
    )


def _runs(build: _CudaBuild, card: NvidiaCard) -> bool:
    assert card.cuda is not None
    if card.compute in build.native:
        return card.cuda >= (build.cuda[0], 0)
    is_covered = card.compute is None or card.compute >= build.portable_from
    return is_covered and card.cuda >= build.cuda


def _for_amd(card: AmdCard) -> Advice:
    if card.rocm is None:
        return Advice("vulkan", "ROCm is not installed; with it, its build is faster")
    build, targets = _ROCM_TARGETS.get(card.rocm[0], ("", frozenset()))
    if card.target in targets:
        return Advice(build)
    return Advice("vulkan", f"no build has {card.target} for ROCm {_dotted(card.rocm)}")


def _glibc() -> Version | None:
    name, version = platform.libc_ver()
    return tuple(map(int, version.split("."))) if name == "glibc" else None


def _dotted(version: Version) -> str:
    return ".".join(map(str, version))
