from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.settings import ConversationSettings
from kefu.stores.database import Database
from kefu.stores.transcript import SqlTranscript
from kefu.turn import context
from kefu.turn.context import Contexts
from kefu.turn.reply import Round
from kefu.turn.tokens import cut_to_tokens, estimate_tokens


def contexts(database: Database, **settings) -> Contexts:
    return Contexts(SqlTranscript(database), ConversationSettings(**settings))


def test_the_newest_rounds_within_the_budget_are_kept(database: Database):
    rounds = [Round(f"问题{i}" + "长" * 20, "答" * 20) for i in range(6)]
    each = estimate_tokens(rounds[0].question) + estimate_tokens(rounds[0].reply)
    assert contexts(database, context_tokens=3 * each).fitting(rounds) == tuple(rounds[3:])
    assert contexts(database, context_tokens=each - 1).fitting(rounds) == ()
    assert contexts(database, context_rounds=2).fitting(rounds) == tuple(rounds[4:])
    assert contexts(database, context_rounds=0).fitting(rounds) == ()


async def test_memory_is_bounded(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(context, "MAX_REMEMBERED", 3)
    talks = context.MemoryTalks()
    for i in range(10):
        await talks.go_on(f"u{i}", context.Conversation("c", (), 0), Round("q", "a"), 0)
    assert [i for i in range(10) if await talks.find(f"u{i}")] == [7, 8, 9]


@given(st.text())
def test_the_estimate_grows_with_the_text(text: str):
    assert 0 <= estimate_tokens(text) <= estimate_tokens(text + "字") <= len(text) + 2


@given(st.text(), st.integers(1, 50))
def test_a_cut_text_fits_and_is_a_beginning(text: str, tokens: int):
    cut = cut_to_tokens(text, tokens)
    assert estimate_tokens(cut) <= tokens
    assert cut == text or text.startswith(cut.removesuffix("…"))
