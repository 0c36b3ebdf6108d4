from __future__ import annotations

import pytest

from kefu.conversations.masking import masked_turn
from kefu.conversations.transcript import Turn
from kefu.personal_data import is_masked_of
from kefu.stores.database import Database
from kefu.stores.transcript import SqlTranscript


def turn(source: str = "model") -> Turn:
    return Turn(
        uid="u",
        conversation_id="c",
        question="我的手机13812345678收不到短信",
        standalone_question="短信: 我的手机13812345678收不到短信",
        reply="已为13812345678重发，或拨021-58887777。",
        source=source,
        idempotency_key="k",
    )


def test_what_the_customer_and_the_model_wrote_is_masked():
    masked = masked_turn(turn())
    assert masked.question == "我的手机138****5678收不到短信"
    assert masked.standalone_question == "短信: 我的手机138****5678收不到短信"
    assert masked.reply == "已为138****5678重发，或拨021-5****777。"


@pytest.mark.parametrize("source", ["faq", "canned", "handoff", "blocked", "held"])
def test_the_shops_own_words_stay(source: str):
    assert masked_turn(turn(source)).reply == turn().reply


@pytest.mark.parametrize("source", ["model", "cache", ""])
def test_any_other_words_do_not(source: str):
    assert "13812345678" not in masked_turn(turn(source)).reply


async def test_a_retry_is_known_by_what_was_kept(database: Database):
    transcript = SqlTranscript(database)
    await transcript.save(masked_turn(turn()))
    kept = await transcript.find_by_key("u", "k")
    assert kept is not None
    assert "13812345678" not in repr(kept)
    assert is_masked_of(kept.question, turn().question)
    assert not is_masked_of(kept.question, "我的手机13912345678收不到短信")
