"""How commands read and print."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

STANDARD_INPUT = Path("-")


def print_json(data: Any) -> None:
    """For programs: one JSON document on standard output."""
    typer.echo(json.dumps(data, ensure_ascii=False, indent=2))


def local_time(milliseconds: int) -> str:
    """Milliseconds since 1970 as this computer's clock shows them."""
    moment = datetime.fromtimestamp(milliseconds / 1000).astimezone()
    return moment.strftime("%Y-%m-%d %H:%M:%S")


def source_of(file: Path) -> tuple[Path | bytes, str]:
    """What to read, and the name to call it by; - is standard input."""
    if file == STANDARD_INPUT:
        return sys.stdin.buffer.read(), "standard input"
    return file, str(file)


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[[int, int], None]]:
    """Takes done and total. A bar on a terminal; nothing elsewhere, where it would fill a log."""
    console = Console(stderr=True)
    with Progress(console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(what, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


@contextmanager
def stages() -> Iterator[Callable[[int, int, str], None]]:
    """A bar for each stage on a terminal; nothing elsewhere."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn())
    tasks: dict[str, TaskID] = {}
    with Progress(*columns, console=console, disable=not console.is_terminal) as bar:

        def on_progress(done: int, total: int, what: str) -> None:
            if what not in tasks:
                tasks[what] = bar.add_task(what, total=total)
            bar.update(tasks[what], completed=done, total=total)

        yield on_progress
