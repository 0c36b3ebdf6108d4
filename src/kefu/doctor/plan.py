"""Which generators this machine carries, and where their layers go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import psutil

from kefu.errors import KefuError
from kefu.inference.generator.devices import Device, find_devices
from kefu.inference.generator.memory import (
    MemoryNeed,
    footprint_of,
    layers_that_fit,
    need_of,
)
from kefu.inference.models.catalogue import Footprint, load_catalogue
from kefu.inference.models.gguf_file import open_gguf
from kefu.inference.models.installed import inspect_installed
from kefu.inference.models.resolve import LocalGguf, resolve_generator
from kefu.settings import Settings

GIB = 1024**3


@dataclass(frozen=True)
class Fit:
    """One generator on this machine. `is_here`: its figures are read from its file."""

    model: str
    is_used: bool
    is_here: bool
    need: MemoryNeed
    verdict: str

    @property
    def sentence(self) -> str:
        return f"needs {self.need.total / GIB:.1f} GiB: {self.verdict}"


def plan_of(settings: Settings) -> list[Fit]:
    """Every generator whose size is known, smallest first."""
    try:
        gpus = [device for device in find_devices() if device.is_gpu]
    except KefuError:  # said by the check of llama.cpp
        gpus = []
    fits = [
        _fit(name, footprint, is_here, settings, gpus)
        for name, footprint, is_here in _footprints(settings)
    ]
    return sorted(fits, key=lambda fit: fit.need.total)


def _footprints(settings: Settings) -> Iterator[tuple[str, Footprint, bool]]:
    chosen = settings.generator.model
    models = load_catalogue(settings.data_dir).models
    for model in models.values():
        if model.task != "generator":
            continue
        try:
            path = inspect_installed(model, settings.models_dir).path
            with open_gguf(path) as gguf:
                yield model.name, footprint_of(gguf), True
        except (KefuError, KeyError):  # not here, or of a kind that does not say
            if model.footprint:
                yield model.name, model.footprint, False
    if chosen not in models:
        try:
            found = resolve_generator(settings)
            if isinstance(found, LocalGguf):
                with open_gguf(found.path) as gguf:
                    yield chosen, footprint_of(gguf), True
        except (KefuError, KeyError):  # said by the check of the generator
            return


def _fit(
    name: str, footprint: Footprint, is_here: bool, settings: Settings, gpus: list[Device]
) -> Fit:
    need = need_of(footprint, settings.generator, on_gpu=bool(gpus))
    verdict = _verdict(footprint, need, gpus)
    return Fit(name, name == settings.generator.title, is_here, need, verdict)


def _verdict(footprint: Footprint, need: MemoryNeed, gpus: list[Device]) -> str:
    on_gpus = sum(layers_that_fit(footprint, need, gpu.free_bytes) for gpu in gpus)
    if on_gpus >= footprint.layers:
        return "all on the graphics card"
    if need.total > psutil.virtual_memory().available + sum(gpu.free_bytes for gpu in gpus):
        return "does not fit"
    if on_gpus:
        return f"{on_gpus} of {footprint.layers} layers on the graphics card, the rest on the CPU"
    return "fits, on the CPU"
