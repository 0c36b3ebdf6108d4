"""What processes take while a test runs: processor time and memory."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psutil

EVERY_SECONDS = 1.0
MIB = 2**20


@dataclass(frozen=True)
class Load:
    """`at`: Unix time. `cpu`: cores in use since the look before. Memory: resident, in MiB."""

    at: float
    cpu: float
    memory_mib: float


@dataclass
class Watch:
    """Loads by the name of the process."""

    loads: dict[str, list[Load]] = field(default_factory=dict)


@contextmanager
def watching(processes: Mapping[str, psutil.Process]) -> Iterator[Watch]:
    """Look at `processes` every second. One that ends is not looked at any more."""
    watch, stop = Watch({name: [] for name in processes}), threading.Event()
    thread = threading.Thread(target=_look, args=(dict(processes), watch, stop), daemon=True)
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        thread.join()


def _look(processes: dict[str, psutil.Process], watch: Watch, stop: threading.Event) -> None:
    for process in processes.values():
        with suppress(psutil.Error):
            process.cpu_percent()  # the first call only sets the mark
    while not stop.wait(EVERY_SECONDS):
        for name, process in list(processes.items()):
            try:
                with process.oneshot():
                    cpu, memory = process.cpu_percent() / 100, process.memory_info().rss / MIB
            except psutil.Error:
                del processes[name]
            else:
                watch.loads[name].append(Load(time.time(), cpu, memory))


def processes_of_desk(url: str) -> dict[str, psutil.Process]:
    """The desk that listens at `url` and the llama.cpp it started; nothing on another machine, or
    where this user may not look."""
    address = urlsplit(url)
    if address.hostname not in ("127.0.0.1", "localhost", "::1"):
        return {}
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            for connection in process.net_connections("tcp"):
                if (
                    connection.status == psutil.CONN_LISTEN
                    and connection.laddr.port == address.port
                ):
                    return _with_llama(process)
    return {}


def _with_llama(desk: psutil.Process) -> dict[str, psutil.Process]:
    found = {"desk": desk}
    for child in desk.children(recursive=True):
        with suppress(psutil.Error):
            if any("llama_child" in part for part in child.cmdline()):
                found["llama.cpp"] = child
    return found
