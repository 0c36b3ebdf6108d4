"""A gateway before three desks, for tests that leave them as they are."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.echo_desks import EchoDesk, echo_desks
from tests.nginx import Gateway, started_nginx


@pytest.fixture(scope="module")
def desks() -> Iterator[list[EchoDesk]]:
    with echo_desks(3) as desks:
        yield desks


@pytest.fixture(scope="module")
def gateway(desks: list[EchoDesk]) -> Iterator[Gateway]:
    with started_nginx([desk.port for desk in desks]) as gateway:
        yield gateway
