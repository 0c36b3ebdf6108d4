"""The actions of intents in SQLite."""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Connection, delete, select
from sqlalchemy.dialects.sqlite import insert

from kefu.intent.actions import Action
from kefu.stamps import now_ms
from kefu.stores.schema import intent_actions, versions
from kefu.stores.sqlite import Database

_ACTIONS = "intent_actions"

_SAVE = insert(intent_actions)
_SAVE = _SAVE.on_conflict_do_update(
    index_elements=["label"],
    set_={c.name: _SAVE.excluded[c.name] for c in intent_actions.c if c.name != "label"},
)
_BUMP = (
    insert(versions)
    .values(name=_ACTIONS, version=1)
    .on_conflict_do_update(index_elements=["name"], set_={"version": versions.c.version + 1})
)


class SqliteActions:
    """Synchronous and thread-safe; every change is one transaction and a new version."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def version(self) -> int:
        with self._database.read() as connection:
            return _version(connection)

    def load(self) -> tuple[int, dict[str, Action]]:
        """The version and the actions by label."""
        with self._database.read() as connection:
            rows = connection.execute(select(intent_actions).order_by(intent_actions.c.label))
            found = {
                row.label: Action(row.kind, row.reply_zh, row.reply_en, row.url) for row in rows
            }
            return _version(connection), found

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
            connection.execute(_BUMP)

        self._database.write(change)

    def remove(self, label: str) -> bool:
        """Whether there was one."""

        def change(connection: Connection) -> bool:
            found = connection.execute(
                delete(intent_actions).where(intent_actions.c.label == label)
            )
            connection.execute(_BUMP)
            return found.rowcount > 0

        return self._database.write(change)


def _version(connection: Connection) -> int:
    query = select(versions.c.version).where(versions.c.name == _ACTIONS)
    return connection.execute(query).scalar() or 0
