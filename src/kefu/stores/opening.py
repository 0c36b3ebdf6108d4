"""Opens a database of either kind."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import ModuleType

from kefu.errors import SettingsError
from kefu.stores.database import Database
from kefu.stores.sqlite import open_sqlite
from kefu.telemetry import Metrics


def open_database(where: Path | str, metrics: Metrics | None = None) -> Database:
    """The SQLite file at a path, or the PostgreSQL database of a URL, its tables brought up to date.

    Raises `SettingsError` where it cannot be opened or belongs to a newer kefu.
    """
    if isinstance(where, Path):
        return open_sqlite(where, metrics)
    opened: Database = _postgres().open_postgres(where, metrics)
    return opened


@contextmanager
def only_desk_at(where: Path | str) -> Iterator[None]:
    """Raises `SettingsError` where another desk serves from this PostgreSQL database. Of a file it is
    the data folder that has one desk."""
    claimed = nullcontext() if isinstance(where, Path) else _postgres().require_only_desk(where)
    with claimed:
        yield


def _postgres() -> ModuleType:
    """Its driver comes with an extra."""
    try:
        return importlib.import_module("kefu.stores.postgres")
    except ImportError as error:
        raise SettingsError(
            "database is set, but the driver of PostgreSQL is not installed: pip install 'kefu[cluster]'"
        ) from error
