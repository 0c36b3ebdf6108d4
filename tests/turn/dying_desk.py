"""A process that takes a decision, begins to deliver it, and is killed on the way.

python -m tests.turn.dying_desk DATABASE REVIEW_ID decided|delivering|delivered
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from sqlalchemy import Connection

from kefu.review.queue import ReviewQueue
from kefu.review.review import Review
from kefu.review.verdicts import Decision, decide
from kefu.settings import Settings
from kefu.stores import reviews
from kefu.stores.database import Database
from kefu.stores.opening import open_database
from kefu.stores.reviews import SqlReviews
from kefu.stores.transcript import SqlTranscript
from kefu.telemetry import Metrics
from kefu.turn.context import Contexts
from kefu.turn.doorbell import Doorbell
from kefu.turn.queues import UidQueues
from kefu.turn.reply import Reply
from kefu.turn.verdicts import Verdicts


class NoPipeline:
    async def answer(self, *_: Any) -> Reply:
        raise AssertionError("a held reply needs no pipeline")


def verdicts_of(database: Database, doorbell: Doorbell, metrics: Metrics) -> Verdicts:
    """What carries out verdicts on held replies."""
    settings, store = Settings(), SqlReviews(database)
    transcript = SqlTranscript(database)
    contexts = Contexts(transcript, settings.conversation)
    queue = ReviewQueue(store, settings.review, metrics)
    return Verdicts(
        NoPipeline(),
        contexts,
        UidQueues(8),
        transcript,
        store,
        queue,
        doorbell,
        settings,
        metrics,
    )


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_in_the_transaction() -> None:
    """After all of it was written, and before it is committed."""
    note = reviews.append

    def append(connection: Connection, actor: str, action: str, *rest: Any) -> None:
        note(connection, actor, action, *rest)
        if action == "delivered":
            die()

    reviews.append = append


class DyingStore(SqlReviews):
    """Dies when it is on disk, and before anybody learns of it."""

    async def deliver(self, review: Review, *rest: Any) -> bool:
        await super().deliver(review, *rest)
        die()
        return True


async def main(database: Database, review_id: str, moment: str) -> None:
    store = SqlReviews(database)
    await decide(store, review_id, Decision("approved"), "cli:ann")
    if moment == "decided":
        die()
    verdicts = verdicts_of(database, Doorbell(), Metrics())
    if moment == "delivering":
        die_in_the_transaction()
    else:
        verdicts._store = DyingStore(database)
    await verdicts.deliver_due()
    await asyncio.Event().wait()


if __name__ == "__main__":
    with open_database(Path(sys.argv[1])) as database:
        asyncio.run(main(database, *sys.argv[2:]))
