"""Statements that several stores need.

`ON CONFLICT` is PostgreSQL's; SQLite took it over, and SQLAlchemy writes it for both.
"""

from __future__ import annotations

from sqlalchemy import Connection, Table, func, select
from sqlalchemy.dialects.postgresql import Insert, insert

from kefu.stores.schema import versions


def upsert(table: Table, key: str) -> Insert:
    """Add rows, and replace those with the same `key`."""
    add = insert(table)
    replaced = {c.name: add.excluded[c.name] for c in table.c if c.name != key}
    return add.on_conflict_do_update(index_elements=[key], set_=replaced)


# For rows whose readers ask for all after a number: who has seen one must have seen those before it. One
# name for all such tables, since whoever waits for a second lock while holding a first may wait for ever.
NUMBERED = "numbered rows"


def alone(connection: Connection, name: str) -> None:
    """Until the end of the transaction nobody else is in what is called so. SQLite has one writer at a
    time anyway."""
    if connection.dialect.name == "postgresql":
        connection.execute(select(func.pg_advisory_xact_lock(func.hashtext(f"kefu {name}"))))


def raise_version(connection: Connection, name: str) -> int:
    """Count a change, so that other processes notice it; the new number."""
    add = insert(versions).values(name=name, version=1)
    raised = add.on_conflict_do_update(
        index_elements=["name"], set_={"version": versions.c.version + 1}
    )
    number: int = connection.execute(raised.returning(versions.c.version)).scalar_one()
    return number


def version_of(connection: Connection, name: str) -> int:
    """How many changes there were."""
    query = select(versions.c.version).where(versions.c.name == name)
    return connection.execute(query).scalar() or 0
