"""What was found out about a message, for the next customer who writes the same.

Half of what customers write others wrote before, word for word. Nothing that is found out about a
message depends on who asks: it holds as long as the models, the words and the knowledge in use are
the very same, on the same day.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable
from dataclasses import dataclass

from kefu.inference.encoder.compared import Vector
from kefu.intent.classifier import Prediction
from kefu.knowledge.match import Decision
from kefu.moderation.policy import Verdict

# About 5 KB each.
MOST_KEPT = 2000


@dataclass(frozen=True)
class LookedUp:
    """`verdict`: of the words and of what they mean. `decision`: of the message alone."""

    vector: Vector
    verdict: Verdict
    prediction: Prediction | None
    decision: Decision


class Recent:
    """The messages that were asked last. `of`: what it was found out with; all is dropped with it."""

    def __init__(self, most: int = MOST_KEPT) -> None:
        self._most = most
        self._of: tuple[object, ...] = ()
        self._found: OrderedDict[Hashable, LookedUp] = OrderedDict()

    def get(self, key: Hashable, of: tuple[object, ...]) -> LookedUp | None:
        self._take(of)
        if (found := self._found.get(key)) is not None:
            self._found.move_to_end(key)
        return found

    def keep(self, key: Hashable, of: tuple[object, ...], found: LookedUp) -> None:
        """`of` is as it was before it was looked up, so that what is older is not kept."""
        if not _are_same(of, self._of):
            return
        self._found[key] = found
        if len(self._found) > self._most:
            self._found.popitem(last=False)

    def _take(self, of: tuple[object, ...]) -> None:
        if not _are_same(of, self._of):
            self._found.clear()
            self._of = of


def _are_same(one: tuple[object, ...], other: tuple[object, ...]) -> bool:
    """The very same objects, which they keep from being any others; a day is equal."""
    return len(one) == len(other) and all(
        a is b or (isinstance(a, str) and a == b) for a, b in zip(one, other, strict=True)
    )
