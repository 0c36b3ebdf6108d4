"""Seconds of work in a thread of a process that must answer others in milliseconds."""

from __future__ import annotations

import gc
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

Container = list[object] | dict[object, object] | tuple[object, ...] | frozenset[object]

# How long a thread that computes keeps the interpreter from one that answers a customer. Python's
# own 5 ms come again at every read, write and query of a request, which has a dozen of them.
_PATIENCE_SECONDS = 0.0001

# Containers of fewer are freed in no time.
_LARGE = 1_000

_working = threading.Lock()


@contextmanager
def politely() -> Iterator[None]:
    """During the block other threads get the interpreter soon.

    The collector of cycles, which would look through hundreds of thousands of new objects and hold
    everybody up for 100 ms each time, pauses: a lexicon has no cycles.
    """
    with _working:
        interval, collects = sys.getswitchinterval(), gc.isenabled()
        sys.setswitchinterval(_PATIENCE_SECONDS)
        gc.disable()
        try:
            yield
        finally:
            sys.setswitchinterval(interval)
            if collects:
                gc.enable()


def set_aside() -> None:
    """Let the collector of cycles never look at what there is now. It is freed as ever when nobody
    needs it; only a cycle that is garbage at this moment stays."""
    gc.freeze()


def large_parts(*things: object) -> list[Container]:
    """The large containers that kefu's own objects are made of.

    Whoever holds them lets what it is made of outlive an object, and can free it piece by piece;
    freed at once, the filter of 200,000 words holds everybody up for 40 ms.
    """
    found: list[Container] = []
    seen: set[int] = set()
    waiting = list(things)
    while waiting:
        thing = waiting.pop()
        if id(thing) in seen:
            continue
        seen.add(id(thing))
        if isinstance(thing, (list, dict, tuple, frozenset)):
            if len(thing) > _LARGE:
                found.append(thing)
            else:
                waiting.extend(thing.values() if isinstance(thing, dict) else thing)
        elif type(thing).__module__.startswith("kefu."):
            waiting.extend(getattr(thing, "__dict__", {}).values())
    return found


def let_go(parts: list[Container]) -> None:
    """Free them one after another; in between, other threads get the interpreter."""
    while parts:
        parts.pop()
