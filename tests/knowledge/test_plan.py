"""What an import keeps, changes, adds and removes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import date

import pytest

from kefu.errors import InvalidInput
from kefu.knowledge.documents.chunking import Chunk
from kefu.knowledge.documents.passages import entries_of
from kefu.knowledge.entry import Entry
from kefu.knowledge.plan import ImportPlan, make_plan
from kefu.knowledge.sources import Source

RETURNS = "收到商品七天内可以退货。"
SHIPPING = "运费由买家承担，普通件八元。"
MEMBERS = "会员每年免三次运费。"


def passage(text: str, path: str = "退货", page: int | None = None) -> Chunk:
    return Chunk("passage", path, text, (text,), page)


def document(*chunks: Chunk, name: str = "手册.pdf") -> Source:
    return Source(name, False, tuple(entries_of(chunks, name)))


def table(*entries: Entry, name: str = "faq.csv", columns: Sequence[str] = ()) -> Source:
    named = tuple(replace(entry, source=name) for entry in entries)
    return Source(name, True, named, frozenset({"id", "question", "answer", *columns}))


def after(plan: ImportPlan, known: dict[str, Entry]) -> dict[str, Entry]:
    """The knowledge when the plan was carried out."""
    left = {id_: entry for id_, entry in known.items() if id_ not in plan.removed_ids}
    return left | {entry.id: entry for entry in plan.written}


def imported(*sources: Source) -> dict[str, Entry]:
    return after(make_plan({}, sources), {})


def ids(known: dict[str, Entry]) -> dict[str, str]:
    return {entry.answer: id_ for id_, entry in known.items()}


def counts(plan: ImportPlan) -> tuple[int, ...]:
    return tuple(plan.count(what) for what in ("added", "changed", "unchanged", "removed", "kept"))


def test_the_same_document_again_changes_nothing() -> None:
    source = document(passage(RETURNS), passage(SHIPPING, "运费"))
    known = imported(source)
    plan = make_plan(known, [source])
    assert counts(plan) == (0, 0, 2, 0, 0)
    assert (plan.written, plan.removed_ids) == ([], [])


def test_what_stays_keeps_its_id_while_everything_moves() -> None:
    known = imported(document(passage(RETURNS, page=1), passage(SHIPPING, "运费", 2)))
    new = document(passage(MEMBERS, "会员"), passage(SHIPPING, "费用", 3), passage(RETURNS, page=2))
    plan = make_plan(known, [new])
    assert counts(plan) == (1, 2, 0, 0, 0)
    then = after(plan, known)
    assert {text: ids(then)[text] for text in ids(known)} == ids(known)
    assert then[ids(known)[SHIPPING]].question == "费用"


def test_the_only_rewritten_passage_under_its_headings_keeps_its_id() -> None:
    known = imported(document(passage(RETURNS), passage(SHIPPING), passage(MEMBERS)))
    rewritten = "完全是另一段文字了。"
    plan = make_plan(known, [document(passage(RETURNS), passage(rewritten), passage(MEMBERS))])
    assert counts(plan) == (0, 1, 2, 0, 0)
    assert ids(after(plan, known))[rewritten] == ids(known)[SHIPPING]


def test_of_several_rewritten_passages_the_likest_keep_their_ids() -> None:
    known = imported(document(passage(RETURNS), passage(SHIPPING)))
    new = (SHIPPING.replace("八", "十"), RETURNS.replace("七", "十五"), "毫无关系的一段新文字！")
    plan = make_plan(known, [document(*map(passage, new))])
    assert counts(plan) == (1, 2, 0, 0, 0)
    then = ids(after(plan, known))
    assert [then[text] for text in new[:2]] == [ids(known)[SHIPPING], ids(known)[RETURNS]]


def test_what_is_gone_from_a_document_is_removed_and_nothing_else() -> None:
    own = document(passage(RETURNS), passage(SHIPPING, "运费"))
    other = document(passage(SHIPPING, "运费"), name="other.md")
    known = imported(own, other, table(Entry("a", "q", "a")))
    plan = make_plan(known, [document(passage(RETURNS))])
    assert counts(plan) == (0, 0, 1, 1, 0)
    assert {entry.source for entry in after(plan, known).values()} == {
        "手册.pdf",
        "other.md",
        "faq.csv",
    }


def test_words_that_come_back_do_not_take_the_id_of_what_replaced_them() -> None:
    known = imported(document(passage(RETURNS)))
    changed = after(make_plan(known, [document(passage(SHIPPING))]), known)
    then = after(make_plan(changed, [document(passage(SHIPPING), passage(RETURNS))]), changed)
    assert len(then) == 2
    assert ids(then)[SHIPPING] == ids(known)[RETURNS]


def test_what_people_set_on_a_passage_survives_an_import() -> None:
    source = document(passage(RETURNS))
    (entry,) = imported(source).values()
    edited = replace(entry, enabled=False, tags=("旧",), valid_until=date(2026, 1, 1))
    assert counts(make_plan({entry.id: edited}, [source])) == (0, 0, 1, 0, 0)


def test_a_table_changes_its_rows_and_keeps_those_that_are_gone() -> None:
    known = imported(table(Entry("a", "q", "old"), Entry("b", "r", "s")))
    new = table(Entry("a", "q", "new"), Entry("c", "t", "u"))
    assert counts(make_plan(known, [new])) == (1, 1, 0, 0, 1)
    plan = make_plan(known, [new], replace_rows=True)
    assert counts(plan) == (1, 1, 0, 1, 0)
    assert set(after(plan, known)) == {"a", "c"}


def test_a_table_leaves_alone_what_it_has_no_column_for() -> None:
    kept = Entry("a", "q", "x", ("other",), ("tag",), enabled=False, source="faq.csv")
    assert counts(make_plan({"a": kept}, [table(Entry("a", "q", "x"))])) == (0, 0, 1, 0, 0)
    plan = make_plan({"a": kept}, [table(Entry("a", "q", "x"), columns=["enabled", "tags"])])
    assert plan.written == [replace(kept, enabled=True, tags=())]


def test_an_id_of_another_source_is_an_error() -> None:
    known = imported(table(Entry("a", "q", "x")))
    with pytest.raises(InvalidInput, match=r"'a' of b\.csv is in faq\.csv"):
        make_plan(known, [table(Entry("a", "q", "x"), name="b.csv")])
    with pytest.raises(InvalidInput, match=r"'a' of b\.csv is in faq\.csv"):
        make_plan({}, [table(Entry("a", "q", "x")), table(Entry("a", "q", "x"), name="b.csv")])
    with pytest.raises(InvalidInput, match="Two of the files are called"):
        make_plan({}, [table(Entry("a", "q", "x")), table(Entry("b", "q", "x"))])


def test_entries_without_a_source_are_taken_over_and_without_a_name_keep_theirs() -> None:
    by_hand = {"a": Entry("a", "q", "x")}
    plan = make_plan(by_hand, [table(Entry("a", "q", "x"))])
    assert plan.written == [Entry("a", "q", "x", source="faq.csv")]
    known = after(plan, by_hand)
    plan = make_plan(known, [table(Entry("a", "q", "y"), name="")])
    assert plan.written == [Entry("a", "q", "y", source="faq.csv")]
    assert plan.count("kept") == 0
    with pytest.raises(InvalidInput, match="no name"):
        make_plan(known, [table(Entry("a", "q", "y"), name="")], replace_rows=True)
