"""API keys in SQL: only their hashes."""

from __future__ import annotations

from sqlalchemy import delete, insert, select

from kefu.http.auth import StoredKey
from kefu.stamps import now_ms
from kefu.stores.database import Database
from kefu.stores.schema import api_keys


class SqlKeys:
    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[StoredKey]:
        with self._database.read() as connection:
            rows = connection.execute(select(api_keys).order_by(api_keys.c.created_at_ms))
            return [StoredKey(**row._mapping) for row in rows]

    def add(self, key_id: str, role: str, sha256: str, note: str) -> None:
        row = {
            "id": key_id,
            "role": role,
            "sha256": sha256,
            "note": note,
            "created_at_ms": now_ms(),
        }
        self._database.write(lambda c: c.execute(insert(api_keys), row) and None)

    def remove(self, key_id: str) -> bool:
        """Whether there was such a key."""
        gone = delete(api_keys).where(api_keys.c.id == key_id)
        return self._database.write(lambda c: c.execute(gone).rowcount) > 0
