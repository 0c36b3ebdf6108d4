from __future__ import annotations

import pytest

from kefu.review.queue import ReviewQueue
from kefu.review.review import Review
from kefu.settings import ReviewSettings
from kefu.stores.audit import SqlAudit
from kefu.stores.database import Database
from kefu.stores.reviews import SqlReviews
from kefu.stores.transcript import SqlTranscript
from kefu.telemetry import Metrics
from tests.review.held import held_message, held_turn


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url


@pytest.fixture
def reviews(database: Database) -> SqlReviews:
    return SqlReviews(database)


@pytest.fixture
def audit(database: Database) -> SqlAudit:
    return SqlAudit(database)


@pytest.fixture
def transcript(database: Database) -> SqlTranscript:
    return SqlTranscript(database)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def queue(reviews: SqlReviews, metrics: Metrics) -> ReviewQueue:
    return ReviewQueue(reviews, ReviewSettings(), metrics)


@pytest.fixture
async def pending(queue: ReviewQueue, reviews: SqlReviews) -> Review:
    """A customer's message that waits for a person."""
    await queue.hold(held_turn(), held_message())
    (review,) = await reviews.page("pending", 0, 10)
    return review
