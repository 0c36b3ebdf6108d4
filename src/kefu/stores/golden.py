"""The golden set in SQL."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Delete, delete, select

from kefu.gaps.golden import GoldenQuestion
from kefu.stamps import now_ms
from kefu.stores.database import Database
from kefu.stores.schema import golden_questions
from kefu.stores.statements import upsert

_SAVE = upsert(golden_questions, "question")


class SqlGolden:
    """Synchronous and thread-safe; every change is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def all(self) -> list[GoldenQuestion]:
        query = select(golden_questions).order_by(golden_questions.c.question)
        with self._database.read() as connection:
            rows = connection.execute(query)
            return [GoldenQuestion(row.question, row.entry_id) for row in rows]

    def save(self, questions: Sequence[GoldenQuestion], remove: Sequence[str] = ()) -> None:
        at_ms = now_ms()
        rows = [
            {"question": one.question, "entry_id": one.entry_id, "created_at_ms": at_ms}
            for one in questions
        ]

        def change(connection: Connection) -> None:
            for question in remove:
                connection.execute(_without(question))
            if rows:
                connection.execute(_SAVE, rows)

        self._database.write(change)

    def remove(self, question: str) -> bool:
        return self._database.write(lambda c: c.execute(_without(question)).rowcount > 0)


def _without(question: str) -> Delete:
    return delete(golden_questions).where(golden_questions.c.question == question)
