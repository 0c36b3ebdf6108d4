"""The audit in SQL: rows are only ever added; triggers refuse every other change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, Select, insert, select

from kefu.review.audit import AuditRecord
from kefu.stamps import now_ms
from kefu.stores.database import Database
from kefu.stores.schema import audit
from kefu.stores.statements import NUMBERED, alone


def append(
    connection: Connection,
    actor: str,
    action: str,
    subject: str,
    details: Mapping[str, Any] | None = None,
) -> None:
    """Note a decision in the transaction that carries it out."""
    row = {
        "at_ms": now_ms(),
        "actor": actor,
        "action": action,
        "subject": subject,
        "details": dict(details or {}),
    }
    alone(connection, NUMBERED)
    connection.execute(insert(audit), row)


class SqlAudit:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def after(self, seq: int, limit: int) -> list[AuditRecord]:
        query = select(audit).where(audit.c.seq > seq).order_by(audit.c.seq).limit(limit)
        return await self._records(query)

    async def about(self, subject: str) -> list[AuditRecord]:
        return await self._records(
            select(audit).where(audit.c.subject == subject).order_by(audit.c.seq)
        )

    async def _records(self, query: Select[Any]) -> list[AuditRecord]:
        rows = await self._database.read_async(lambda c: c.execute(query).all())
        return [AuditRecord(**row._mapping) for row in rows]
