from __future__ import annotations

from kefu.gaps.golden import GoldenQuestion
from kefu.stores.database import Database
from kefu.stores.golden import SqlGolden

FEE = GoldenQuestion("运费？", "fee")
MOON = GoldenQuestion("月亮多远", "")


def test_questions_are_kept_replaced_and_forgotten(database: Database) -> None:
    golden = SqlGolden(database)
    assert golden.all() == []
    golden.save([])
    golden.save([MOON, FEE])
    assert golden.all() == [MOON, FEE]
    changed = GoldenQuestion("运费？", "shipping")
    golden.save([changed], remove=[MOON.question, "never there"])
    assert SqlGolden(database).all() == [changed]
    assert golden.remove("运费？")
    assert not golden.remove("运费？")
    assert golden.all() == []
