"""All rows of a database in one file, and back: how a desk moves from SQLite to PostgreSQL, or home.

The file is JSON lines, compressed with gzip: the first says what it is and how many rows of each table
follow, the others are a row each.
"""

from __future__ import annotations

import base64
import gzip
import json
import threading
import zlib
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Column, Connection, Date, LargeBinary, Table, false, func, insert, select
from sqlalchemy.exc import DataError, IntegrityError

from kefu import __version__
from kefu.errors import InvalidInput
from kefu.stores.database import Database, reason_of, revision_of
from kefu.stores.schema import metadata

FORMAT = 1
_HEAD = {"kefu", "format", "revision", "rows"}
_ROWS_AT_ONCE = 500

# So many rows of so many.
Progress = Callable[[int, int], None]
Counts = dict[str, int]


def export_rows(database: Database, path: Path, on_progress: Progress) -> Counts:
    """Write all rows as they are at this moment, while a desk may go on; how many of each table.

    Raises `InvalidInput` where the file is there already or cannot be written; then no part of it is
    left.
    """
    try:
        path.touch(0o600, exist_ok=False)  # customers' words are nobody else's
        try:
            with path.open("wb") as file, gzip.GzipFile(fileobj=file, mode="wb") as packed:
                return _export(database, packed, on_progress)
        except BaseException:  # Ctrl-C too
            path.unlink(missing_ok=True)
            raise
    except FileExistsError as error:
        raise InvalidInput(f"{path} is there already. Give another file.") from error
    except OSError as error:
        raise InvalidInput(f"{path} cannot be written: {error.strerror or error}.") from error


def import_rows(database: Database, path: Path, on_progress: Progress) -> Counts:
    """Take over all rows of an export into a database that is empty, all or nothing.

    Raises `InvalidInput` where the file is none, or not whole, or another kefu's, and where the
    database has something.
    """
    stopped = threading.Event()

    def go_on(done: int, total: int) -> None:
        if stopped.is_set():
            raise InvalidInput("The import was stopped.")
        on_progress(done, total)

    try:
        with gzip.open(path) as packed:
            head = _head_of(path, packed.readline())
        _require_revision(database, path, head)
        return database.write(lambda c: _import(c, path, head["rows"], go_on))
    except KeyboardInterrupt:
        stopped.set()  # the writer is a thread, and would finish it
        raise
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InvalidInput(f"{path} is no export of kefu, or was cut off: {error}.") from error
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror or error}.") from error
    except (DataError, IntegrityError) as error:
        raise InvalidInput(
            f"{path} has rows that this database does not take: {reason_of(error)}."
        ) from error


def _export(database: Database, packed: gzip.GzipFile, on_progress: Progress) -> Counts:
    with database.read() as connection:
        counts = _counts(connection)
        head = {
            "kefu": __version__,
            "format": FORMAT,
            "revision": revision_of(connection),
            "rows": counts,
        }
        packed.write(_line(head))
        done, total = 0, sum(counts.values())
        for table in metadata.sorted_tables:
            query = select(table).order_by(*table.primary_key.columns)
            for rows in connection.execute(query).partitions(_ROWS_AT_ONCE):
                for row in rows:
                    packed.write(_line({"table": table.name, "row": _packed(table, row._mapping)}))
                done += len(rows)
                on_progress(done, total)
    return counts


def _import(connection: Connection, path: Path, expected: Counts, on_progress: Progress) -> Counts:
    there = [f"{count} {name}" for name, count in _counts(connection).items() if count]
    if there:
        raise InvalidInput(
            f"The database has something already ({', '.join(there)}). Import into an empty one."
        )
    done, total = 0, sum(expected.values())
    with gzip.open(path) as packed:  # here, since a write that fails is tried again by itself
        rows = _rows(packed, path)
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            for table in dict.fromkeys(table for table, _ in some):
                connection.execute(insert(table), [row for of, row in some if of is table])
            done += len(some)
            on_progress(done, total)
    if (found := _counts(connection)) != expected:
        raise InvalidInput(f"{path} has other rows than it says: {found}, not {expected}.")
    _continue_counting(connection)
    return found


def _counts(connection: Connection) -> Counts:
    return {
        table.name: connection.execute(select(func.count()).select_from(table)).scalar_one()
        for table in metadata.sorted_tables
    }


def _head_of(path: Path, line: bytes) -> dict[str, Any]:
    try:
        head = json.loads(line)
    except ValueError:
        head = None
    if not isinstance(head, dict) or head.get("format") != FORMAT or not head.keys() >= _HEAD:
        raise InvalidInput(f"{path} is no export of this kefu.")
    return head


def _require_revision(database: Database, path: Path, head: Mapping[str, Any]) -> None:
    with database.read() as connection:
        ours = revision_of(connection)
    if head["revision"] != ours:
        raise InvalidInput(
            f"{path} was written by kefu {head['kefu']}, whose tables are of revision "
            f"{head['revision']}; here it is {ours}. Export and import with the same kefu."
        )


def _rows(packed: gzip.GzipFile, path: Path) -> Iterator[tuple[Table, dict[str, Any]]]:
    for number, line in enumerate(islice(packed, 1, None), 2):
        try:
            kept = json.loads(line)
            table = metadata.tables[kept["table"]]
            yield table, _unpacked(table, kept["row"])
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidInput(f"{path}, line {number}: no row of kefu ({error!r}).") from error


def _packed(table: Table, row: Mapping[Any, Any]) -> dict[str, Any]:
    return {column.name: _packed_cell(column, row[column.name]) for column in table.columns}


def _packed_cell(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column.type, LargeBinary):
        return base64.b64encode(value).decode()
    return value.isoformat() if isinstance(column.type, Date) else value


def _unpacked(table: Table, row: Mapping[str, Any]) -> dict[str, Any]:
    return {column.name: _unpacked_cell(column, row[column.name]) for column in table.columns}


def _unpacked_cell(column: Column[Any], value: Any) -> Any:
    if value is None:
        return None
    if isinstance(column.type, LargeBinary):
        return base64.b64decode(value)
    return date.fromisoformat(value) if isinstance(column.type, Date) else value


def _continue_counting(connection: Connection) -> None:
    """Have PostgreSQL number new rows after those that came with their numbers; SQLite does."""
    if connection.dialect.name != "postgresql":
        return
    for table in metadata.sorted_tables:
        if "seq" in table.columns:
            following = select(func.coalesce(func.max(table.c.seq), 0) + 1).scalar_subquery()
            sequence = func.pg_get_serial_sequence(table.name, "seq")
            connection.execute(select(func.setval(sequence, following, false())))


def _line(value: Mapping[str, Any]) -> bytes:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
