"""Every store does the same on every database."""

from __future__ import annotations

import pytest


@pytest.fixture
def database_url(each_database_url: str) -> str:
    return each_database_url
