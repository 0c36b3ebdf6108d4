"""A desk's claim to be the only one on its database.

Two desks without Redis would each believe a customer has one turn at a time. The claim is a lock that
PostgreSQL takes away with the connection that holds it, so a desk whose connection was cut takes it again,
and stops where another desk was faster.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, LiteralString

import psycopg
import structlog

from kefu.errors import SettingsError
from kefu.stores.postgres import connected, parsed, said, shown

log = structlog.get_logger("kefu.postgres")

# Any number that nothing else locks: the one after "kefu" in ASCII (`postgres.py`).
_SERVING = 0x6B656676
_LOOK_EVERY_SECONDS = 0.25

_SURELY_GONE_SECONDS = 5

_HOLDER = """
SELECT pid, backend_start FROM pg_locks JOIN pg_stat_activity USING (pid)
WHERE locktype = 'advisory' AND classid = 0 AND objid = %s AND granted
AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""
_OWN = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = pg_backend_pid()"


@contextmanager
def require_only_desk(url: str, on_loss: Callable[[], None] | None = None) -> Iterator[None]:
    """Raises `SettingsError` where another desk serves already, or the database cannot be asked. Where
    one takes over later `on_loss` is called, in another thread; by default this process is told to end."""
    claim = Claim(url, on_loss or _end)
    try:
        is_ours = claim.take()
    except psycopg.Error as error:
        raise SettingsError(f"Cannot open the database {shown(url)}: {said(error)}") from error
    with claim:
        if not is_ours:
            raise SettingsError(
                f"Another kefu already serves from {shown(url)}. Stop it, give another --database, or "
                "give both of them the same --redis."
            )
        yield


class Claim:
    """Use as `with`, after `take`: a thread looks whether it still holds."""

    def __init__(self, url: str, on_loss: Callable[[], None]) -> None:
        self._url = parsed(url)
        self._on_loss = on_loss
        self._connection: psycopg.Connection | None = None
        self._session: tuple[Any, ...] | None = None  # which holds it, or did
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="kefu-claim", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._thread.join()
        self._close()

    def take(self) -> bool:
        """Whether it is ours. Raises `psycopg.Error`."""
        self._close()
        connection = self._connection = connected(self._url)
        is_ours = _found(connection, "SELECT pg_try_advisory_lock(%s)", [_SERVING]) == (True,)
        if (
            not is_ours
            and self._session
            and _found(connection, _HOLDER, [_SERVING]) == self._session
        ):
            # The server has not noticed that our last connection is gone.
            connection.execute("SELECT pg_terminate_backend(%s)", [self._session[0]])
            connection.execute(f"SET lock_timeout = '{_SURELY_GONE_SECONDS}s'")
            connection.execute("SELECT pg_advisory_lock(%s)", [_SERVING])
            is_ours = True
        if is_ours:
            self._session = _found(connection, _OWN)
        return is_ours

    def _keep(self) -> None:
        is_held = True
        while not self._closing.wait(_LOOK_EVERY_SECONDS):
            try:
                if is_held and self._connection is not None:
                    self._connection.execute("SELECT 1")
                elif not (is_held := self.take()):
                    log.error(
                        "database_taken", by="another desk; give both of them the same --redis"
                    )
                    self._on_loss()
                    return
            except psycopg.Error as error:
                if is_held:
                    log.warning("claim_cut", reason=said(error))
                is_held = False

    def _close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _found(
    connection: psycopg.Connection, query: LiteralString, values: Sequence[Any] = ()
) -> tuple[Any, ...] | None:
    return connection.execute(query, values).fetchone()


def _end() -> None:
    os.kill(os.getpid(), signal.SIGTERM)
