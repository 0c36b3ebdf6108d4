"""What a check finds."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from kefu.errors import KefuError
from kefu.settings import Settings

State = Literal["ok", "warning", "error"]
Check = Callable[[Settings], tuple[State, str]]


@dataclass(frozen=True)
class Finding:
    """`error`: kefu would not work so. `warning`: it works, and not as it could."""

    what: str
    state: State
    detail: str


def look(what: str, check: Check, settings: Settings) -> Finding:
    """What a check raises is what it found."""
    try:
        return Finding(what, *check(settings))
    except KefuError as error:
        return Finding(what, "error", str(error))
    except OSError as error:
        return Finding(
            what, "error", f"{error.strerror or error}: {error.filename or ''}".rstrip(": ")
        )
