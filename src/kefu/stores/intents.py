"""The actions of intents in SQL."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, select

from kefu.intent.actions import Action
from kefu.stamps import now_ms
from kefu.stores.database import Database
from kefu.stores.schema import intent_actions
from kefu.stores.statements import raise_version, upsert, version_of

_ACTIONS = "intent_actions"

_SAVE = upsert(intent_actions, "label")


class SqlActions:
    """Synchronous and thread-safe; every change is one transaction and a new version."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def version(self) -> int:
        with self._database.read() as connection:
            return version_of(connection, _ACTIONS)

    def load(self) -> tuple[int, dict[str, Action]]:
        """The version and the actions by label."""
        with self._database.read() as connection:
            rows = connection.execute(select(intent_actions).order_by(intent_actions.c.label))
            found = {
                row.label: Action(row.kind, row.reply_zh, row.reply_en, row.url) for row in rows
            }
            return version_of(connection, _ACTIONS), found

    def save(self, actions: Mapping[str, Action]) -> None:
        """Set the action of each label, all or nothing."""
        rows = [
            {
                "label": label,
                "kind": action.kind,
                "reply_zh": action.reply_zh,
                "reply_en": action.reply_en,
                "url": action.url,
                "updated_at_ms": now_ms(),
            }
            for label, action in actions.items()
        ]

        def change(connection: Connection) -> None:
            connection.execute(_SAVE, rows)
            raise_version(connection, _ACTIONS)

        self._database.write(change)

    def remove(self, label: str) -> bool:
        """Whether there was one."""

        def change(connection: Connection) -> bool:
            found = connection.execute(
                delete(intent_actions).where(intent_actions.c.label == label)
            )
            raise_version(connection, _ACTIONS)
            return found.rowcount > 0

        return self._database.write(change)
