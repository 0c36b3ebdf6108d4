"""Turns that are kept on a server by one statement: fence and turn, and all turns that wait."""

from __future__ import annotations

import asyncio
import json
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Text,
    bindparam,
    cast,
    func,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import Insert, insert

from kefu.conversations.transcript import Turn
from kefu.errors import KefuError, Overloaded
from kefu.stores.database import DatabaseFailed, Direct
from kefu.stores.schema import fences, turns
from kefu.telemetry import Metrics

MOST_AT_ONCE = 64
MOST_WAITING = 4096

# `seq` is the database's, and a rating comes later.
TURN_COLUMNS = [column.name for column in turns.c if column.name != "seq"]
_KEY = ("uid", "idempotency_key")


def adding_turns(add: Insert) -> Insert:
    """A retry of a turn that was never answered takes its place; an answered one is never overwritten."""
    return add.on_conflict_do_update(
        index_elements=_KEY,
        set_={name: add.excluded[name] for name in TURN_COLUMNS if name not in _KEY},
        where=turns.c.status != "answered",
    )


def raising_fences(add: Insert) -> Insert:
    """Only ever up."""
    return add.on_conflict_do_update(
        index_elements=["uid"],
        set_={"fence": add.excluded.fence},
        where=fences.c.fence < add.excluded.fence,
    )


def values_of(turn: Turn) -> dict[str, Any]:
    values = {name: getattr(turn, name) for name in TURN_COLUMNS}
    values["citations"] = [asdict(citation) for citation in turn.citations]
    values["choices"] = [asdict(choice) for choice in turn.choices]
    return values


def _keeping() -> Any:
    """Keeps turns of different customers, given as a JSON array, and finds the ids of those that it did
    not, since their customer's last turn has as high a fence or a higher one."""
    columns = [Column(name, turns.c[name].type) for name in TURN_COLUMNS]
    rows = func.json_to_recordset(cast(bindparam("given", type_=Text), JSON)).table_valued(
        Column("fence", fences.c.fence.type), *columns
    )
    given = select(rows.render_derived(name="rows", with_types=True)).cte("given")
    higher = select(given.c.uid, given.c.fence).where(given.c.fence > 0)
    raised = (
        raising_fences(insert(fences).from_select(["uid", "fence"], higher))
        .returning(fences.c.uid)
        .cte("raised")
    )
    is_held = or_(given.c.fence == 0, given.c.uid.in_(select(raised.c.uid)))
    held = select(*(given.c[name] for name in TURN_COLUMNS)).where(is_held)
    kept = adding_turns(insert(turns).from_select(TURN_COLUMNS, held)).cte("kept")
    return select(given.c.turn_id).where(~is_held).add_cte(kept)


_KEEP = _keeping()
_IS_THERE = select(turns.c.seq).where(turns.c.turn_id == bindparam("turn_id"))


@dataclass(frozen=True)
class _Save:
    uid: str
    row: dict[str, Any]
    is_kept: asyncio.Future[bool]


class Saving:
    """While one statement is under way those that come wait, and are kept by the next one. For one event
    loop."""

    def __init__(self, direct: Direct, metrics: Metrics) -> None:
        self._direct = direct
        self._metrics = metrics
        self._waiting: deque[_Save] = deque()
        self._task: asyncio.Task[None] | None = None

    def save(self, turn: Turn, fence: int) -> asyncio.Future[bool]:
        """Whether it is kept: not where the customer's last turn has a higher fence. The future raises
        `DatabaseFailed`; then it may have been kept, and can be saved again. Raises `Overloaded`."""
        if len(self._waiting) >= MOST_WAITING:
            raise Overloaded("Too many turns wait for the database. Try again shortly.")
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Save(turn.uid, {"fence": fence, **values_of(turn)}, future))
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._save_all(), name="kefu-saving")
        return future

    async def _save_all(self) -> None:
        while batch := self._next():
            self._metrics.commit_waiting.set(len(self._waiting))
            try:
                await self._keep(batch)
            except DatabaseFailed as error:
                _fail(batch, error)
            except Exception:  # noqa: BLE001 - one spoils it for the others: each is tried alone, and told why
                await self._keep_apart(batch)

    def _next(self) -> list[_Save]:
        """The first that wait, of each customer one, for a statement cannot change a row twice; in an order
        that is the same at all desks, or two might wait for each other."""
        batch: dict[str, _Save] = {}
        left: list[_Save] = []
        while self._waiting and len(batch) + len(left) < MOST_AT_ONCE:
            one = self._waiting.popleft()
            if one.is_kept.done():  # its caller has given up, and must not find it done
                continue
            if one.uid in batch:
                left.append(one)
            else:
                batch[one.uid] = one
        self._waiting.extendleft(reversed(left))
        return [batch[uid] for uid in sorted(batch)]

    async def _keep(self, batch: Sequence[_Save]) -> None:
        rows = json.dumps([one.row for one in batch], ensure_ascii=False)
        refused = [row["turn_id"] for row in await self._direct.rows(_KEEP, {"given": rows})]
        # The same fence again is the same turn again: the answer to its first commit never came.
        lost = {id_ for id_ in refused if not await self._is_there(id_)}
        self._metrics.commit_batch.observe(len(batch))
        for one in batch:
            if not one.is_kept.done():
                one.is_kept.set_result(one.row["turn_id"] not in lost)

    async def _keep_apart(self, batch: Sequence[_Save]) -> None:
        for one in batch:
            try:
                await self._keep([one])
            except Exception as error:  # noqa: BLE001 - handed to the caller through its future
                await self._settle(one, error)

    async def _settle(self, one: _Save, error: Exception) -> None:
        """Without a fence the same turn again is an error, which may be looked at first: looking always
        would make PostgreSQL read the whole table."""
        try:
            is_there = await self._is_there(one.row["turn_id"])
        except KefuError as away:  # or closed meanwhile
            error, is_there = away, False
        if not is_there:
            _fail([one], error)
        elif not one.is_kept.done():
            one.is_kept.set_result(True)

    async def _is_there(self, turn_id: str) -> bool:
        return bool(await self._direct.rows(_IS_THERE, {"turn_id": turn_id}))


def _fail(batch: Sequence[_Save], error: Exception) -> None:
    for one in batch:
        if not one.is_kept.done():
            one.is_kept.set_exception(error)
