from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from kefu.conversations.ratings import Rating
from kefu.conversations.transcript import Turn
from kefu.gaps import report as module
from kefu.gaps.report import Gap, GapReport, find_gaps
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.intent.classifier import Prediction
from kefu.intent.service import Intents
from kefu.knowledge.service import Knowledge
from kefu.stamps import now_ms
from kefu.stores.transcript import SqlTranscript

NOW = now_ms()
DAY = 24 * 3600 * 1000


@dataclass
class Shop:
    transcript: SqlTranscript
    knowledge: Knowledge
    encoder: BatchedEncoder
    intents: module.Intents
    turns: int = field(default=0)

    async def ask(self, uid: str, question: str, *, days_ago: float = 0, **what: Any) -> Turn:
        """A turn; one that was not answered unless told otherwise."""
        self.turns += 1
        about = {"source": "handoff", "confidence": 0.0} | what
        at_ms = NOW - round(days_ago * DAY) + self.turns
        turn_id = f"t{self.turns}"
        turn = Turn(uid, uid, question, turn_id=turn_id, created_at_ms=at_ms, **about)
        await self.transcript.save(turn)
        return turn

    async def gaps(self, **how: Any) -> GapReport:
        return await find_gaps(self.transcript, self.knowledge, self.encoder, self.intents, **how)


@pytest.fixture
def shop(
    transcript: SqlTranscript,
    knowledge: Knowledge,
    encoder: BatchedEncoder,
    untrained: Intents,
) -> Shop:
    return Shop(transcript, knowledge, encoder, untrained)


async def test_without_turns_nothing_is_missing(shop: Shop) -> None:
    found = await shop.gaps()
    assert (found.turns, found.missed, found.clusters, found.gaps) == (0, 0, 0, ())


async def test_a_gap_says_how_many_asked_what_when_and_why(shop: Shop) -> None:
    first = await shop.ask("ann", "可以包装成礼物吗", days_ago=2)
    await shop.ask("bob", "可以包装成礼物吗？")
    rated = await shop.ask("ann", "请问可以包装成礼物吗", source="model", confidence=0.8)
    await shop.transcript.rate("ann", rated.turn_id, Rating("down", "没有回答"))
    last = await shop.ask("cid", "可以包装成礼物么", source="", status="failed")
    await shop.ask("dan", "store opening hours", source="faq", confidence=0.4)
    await shop.ask("dan", "运费是多少", source="faq", confidence=1.0)

    found = await shop.gaps()
    assert (found.turns, found.missed, found.clusters) == (6, 5, 2)
    assert (found.foreign, found.left_out) == (0, 0)
    gift, hours = found.gaps
    assert gift.question in ("可以包装成礼物吗？", "可以包装成礼物么")
    assert (gift.count, gift.customers) == (4, 3)
    assert set(gift.examples) == {"可以包装成礼物吗？", "可以包装成礼物么", "请问可以包装成礼物吗"}
    assert (gift.first_at_ms, gift.last_at_ms) == (first.created_at_ms, last.created_at_ms)
    assert gift.why == {"unanswered": 2, "failed": 1, "rated_down": 1}
    assert gift.reasons == ("没有回答",)
    assert gift.nearest is not None
    assert gift.nearest.id in ("fee", "return")
    assert 0 <= gift.nearest.score < 1
    assert (hours.question, hours.why) == ("store opening hours", {"quoted": 1})
    kept = await shop.transcript.find_turn(gift.turn_id)
    assert kept is not None
    assert kept.question == gift.question


async def test_a_follow_up_is_shown_completed(shop: Shop) -> None:
    await shop.ask("ann", "那鞋呢", standalone_question="鞋可以退吗")
    (gap,) = (await shop.gaps()).gaps
    assert gap.question == "鞋可以退吗"


async def test_the_nearest_entry_is_the_one_that_was_missed(shop: Shop) -> None:
    await shop.ask("ann", "请问退货怎么申请的呀")
    (gap,) = (await shop.gaps()).gaps
    assert gap.nearest is not None
    assert (gap.nearest.id, gap.nearest.question) == ("return", "怎么申请退货")


async def test_an_empty_knowledge_has_no_nearest(shop: Shop) -> None:
    await shop.knowledge.delete_entries(["fee", "return"])
    await shop.ask("ann", "可以包装成礼物吗")
    (gap,) = (await shop.gaps()).gaps
    assert gap.nearest is None


async def test_most_customers_come_first(shop: Shop) -> None:
    for _ in range(3):
        await shop.ask("ann", "store opening hours")
    for uid in ("bob", "cid"):
        await shop.ask(uid, "可以包装成礼物吗")

    def shown(gaps: tuple[Gap, ...]) -> list[tuple[int, int]]:
        return [(gap.customers, gap.count) for gap in gaps]

    assert shown((await shop.gaps()).gaps) == [(2, 2), (1, 3)]
    cut = await shop.gaps(limit=1)
    assert (shown(cut.gaps), cut.clusters) == ([(2, 2)], 2)


async def test_only_the_last_days_count(shop: Shop) -> None:
    await shop.ask("ann", "可以包装成礼物吗", days_ago=3)
    await shop.ask("ann", "store opening hours", days_ago=8)
    assert [(await shop.gaps(days=days)).missed for days in (1, 7, 30)] == [0, 1, 2]


async def test_it_is_bounded(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TURNS", 4)
    monkeypatch.setattr(module, "MAX_WORDINGS", 2)
    for question in ("oldest", "wrap it", "opening hours", "where are you", "where are you"):
        await shop.ask("ann", question, days_ago=1)
    found = await shop.gaps()
    assert (found.turns, found.missed, found.left_out) == (4, 4, 1)
    assert {gap.question for gap in found.gaps} == {"where are you", "opening hours"}
    assert found.since_ms == NOW - DAY + 2


class Taught:
    """Intents that know chit-chat when they see it."""

    version = "v1"

    async def classify(self, text: str, vector: np.ndarray) -> Prediction:
        label = "oos" if "天气" in text else "gift"
        return Prediction(label, 0.99, 0.99, ())

    def is_foreign(self, prediction: Prediction | None) -> bool:
        return prediction is not None and prediction.label == "oos"


async def test_what_is_none_of_the_shops_business_is_only_counted(shop: Shop) -> None:
    shop.intents = Taught()
    for uid in ("ann", "bob"):
        await shop.ask(uid, "今天天气好吗")
    await shop.ask("ann", "可以包装成礼物吗")
    found = await shop.gaps()
    assert (found.missed, found.foreign) == (3, 2)
    assert [gap.question for gap in found.gaps] == ["可以包装成礼物吗"]
