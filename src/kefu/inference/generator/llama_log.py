"""llama.cpp's log lines in ours: its chatter at debug, its warnings and errors as they are.

A line looks like `0.03.101.814 I srv          init: model loaded`: seconds since the start, a
letter for the level, who speaks, and the text. Prompts are not in there at its default verbosity.
"""

from __future__ import annotations

import re
from collections import deque

import structlog

log = structlog.stdlib.get_logger("kefu.llama")

TAIL_LINES = 40

_LINE = re.compile(r"^\d+(?:\.\d+){3} ([DIWE]) (.*)$")
_LEVELS = {"D": "debug", "I": "debug", "W": "warning", "E": "error"}
# Warnings of every start and of every customer who leaves early: nothing anyone could act on.
_HARMLESS = (
    "control-looking token",
    "full-size SWA cache",
    "swa_full",
    "cancel task",
    "making room for prompt cache",
    "cannot use buft",
)


class LlamaLog:
    """Passes lines on and remembers the last ones, for the message about a failed start."""

    def __init__(self) -> None:
        self._tail: deque[str] = deque(maxlen=TAIL_LINES)
        self._level = "debug"

    def take(self, raw: bytes) -> None:
        line = raw.decode(errors="replace").rstrip()
        if not line:
            return
        level, text = self._parse(line)
        self._tail.append(text)
        getattr(log, level)("llama_log", line=text)

    def last_errors(self, count: int = 3) -> list[str]:
        """The lines that most likely say what went wrong: errors, else the last ones."""
        return [t for t in self._tail if "error" in t.lower()][-count:] or [*self._tail][-count:]

    def says(self, *signs: str) -> bool:
        tail = "\n".join(self._tail).lower()
        return any(sign in tail for sign in signs)

    def _parse(self, line: str) -> tuple[str, str]:
        """A line without a prefix goes on where the one before it stopped."""
        found = _LINE.match(line)
        if not found:
            return self._level, line
        text = found[2]
        harmless = any(sign in text for sign in _HARMLESS)
        self._level = "debug" if harmless else _LEVELS[found[1]]
        return self._level, text
