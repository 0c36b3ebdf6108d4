"""Knowledge searched in PostgreSQL is found as it is in memory, and its tables stay in line."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import asdict, replace
from datetime import date, timedelta
from typing import Any

import numpy as np
import pytest
from sqlalchemy import text

from kefu.errors import SettingsError
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.inference.encoder.compared import Compared
from kefu.knowledge.editing import switch_entries
from kefu.knowledge.entry import Entry
from kefu.knowledge.index import Index, Match
from kefu.knowledge.match import Sure
from kefu.knowledge.searching import MemorySearch
from kefu.knowledge.service import Knowledge, open_knowledge
from kefu.settings import load_settings
from kefu.stores.database import Database
from kefu.stores.knowledge import SqlKnowledge
from kefu.stores.pgvector import candidates
from kefu.stores.pgvector.tables import make_slow
from kefu.stores.pgvector.upkeep import bring_in_line
from kefu.telemetry import Metrics
from tests.fakes import HashingEncoder
from tests.knowledge.searched import SETTINGS, Searched

RETURN = Entry("return", "怎么退货？", "点退货", ("我要退货", "退货流程"))
INVOICE = Entry("invoice", "怎么开发票？", "点开票", tags=("发票",))
RETURN_EN = Entry("return-en", "How do I return it?", "Click return.")

WORDS = (
    "退货",
    "发票",
    "付款",
    "快递",
    "会员",
    "积分",
    "尺码",
    "颜色",
    "保修",
    "return",
    "pay",
    "size",
)
TABLES = {
    "search_terms": "SELECT language, term, questions, texts FROM search_terms "
    "WHERE questions > 0 OR texts > 0",
    "search_languages": "SELECT * FROM search_languages WHERE texts > 0",
    "search_entries": "SELECT entry_id, content_hash, text_units, found_by, near::text "
    "FROM search_entries",
}


class WiderEncoder(HashingEncoder):
    id = "hashing-64"
    dimensions = 64


@pytest.fixture
def searched_in() -> str:
    return "pgvector"


def in_memory(store: SqlKnowledge, encoder: BatchedEncoder) -> MemorySearch:
    return MemorySearch(Index(store.load(encoder.id)[1]), SETTINGS)


def random_entry(rng: np.random.Generator, id_: str) -> Entry:
    texts = ["".join(rng.choice(WORDS, rng.integers(1, 5))) for _ in range(4)]
    kind = "passage" if rng.random() < 0.2 else "faq"
    language = "en" if rng.random() < 0.2 else "zh"
    return Entry(
        id_, texts[0], texts[1] + "。" + texts[2], (texts[3],), language=language, kind=kind
    )


def ids(matches: Sequence[Match]) -> list[str]:
    return [match.entry.id for match in matches]


def rows_of(database: Database) -> dict[str, list[Any]]:
    with database.read() as connection:
        return {
            table: sorted(map(tuple, connection.execute(text(query))), key=str)
            for table, query in TABLES.items()
        }


async def test_the_same_is_found_as_in_memory_with_the_same_figures(
    knowledge: Knowledge, store: SqlKnowledge, encoder: BatchedEncoder
) -> None:
    rng = np.random.default_rng(3)
    await knowledge.import_entries([random_entry(rng, f"e{n}") for n in range(90)])
    memory = in_memory(store, encoder)
    for number in range(60):
        asked = (
            "".join(rng.choice(WORDS, 3))
            if number % 3
            else knowledge.entries[f"e{number}"].question
        )
        language = "en" if number % 5 == 0 else "zh"
        vector = await encoder.encode(asked)
        here = await knowledge.search(asked, vector, language)
        there = await memory.search(asked, vector, language, 5)
        assert [m.relevance for m in here] == pytest.approx([m.relevance for m in there], abs=1e-3)
        twins = {match.entry.id: match for match in there}
        for match in here:
            if twin := twins.get(match.entry.id):  # equally relevant ones come in either order
                one, other = asdict(match), asdict(twin)
                assert [one.pop(name) for name in ("entry", "question", "exact", "foreign")] == [
                    other.pop(name) for name in ("entry", "question", "exact", "foreign")
                ]
                assert one == pytest.approx(other, abs=1e-3)  # answers are kept shorter in memory
        decided = [
            await place.find(asked, Compared(vector), language) for place in (knowledge, memory)
        ]
        assert type(decided[0]) is type(decided[1])


async def test_of_more_entries_than_candidates_the_best_are_found(
    knowledge: Knowledge,
    store: SqlKnowledge,
    encoder: BatchedEncoder,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(candidates, "CANDIDATES", 40)
    rng = np.random.default_rng(4)
    await knowledge.import_entries([random_entry(rng, f"e{n}") for n in range(500)])
    memory, same = in_memory(store, encoder), []
    for _ in range(50):
        asked = "".join(rng.choice(WORDS, 3))
        vector = await encoder.encode(asked)
        here = await knowledge.search(asked, vector, "zh", 1)
        there = await memory.search(asked, vector, "zh", 1)
        same.append(here[0].relevance == pytest.approx(there[0].relevance, abs=1e-3))
    assert np.mean(same) > 0.9


async def test_after_many_changes_the_tables_are_as_if_nothing_else_had_ever_been(
    knowledge: Knowledge, database: Database, encoder: BatchedEncoder
) -> None:
    rng = np.random.default_rng(5)
    for _ in range(12):
        changed = {(id_ := f"e{rng.integers(30)}"): random_entry(rng, id_) for _ in range(6)}
        await knowledge.import_entries(list(changed.values()))
        await knowledge.delete_entries([f"e{rng.integers(30)}"])
        await knowledge.edit_entry(next(iter(knowledge.entries)), enabled=bool(rng.integers(2)))
    before = rows_of(database)
    database.write(lambda c: c.execute(text("DELETE FROM search_entries")))
    database.write(lambda c: c.execute(text("TRUNCATE search_terms, search_languages")))
    enabled = sum(entry.enabled for entry in knowledge.entries.values())
    assert bring_in_line(database, encoder.id) == enabled > 0
    assert rows_of(database) == before
    assert bring_in_line(database, encoder.id) == 0


async def test_two_desks_that_notice_the_same_change_write_its_rows_once(
    store: SqlKnowledge, database: Database, encoder: BatchedEncoder, searched: Searched
) -> None:
    desks = [await searched.open(store, encoder) for _ in range(3)]
    rng = np.random.default_rng(6)
    for turn in range(4):
        await desks[0].import_entries([random_entry(rng, f"e{turn}-{n}") for n in range(20)])
        await asyncio.gather(*(desk.refresh() for desk in desks))
    with database.read() as connection:
        counted = connection.execute(text("SELECT sum(texts) FROM search_languages")).scalar()
    assert counted == len(desks[1].entries) == 80
    vector = await encoder.encode("退货")
    found = [await desk.search("退货", vector, "zh") for desk in desks]
    assert found[0] == found[1] == found[2] != []


async def test_desks_that_start_together_make_one_set_of_tables(
    store: SqlKnowledge, encoder: BatchedEncoder, searched: Searched
) -> None:
    rng = np.random.default_rng(7)
    first = await open_knowledge(store, encoder, SETTINGS)
    await first.import_entries([random_entry(rng, f"e{n}") for n in range(40)])
    desks = await asyncio.gather(*(searched.open(store, encoder) for _ in range(4)))
    vector = await encoder.encode("退货")
    found = [await desk.search("退货", vector, "zh") for desk in desks]
    assert len(found[0]) >= 5
    assert all(one == found[0] for one in found)


async def test_who_saves_without_a_desk_need_not_know_of_the_tables(
    knowledge: Knowledge, store: SqlKnowledge, encoder: BatchedEncoder
) -> None:
    await knowledge.import_entries([RETURN, INVOICE])
    switch_entries(store, ["invoice"], enabled=False)
    vector = await encoder.encode("怎么开发票")
    # Before anybody has noticed, what is disabled is already not given.
    assert ids(await knowledge.search("怎么开发票", vector, "zh")) == ["return"]
    assert await knowledge.refresh()
    assert ids(await knowledge.search("怎么开发票", vector, "zh")) == ["return"]
    switch_entries(store, ["invoice"], enabled=True)
    assert await knowledge.refresh()
    assert ids(await knowledge.search("怎么开发票", vector, "zh")) == ["invoice", "return"]


async def test_an_entry_whose_row_is_old_says_what_it_says_now(
    knowledge: Knowledge, store: SqlKnowledge, encoder: BatchedEncoder
) -> None:
    await knowledge.import_entries([RETURN, INVOICE])
    (item,) = [i for i in store.load(encoder.id)[1] if i.entry.id == "invoice"]
    changed = replace(item.entry, answer="现在要打电话")
    store.save([replace(item, entry=changed)], encoder.id)
    vector = await encoder.encode("怎么开发票")
    best, *_ = await knowledge.search("怎么开发票", vector, "zh")
    assert (best.entry.answer, best.exact) == ("现在要打电话", True)


async def test_dates_languages_and_trials(knowledge: Knowledge, encoder: BatchedEncoder) -> None:
    today = date.today()
    await knowledge.import_entries(
        [
            RETURN,
            RETURN_EN,
            replace(INVOICE, valid_from=today + timedelta(days=1)),
            Entry("old", "发票怎么开", "以前这样开", valid_until=today - timedelta(days=1)),
        ]
    )
    vector = await encoder.encode("怎么开发票")
    found = await knowledge.search("怎么开发票", vector, "zh")
    assert [(m.entry.id, m.foreign) for m in found] == [("return", False), ("return-en", True)]
    tried = await knowledge.with_entries([INVOICE, replace(RETURN, answer="寄回来")])
    best, second, _ = await tried.search("怎么开发票", vector, "zh")
    assert (best.entry.id, best.exact, second.entry.answer) == ("invoice", True, "寄回来")
    assert ids(await knowledge.search("怎么开发票", vector, "zh")) == ["return", "return-en"]
    decision = await knowledge.find("我要退货", Compared(await encoder.encode("我要退货")), "zh")
    assert isinstance(decision, Sure)
    assert decision.entry.answer == "点退货"


@pytest.mark.parametrize("asked", ["？？！", "😀", "x" * 4000, "\x00 退货"])
async def test_whatever_is_asked_is_looked_for(
    knowledge: Knowledge, encoder: BatchedEncoder, asked: str
) -> None:
    vector = await encoder.encode(asked)
    assert await knowledge.search(asked, vector, "zh") == []
    await knowledge.import_entries([RETURN, INVOICE])
    assert set(ids(await knowledge.search(asked, vector, "zh"))) == {"return", "invoice"}


async def test_little_knowledge_has_its_indexes_too(
    knowledge: Knowledge, store: SqlKnowledge, encoder: BatchedEncoder, searched: Searched
) -> None:
    """Also where a desk died between dropping them and making them again."""
    await knowledge.import_entries([RETURN, INVOICE])
    query = text("SELECT count(*) FROM pg_indexes WHERE tablename = 'search_entries'")
    for _ in range(2):
        with searched.database.read() as connection:
            assert connection.execute(query).scalar() == 4  # with that of the primary key
        searched.database.write_apart(make_slow)
        await searched.open(store, encoder)


async def test_another_encoder_gets_tables_of_its_own(
    knowledge: Knowledge, store: SqlKnowledge, searched: Searched
) -> None:
    await knowledge.import_entries([RETURN, INVOICE])
    async with BatchedEncoder(WiderEncoder(), 8, 64, Metrics()) as other_encoder:
        other = await searched.open(store, other_encoder)
        found = await other.search("退货流程", await other_encoder.encode("退货流程"), "zh")
        assert (ids(found), found[0].exact) == (["return", "invoice"], True)


def test_a_database_without_pgvector_is_refused_with_what_to_do(
    database: Database, searched: Searched, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("kefu.stores.pgvector.tables.EXTENSION", "vector_of_nobody")
    with pytest.raises(SettingsError, match=r"vector_of_nobody.*postgresql-NN-pgvector"):
        asyncio.run(searched.open(SqlKnowledge(database), HashingEncoder()))  # type: ignore[arg-type]  # nothing is encoded


def test_a_file_has_no_pgvector() -> None:
    with pytest.raises(
        SettingsError, match=r"fit:\n  knowledge\.search is pgvector.*give its address"
    ):
        load_settings({"knowledge": {"search": "pgvector"}})
