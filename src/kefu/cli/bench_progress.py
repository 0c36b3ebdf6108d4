"""What the commands of `kefu bench` share."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from kefu.errors import InvalidInput

# From here on threads wait for processors, and PyTorch's for one another.
BUSY_PERCENT = 10


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """A bar on a terminal; nothing elsewhere, where it would only fill a log."""
    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(
        *columns, console=console, transient=True, disable=not console.is_terminal
    ) as bar:
        task = bar.add_task("", total=None)
        yield lambda what, done, total: bar.update(
            task, description=what, completed=done, total=total
        )


def numbers(text: str, option: str, least: int) -> list[int]:
    """Of an option like `1,8,32`, in order, each once. Raises `InvalidInput`."""
    try:
        numbers = sorted({int(part) for part in text.split(",")})
    except ValueError as error:
        raise InvalidInput(f"{option} {text}: write numbers with commas, as 1,8,32.") from error
    if numbers[0] < least:
        raise InvalidInput(f"{option} {text}: the least is {least}.")
    return numbers
