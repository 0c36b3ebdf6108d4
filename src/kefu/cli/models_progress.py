"""What a person sees while models come, are checked or written."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from kefu.inference.models import Model, Progress, Silent


def megabytes(size_bytes: int) -> str:
    return f"{size_bytes / 1e6:,.0f} MB" if size_bytes else "?"


def progress_of(as_json: bool) -> AbstractContextManager[Progress]:
    """JSON is for programs, yet a licence is for the person behind them."""
    return nullcontext(_OnlyLicence()) if as_json else shown_progress()


@contextmanager
def shown_progress(console: Console | None = None) -> Iterator[Progress]:
    """Progress for a person on stderr: bars on a terminal, a line now and then elsewhere."""
    console = console or Console(stderr=True)
    if not console.is_terminal or console.is_dumb_terminal:
        yield Lines(console)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
    with Bars(
        *columns, TransferSpeedColumn(), TimeRemainingColumn(), console=console, transient=True
    ) as bars:
        yield Drawn(bars)


class Lines:
    """Plain lines for logs: what begins and ends, and every five seconds how far it is."""

    interval_seconds = 5.0

    def __init__(self, console: Console) -> None:
        self._console = console
        self._next_line = time.monotonic() + self.interval_seconds

    def licence(self, model: Model) -> None:
        _print_licence(self._console, model)

    def step(self, text: str) -> None:
        self._console.print(Text(text), soft_wrap=True)

    def advance(self, label: str, done: int, total: int) -> None:
        now = time.monotonic()
        if now < self._next_line:
            return
        self._next_line = now + self.interval_seconds
        of = f" of {megabytes(total)}" if total else ""
        self.step(f"{label}: {megabytes(done)}{of}")


class Drawn:
    """Bars, one for each label, gone when done."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._tasks: dict[str, TaskID] = {}

    def licence(self, model: Model) -> None:
        _print_licence(self._bars.console, model)

    def step(self, text: str) -> None:
        self._clear()
        self._bars.console.print(Text(text))

    def advance(self, label: str, done: int, total: int) -> None:
        if label not in self._tasks:
            self._clear()
            self._tasks[label] = self._bars.add_task(label)
        self._bars.update(self._tasks[label], completed=done, total=total or None)

    def _clear(self) -> None:
        for task in self._tasks.values():
            self._bars.remove_task(task)
        self._tasks.clear()


class _OnlyLicence(Silent):
    def licence(self, model: Model) -> None:
        _print_licence(Console(stderr=True), model)


def _print_licence(console: Console, model: Model) -> None:
    """Shown, not asked: a start without a person at the keyboard must not hang."""
    for line in (
        f"{model.name} comes under its own licence: {model.licence}, {model.licence_url}",
        model.licence_notice,
    ):
        console.print(Text(line), soft_wrap=True)
