"""Who decided what: added to, never changed; read by people and programs."""

from __future__ import annotations

import csv
import io
import json

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from kefu.review import audit as module
from kefu.review.audit import csv_lines, json_lines
from kefu.stores.audit import SqlAudit, append
from kefu.stores.database import Database


@pytest.fixture
def filled(database: Database, audit: SqlAudit, monkeypatch: pytest.MonkeyPatch) -> SqlAudit:
    monkeypatch.setattr(module, "_PAGE", 2)
    for number in range(5):
        details = {"note": f"因为“{number}”,\n"}
        database.write(lambda c, d=details: append(c, "cli:ann", "word_added", "word:刷单", d))
    return audit


async def test_records_follow_each_other_and_are_read_on_from_any(filled: SqlAudit):
    first = await filled.after(0, 3)
    rest = await filled.after(first[-1].seq, 10)
    seqs = [record.seq for record in (*first, *rest)]
    assert seqs == sorted(set(seqs))
    assert len(seqs) == 5
    assert await filled.about("word:刷单") == [*first, *rest]
    assert await filled.about("word:other") == []


async def test_both_exports_have_every_record(filled: SqlAudit):
    records = await filled.after(0, 10)
    lines = "".join([line async for line in json_lines(filled)])
    assert [json.loads(line)["details"] for line in lines.splitlines()] == [
        dict(record.details) for record in records
    ]
    table = "".join([line async for line in csv_lines(filled, records[2].seq)])
    rows = list(csv.DictReader(io.StringIO(table)))
    assert [int(row["seq"]) for row in rows] == [record.seq for record in records[3:]]
    assert [json.loads(row["details"]) for row in rows] == [dict(r.details) for r in records[3:]]


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE audit SET actor = 'nobody'",
        "DELETE FROM audit",
        "DELETE FROM audit WHERE seq = 1",
    ],
)
async def test_no_record_is_changed_or_deleted(filled: SqlAudit, database: Database, change: str):
    before = await filled.after(0, 10)
    with pytest.raises(DBAPIError, match="append-only"):
        database.write(lambda c: c.execute(text(change)) and None)
    assert await filled.after(0, 10) == before
