from __future__ import annotations

import pytest

from kefu.review.queue import ReviewQueue
from kefu.review.review import Review
from kefu.settings import ReviewSettings
from kefu.stores.sqlite import Database
from kefu.stores.sqlite_audit import SqliteAudit
from kefu.stores.sqlite_reviews import SqliteReviews
from kefu.stores.sqlite_transcript import SqliteTranscript
from kefu.telemetry import Metrics
from tests.review.held import held_message, held_turn


@pytest.fixture
def reviews(database: Database) -> SqliteReviews:
    return SqliteReviews(database)


@pytest.fixture
def audit(database: Database) -> SqliteAudit:
    return SqliteAudit(database)


@pytest.fixture
def transcript(database: Database) -> SqliteTranscript:
    return SqliteTranscript(database)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def queue(reviews: SqliteReviews, metrics: Metrics) -> ReviewQueue:
    return ReviewQueue(reviews, ReviewSettings(), metrics)


@pytest.fixture
async def pending(queue: ReviewQueue, reviews: SqliteReviews) -> Review:
    """A customer's message that waits for a person."""
    await queue.hold(held_turn(), held_message())
    (review,) = await reviews.page("pending", 0, 10)
    return review
