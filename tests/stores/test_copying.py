"""`kefu export` and `kefu import`: from one database into another without loss."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select

from kefu.conversations.ratings import Rating
from kefu.errors import InvalidInput
from kefu.knowledge.entry import Entry, IndexedEntry
from kefu.settings import Settings
from kefu.stores.audit import append
from kefu.stores.copying import export_rows, import_rows
from kefu.stores.database import Database
from kefu.stores.knowledge import SqlKnowledge
from kefu.stores.opening import open_database
from kefu.stores.schema import metadata
from kefu.stores.transcript import SqlTranscript
from tests.postgres import PostgresServer
from tests.stores.transcript_contract import TURN


@pytest.fixture
def filled(database: Database) -> Database:
    """Rows of every type of column."""
    entry = Entry("退货", "怎么退货?", "七天内可退。", tags=("a",), valid_from=date(2026, 1, 2))
    vectors = np.array([[0.1, -1.0], [1e-30, 3.0]], np.float32)
    SqlKnowledge(database).save([IndexedEntry(entry, vectors[:1], vectors[1])], "e")

    async def talk() -> None:
        transcript = SqlTranscript(database)
        turns = [replace(TURN, turn_id=f"t{n}", confidence=n / 7) for n in range(1200)]
        await asyncio.gather(*map(transcript.save, turns))  # more than are read at once
        await transcript.rate(TURN.uid, "t3", Rating("up", "😀", 5))

    asyncio.run(talk())
    database.write(lambda c: append(c, "kefu", "held", "turn:1", {"why": ["一"]}))
    return database


@pytest.fixture(params=["sqlite", "postgres"])
def empty(
    request: pytest.FixtureRequest, tmp_path: Path, postgres: PostgresServer
) -> Iterator[Database]:
    if request.param == "sqlite":
        with open_database(tmp_path / "empty.db") as database:
            yield database
        return
    with postgres.database() as url, open_database(url) as database:
        yield database


def rows_of(database: Database) -> dict[str, list[tuple]]:
    with database.read() as connection:
        return {
            table.name: [
                tuple(row)
                for row in connection.execute(select(table).order_by(*table.primary_key.columns))
            ]
            for table in metadata.sorted_tables
        }


def ignore(_done: int, _total: int) -> None: ...


def test_every_row_arrives_as_it_was(filled: Database, empty: Database, tmp_path: Path):
    file, steps = tmp_path / "all.gz", []
    counts = export_rows(filled, file, ignore)
    assert counts["turns"] == 1200
    assert file.stat().st_mode & 0o077 == 0
    assert import_rows(empty, file, lambda *step: steps.append(step)) == counts
    assert rows_of(empty) == rows_of(filled)
    assert steps[-1] == (sum(counts.values()),) * 2
    assert len(steps) > 2


def test_what_comes_after_it_gets_numbers_after_it(
    filled: Database, empty: Database, tmp_path: Path
):
    export_rows(filled, tmp_path / "all.gz", ignore)
    import_rows(empty, tmp_path / "all.gz", ignore)
    transcript = SqlTranscript(empty)
    asyncio.run(transcript.save(replace(TURN, turn_id="new")))
    assert [turn.turn_id for turn in asyncio.run(transcript.last_turns(TURN.uid, 2))] == [
        "t1199",
        "new",
    ]
    empty.write(lambda c: append(c, "kefu", "held", "turn:2"))
    assert [row[0] for row in rows_of(empty)["audit"]] == [1, 2]


def test_only_an_empty_database_takes_it(filled: Database, tmp_path: Path):
    export_rows(filled, tmp_path / "all.gz", ignore)
    before = rows_of(filled)
    with pytest.raises(InvalidInput, match="1200 turns"):
        import_rows(filled, tmp_path / "all.gz", ignore)
    assert rows_of(filled) == before


def test_a_file_that_is_there_is_not_touched(filled: Database, tmp_path: Path):
    (tmp_path / "all.gz").write_bytes(b"mine")
    with pytest.raises(InvalidInput, match="there already"):
        export_rows(filled, tmp_path / "all.gz", ignore)
    assert (tmp_path / "all.gz").read_bytes() == b"mine"


def test_an_export_that_is_stopped_leaves_no_file(filled: Database, tmp_path: Path):
    def stop(_done: int, _total: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export_rows(filled, tmp_path / "all.gz", stop)
    assert list(tmp_path.glob("*.gz")) == []


def changed(line: int, **values: object):
    def change(lines: list[bytes]) -> list[bytes]:
        return [
            *lines[:line],
            json.dumps({**json.loads(lines[line]), **values}).encode(),
            *lines[line + 1 :],
        ]

    return change


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda lines: lines[:100], "other rows than it says"),
        (lambda lines: [], "no export of this kefu"),
        (changed(0, format=99), "no export of this kefu"),
        (lambda lines: [b'{"format": 1}', *lines[1:]], "no export of this kefu"),
        (lambda lines: [*lines[:2], lines[1], *lines[2:]], "does not take"),
        (changed(0, revision="0001"), "revision 0001; here it is 0006"),
        (changed(5, table="nothing"), "line 6: no row of kefu"),
        (changed(5, row={}), "line 6: no row of kefu"),
        (lambda lines: [*lines[:5], b"{", *lines[6:]], "line 6: no row of kefu"),
    ],
)
def test_a_file_that_does_not_fit_changes_nothing(
    filled: Database, empty: Database, tmp_path: Path, spoil, said: str
):
    export_rows(filled, tmp_path / "all.gz", ignore)
    lines = gzip.decompress((tmp_path / "all.gz").read_bytes()).splitlines()
    (tmp_path / "bad.gz").write_bytes(gzip.compress(b"\n".join(spoil(lines))))
    before = rows_of(empty)
    with pytest.raises(InvalidInput, match=said):
        import_rows(empty, tmp_path / "bad.gz", ignore)
    assert rows_of(empty) == before


def test_ctrl_c_leaves_nothing(filled: Database, empty: Database, tmp_path: Path):
    export_rows(filled, tmp_path / "all.gz", ignore)

    def press(_done: int, _total: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(0.5)  # it is the other thread that hears it

    with pytest.raises(KeyboardInterrupt):
        import_rows(empty, tmp_path / "all.gz", press)
    empty.write(lambda _: None)  # after the one that was stopped
    assert not any(rows_of(empty).values())


@pytest.mark.parametrize("cut", [10, 500, -1])
def test_a_file_that_was_cut_off_changes_nothing(
    filled: Database, empty: Database, tmp_path: Path, cut: int
):
    export_rows(filled, tmp_path / "all.gz", ignore)
    (tmp_path / "cut.gz").write_bytes((tmp_path / "all.gz").read_bytes()[:cut])
    with pytest.raises(InvalidInput, match="cut off"):
        import_rows(empty, tmp_path / "cut.gz", ignore)
    assert not any(rows_of(empty).values())


def test_settings_name_the_database(settings: Settings, database_url: str):
    assert settings.database_at == (database_url or settings.data_dir / "kefu.db")
    assert not database_url or database_url not in repr(settings)
