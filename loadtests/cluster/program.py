"""A program of the cluster: started, killed with -9, started again on the same data and port."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from tests.e2e.desk_process import kefu_environment, wait_until

READY_SECONDS = 90.0
GONE_SECONDS = 10.0
STOP_SECONDS = 5.0
LOG_TAIL_CHARS = 2000


@dataclass
class Program:
    """`is_ready` asks the program itself, and may raise `OSError`. `user`: whom it runs as, where that
    is not ours. `holds_input`: the program ends when its standard input does."""

    name: str
    command: Sequence[str]
    folder: Path
    port: int
    is_ready: Callable[[], bool]
    environment: Mapping[str, str] = field(default_factory=dict)
    user: str | None = None
    holds_input: bool = False
    process: subprocess.Popen[bytes] | None = None

    @property
    def log_path(self) -> Path:
        return self.folder / f"{self.name}.log"

    @property
    def log_tail(self) -> str:
        if not self.log_path.exists():
            return "(no log)"
        return self.log_path.read_text("utf-8", "replace")[-LOG_TAIL_CHARS:]

    def launch(self) -> None:
        """Start the process and do not wait."""
        with self.log_path.open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env=kefu_environment(self.environment),
                cwd=self.folder,
                stdin=subprocess.PIPE if self.holds_input else subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a terminal's Ctrl-C is for us
                user=self.user,
                group=self.user,
                extra_groups=() if self.user else None,
            )

    def start(self) -> Program:
        self.launch()
        self.wait_ready()
        return self

    def wait_ready(self, seconds: float = READY_SECONDS) -> None:
        """Raises `TimeoutError` or `RuntimeError` with the end of the log."""
        try:
            wait_until(self._answers, f"{self.name} is ready", seconds)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; the end of its log:\n{self.log_tail}") from error

    def answers(self) -> bool:
        with suppress(OSError):
            return self.is_ready()
        return False

    def _answers(self) -> bool:
        assert self.process
        if self.process.poll() is not None:
            raise RuntimeError(
                f"{self.name} ended with {self.process.returncode}; the end of its log:\n{self.log_tail}"
            )
        return self.answers()

    def processes(self) -> list[psutil.Process]:
        """The program and what it has started; nothing once it is gone."""
        if self.process is None or self.process.poll() is not None:
            return []
        with suppress(psutil.NoSuchProcess):
            first = psutil.Process(self.process.pid)
            return [first, *first.children(recursive=True)]
        return []

    def kill(self) -> None:
        """kill -9 of the program and of what it has started, and wait until all are gone."""
        if self.process is None or self.process.poll() is not None:
            return
        with suppress(psutil.NoSuchProcess):
            psutil.Process(self.process.pid).suspend()  # so that it starts nothing more
        self._end(self.processes())

    def stop(self) -> None:
        """End it in order, and by force where that does not help."""
        if self.process is None:
            return
        family = self.processes()
        self._close_input()
        with suppress(ProcessLookupError):
            self.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(STOP_SECONDS)
        self._end(family)

    def _end(self, family: Iterable[psutil.Process]) -> None:
        assert self.process
        family = list(family)
        for process in family:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.wait(GONE_SECONDS)
        self._close_input()
        wait_until(lambda: not any(map(_lives, family)), f"{self.name} is gone", GONE_SECONDS)

    def _close_input(self) -> None:
        if self.process and self.process.stdin:
            with suppress(BrokenPipeError):
                self.process.stdin.close()


def _lives(process: psutil.Process) -> bool:
    with suppress(psutil.NoSuchProcess):
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    return False


def stop_all(programs: Sequence[Program]) -> None:
    """The last that was started first. Goes on where one cannot be stopped, and raises at the end."""
    failed: list[Exception] = []
    for program in reversed(programs):
        try:
            program.stop()
        except (OSError, TimeoutError, subprocess.TimeoutExpired) as error:
            failed.append(error)
    if failed:
        raise ExceptionGroup(f"Programs that may still run (our id: {os.getpid()})", failed)
