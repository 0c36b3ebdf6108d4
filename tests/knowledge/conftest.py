"""Knowledge is the same wherever it is searched."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from kefu.stores.database import Database
from tests.knowledge.searched import Searched


@pytest.fixture(params=["memory", "pgvector"])
def searched_in(request: pytest.FixtureRequest) -> str:
    place: str = request.param
    return place


@pytest.fixture
def database_url(request: pytest.FixtureRequest) -> Iterator[str]:
    """In PostgreSQL where it is searched there."""
    if (
        "searched_in" not in request.fixturenames
        or request.getfixturevalue("searched_in") == "memory"
    ):
        yield ""
        return
    with request.getfixturevalue("postgres").database() as url:
        yield url


@pytest.fixture
def searched(database: Database, searched_in: str) -> Searched:
    return Searched(database, searched_in == "pgvector")
