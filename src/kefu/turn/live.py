"""A turn while it is being answered: one task works, any number of callers follow."""

from __future__ import annotations

from kefu.answers.flights import Flight
from kefu.turn.reply import Message, Reply


class LiveTurn(Flight[Reply]):
    """The running answer to one message.

    A retry with the same idempotency key follows the same turn instead of starting another. When
    the last follower is gone the work is cancelled: nobody would read it.
    """

    def __init__(self, message: Message) -> None:
        super().__init__(f"turn-{message.turn_id}")
        self.message = message

    async def reply(self) -> Reply:
        """Wait for the whole reply. Raises what the turn raised."""
        return await self.result()
