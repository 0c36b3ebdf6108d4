"""The machine: processor, memory, disk, limits, clock, port, folder."""

from __future__ import annotations

import os
import shutil
import socket
import stat
import sys
import time
from pathlib import Path

import psutil

from kefu.doctor.builds import advice_for
from kefu.doctor.cards import find_cards
from kefu.doctor.finding import State
from kefu.doctor.processor import NEEDED_BY_LLAMA, UNUSED_BY_LLAMA, cpuinfo, flags_of, name_of
from kefu.inference.generator.devices import Device, find_devices
from kefu.limits import find_limits, usable_cpus
from kefu.settings import Settings

GIB = 1024**3
# Desk and embedded generator take under 1 GB; the rest is room for the system.
LEAST_MEMORY_BYTES = 2 * GIB
LEAST_DISK_BYTES = 1 * GIB
# kefu's first release. A clock before it makes new turns older than old ones, and entries invalid.
_CLOCK_SINCE = 1_767_225_600


def processor(settings: Settings) -> tuple[State, str]:
    generator, info = settings.generator, cpuinfo()
    flags = flags_of(info)
    said = (
        f"{name_of(info)}; {usable_cpus()} CPUs usable; llama.cpp takes "
        f"{generator.detected_threads} threads and writes {generator.detected_parallel} answers at once"
    )
    if missing := [name for name in NEEDED_BY_LLAMA if flags and name not in flags]:
        return "error", (
            f"{said}. It lacks {', '.join(missing)}, which the packaged llama.cpp needs: build "
            "xllamacpp from source, or give generator.model the address of another server"
        )
    if unused := [name for name in UNUSED_BY_LLAMA if name in flags]:
        said += (
            f". The packaged llama.cpp leaves {', '.join(unused)} unused; one built here uses them: "
            "pip install --no-binary xllamacpp --force-reinstall xllamacpp"
        )
    return "ok", said


def memory(_: Settings) -> tuple[State, str]:
    free = psutil.virtual_memory().available
    said = f"{free / GIB:.1f} GiB available"
    limits = find_limits()
    if limits.memory_bytes is not None:
        left = limits.memory_bytes - (limits.memory_used_bytes or 0)
        said += (
            f"; {left / GIB:.1f} of the {limits.memory_bytes / GIB:.1f} GiB allowed here are left"
        )
        free = min(free, left)
    return ("ok" if free >= LEAST_MEMORY_BYTES else "warning"), said


def container(settings: Settings) -> tuple[State, str]:
    limits = find_limits()
    if limits.cpus is None:
        return "ok", "no limit of processor time"
    said = f"processor time of {limits.cpus:g} CPUs is allowed"
    threads = settings.generator.detected_threads
    if threads > max(1, limits.cpus):
        # Threads that are throttled in the middle of a token keep the others waiting.
        return "warning", (
            f"{said} and llama.cpp would take {threads} threads: set generator.threads to "
            f"{max(1, int(limits.cpus))}, or leave it out"
        )
    return "ok", said


def disk(settings: Settings) -> tuple[State, str]:
    free = shutil.disk_usage(_nearest(settings.data_dir)).free
    state: State = "ok" if free >= LEAST_DISK_BYTES else "warning"
    return state, f"{free / GIB:.1f} GiB free at {settings.data_dir}"


def folder(settings: Settings) -> tuple[State, str]:
    """Whether it can be written, and who else reads what customers wrote."""
    place = _nearest(settings.data_dir)
    if not os.access(place, os.W_OK | os.X_OK):
        return "error", f"{place} cannot be written by this user; give another --data-dir"
    database = settings.database_at
    if sys.platform != "win32" and isinstance(database, Path) and database.exists():
        mode = database.stat().st_mode
        parents = [settings.data_dir, *settings.data_dir.parents]
        is_open = all(parent.stat().st_mode & stat.S_IXOTH for parent in parents)
        if mode & stat.S_IROTH and is_open:
            return "warning", (
                f"every user of this machine can read the transcript: chmod 700 {settings.data_dir}"
            )
    return "ok", f"{place} can be written"


def clock(_: Settings) -> tuple[State, str]:
    now = time.time()
    said = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(now))
    if now < _CLOCK_SINCE:
        return "error", f"{said}, which is before kefu was made: set the clock"
    return "ok", said


def port(settings: Settings) -> tuple[State, str]:
    """Whether a desk could listen. One of kefu's own that runs is no fault."""
    host, number = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if sys.platform != "win32":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, number))
        except OSError as error:
            return "warning", (
                f"{host}:{number} is taken ({error.strerror}): by a desk that runs already, or give "
                "another --port"
            )
    return "ok", f"{host}:{number} is free"


def graphics(_: Settings) -> tuple[State, str]:
    """The cards, and whether the llama.cpp that is installed uses them."""
    devices = [device for device in find_devices() if device.is_gpu]
    if devices:
        return "ok", "; ".join(_described(device) for device in devices)
    cards = find_cards()
    if not cards:
        return "ok", "computes on the CPU; no graphics card"
    said = []
    for card in cards:
        advice = advice_for(card)
        said.append(f"{card.name} is not used: this build of llama.cpp computes on the CPU.")
        said += [f"First: {advice.why}."] if advice.why and not advice.build else []
        said += [f"Note: {advice.why}."] if advice.why and advice.build else []
        said += [f"Install the build that uses it: {advice.command}"] if advice.build else []
    return "warning", " ".join(said)


def _described(gpu: Device) -> str:
    free, total = gpu.free_bytes / GIB, gpu.total_bytes / GIB
    return f"{gpu.description} ({gpu.name}), {free:.1f} of {total:.1f} GiB free"


def _nearest(path: Path) -> Path:
    """It, or the folder it will be made in."""
    while not path.exists():
        path = path.parent
    return path
