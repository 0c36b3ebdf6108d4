"""PostgreSQL from the event loop, for what every message asks and keeps: a thread, BEGIN and COMMIT cost
more than the statement."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import psycopg
from psycopg import AsyncConnection
from psycopg.rows import dict_row
from sqlalchemy import Compiled, Dialect, Executable

from kefu.stores.database import DatabaseClosed, DatabaseFailed

_AT_ONCE = 4

_Connection = AsyncConnection[dict[str, Any]]


class DirectPostgres:
    """Single statements, each a transaction of its own. A few connections, made when they are needed.

    Who asks may be cancelled: the statement ends all the same, since to break it off costs a
    connection more.
    """

    def __init__(self, conninfo: str, dialect: Dialect) -> None:
        self._conninfo = conninfo
        self._dialect = dialect
        self._compiled: dict[Executable, Compiled] = {}
        self._idle: list[_Connection] = []
        self._free = asyncio.Semaphore(_AT_ONCE)
        self._running: set[asyncio.Task[Any]] = set()
        self._is_closed = False

    async def rows(self, query: Executable, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        """What `query`, which is to be the same object each time, finds with these values of its
        `bindparam`s, by the names of its columns. Raises `DatabaseFailed`."""
        running = asyncio.create_task(self._rows(query, values))
        self._running.add(running)
        running.add_done_callback(self._running.discard)
        return await asyncio.shield(running)

    def close(self) -> None:
        self._is_closed = True
        self._forget_idle()

    async def _rows(self, query: Executable, values: Mapping[str, Any]) -> list[dict[str, Any]]:
        compiled = self._compiled.get(query)
        if compiled is None:
            compiled = self._compiled[query] = query.compile(dialect=self._dialect)  # type: ignore[attr-defined]  # each statement is a ClauseElement
        async with self._free:
            if self._is_closed:
                raise DatabaseClosed("The database is closed: the desk is stopping.")
            try:
                return await self._asked(str(compiled), compiled.construct_params(dict(values)))
            except (psycopg.OperationalError, psycopg.InterfaceError) as error:
                self._forget_idle()  # they were cut with this one
                said = " ".join(str(error).split())
                raise DatabaseFailed(f"The database is away: {said}") from error

    async def _asked(self, sql: str, values: Mapping[str, Any] | None) -> list[dict[str, Any]]:
        connection = self._idle.pop() if self._idle else await self._connected()
        is_whole = False
        try:
            cursor = await connection.execute(sql, values)
            found = await cursor.fetchall()
            is_whole = True
        except psycopg.Error:
            is_whole = not connection.closed  # the statement was at fault
            raise
        finally:
            if is_whole and not self._is_closed:
                self._idle.append(connection)
            else:
                connection.pgconn.finish()
        return found

    async def _connected(self) -> _Connection:
        return await AsyncConnection.connect(self._conninfo, autocommit=True, row_factory=dict_row)

    def _forget_idle(self) -> None:
        idle, self._idle = self._idle, []
        for connection in idle:
            connection.pgconn.finish()
