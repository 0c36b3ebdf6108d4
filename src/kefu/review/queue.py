"""The queue of what is held: what goes in, how long it may wait, how full it is."""

from __future__ import annotations

from collections.abc import Sequence

from kefu.conversations.transcript import Turn
from kefu.moderation.policy import Reason
from kefu.review.review import Held, Review, ReviewStore
from kefu.settings import ReviewSettings
from kefu.stamps import now_ms
from kefu.telemetry import Metrics

_MS_PER_MINUTE = 60_000


class ReviewQueue:
    """What the desk puts into the queue. Only people, and the clock, take something out."""

    def __init__(self, store: ReviewStore, settings: ReviewSettings, metrics: Metrics) -> None:
        self._store = store
        self._settings = settings
        self._metrics = metrics
        self._pending = 0

    @property
    def has_room(self) -> bool:
        """Whether one more may wait; where not, the message is answered as a handoff."""
        return self._pending < self._settings.max_waiting

    async def hold(self, turn: Turn, held: Held, fence: int = 0) -> None:
        """Keep a turn whose reply is the holding text, and have a person look at it."""
        await self._store.hold(turn, self._review(turn, held), fence)
        self._count(self._pending + 1)

    async def hold_again(self, review: Review, turn: Turn, held: Held) -> None:
        """What a person let pass led to something that another look must be taken at."""
        await self._store.hold_again(review, self._review(turn, held))
        self._count(self._pending + 1)

    async def block(self, turn: Turn, reasons: Sequence[Reason], fence: int = 0) -> None:
        """Keep a turn whose words were not answered, with the reasons in the audit."""
        await self._store.block(turn, reasons, fence)

    async def refresh(self) -> None:
        """Let the deadlines take effect, and count again: other processes decide, too."""
        await self._store.expire(now_ms())
        self._count(await self._store.count("pending"))

    def _review(self, turn: Turn, held: Held) -> Review:
        now = now_ms()
        return Review(
            turn_id=turn.turn_id,
            uid=turn.uid,
            held=held,
            deadline_ms=now + round(self._settings.minutes * _MS_PER_MINUTE),
            created_at_ms=now,
        )

    def _count(self, pending: int) -> None:
        self._pending = pending
        self._metrics.reviews_pending.set(pending)
