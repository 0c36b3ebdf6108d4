"""Who decided what and when. Records are only ever added; they hold no word of a customer."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Protocol

# "kefu" decides where no person does.
KEFU = "kefu"

_PAGE = 1000
_COLUMNS = ("seq", "at_ms", "actor", "action", "subject", "details")


@dataclass(frozen=True)
class AuditRecord:
    """`actor` is `kefu`, `cli:` and a user, or `key:` and the id of a key; `subject` is `review:`,
    `turn:` or `word:` and its name."""

    seq: int
    at_ms: int
    actor: str
    action: str
    subject: str
    details: Mapping[str, Any]


class AuditStore(Protocol):
    """Keeps the audit."""

    async def after(self, seq: int, limit: int) -> list[AuditRecord]:
        """The records that follow `seq`, oldest first."""

    async def about(self, subject: str) -> list[AuditRecord]:
        """All records of one subject, oldest first."""


def review_subject(review_id: str) -> str:
    return f"review:{review_id}"


def turn_subject(turn_id: str) -> str:
    return f"turn:{turn_id}"


async def csv_lines(audit: AuditStore, after: int = 0) -> AsyncIterator[str]:
    """The whole audit as CSV with a header, in pieces; `details` is JSON."""
    yield _csv_row(_COLUMNS)
    async for record in _all(audit, after):
        values = asdict(record) | {"details": json.dumps(record.details, ensure_ascii=False)}
        yield _csv_row(tuple(values[name] for name in _COLUMNS))


async def json_lines(audit: AuditStore, after: int = 0) -> AsyncIterator[str]:
    """The whole audit, a JSON object a line."""
    async for record in _all(audit, after):
        yield json.dumps(asdict(record), ensure_ascii=False) + "\n"


async def _all(audit: AuditStore, after: int) -> AsyncIterator[AuditRecord]:
    while page := await audit.after(after, _PAGE):
        for record in page:
            yield record
        after = page[-1].seq


def _csv_row(values: tuple[object, ...]) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(values)
    return line.getvalue()
