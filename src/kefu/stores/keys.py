"""API keys in SQL: only their hashes."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select

from kefu.http.auth import StoredKey
from kefu.stamps import now_ms
from kefu.stores.database import Database
from kefu.stores.schema import api_keys
from kefu.stores.statements import alone


class SqlKeys:
    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[StoredKey]:
        with self._database.read() as connection:
            rows = connection.execute(select(api_keys).order_by(api_keys.c.created_at_ms))
            return [StoredKey(**row._mapping) for row in rows]

    def add(
        self, key_id: str, role: str, sha256: str, note: str, *, only_as_first: bool = False
    ) -> bool:
        """Whether it was added: with `only_as_first` not where there is one of this role."""
        row = {
            "id": key_id,
            "role": role,
            "sha256": sha256,
            "note": note,
            "created_at_ms": now_ms(),
        }

        def change(connection: Connection) -> bool:
            if only_as_first:
                alone(connection, "keys")
                if connection.execute(select(api_keys).where(api_keys.c.role == role)).first():
                    return False
            connection.execute(insert(api_keys), row)
            return True

        return self._database.write(change)

    def remove(self, key_id: str) -> bool:
        """Whether there was such a key."""
        gone = delete(api_keys).where(api_keys.c.id == key_id)
        return self._database.write(lambda c: c.execute(gone).rowcount) > 0
