"""Turns without the personal details that stand in them, for transcripts that are to have none."""

from __future__ import annotations

from dataclasses import replace

from kefu.conversations.transcript import Turn
from kefu.personal_data import mask

# Replies in the shop's own words: the number and the address in them are the shop's.
_OWN_WORDS = frozenset({"faq", "canned", "handoff", "blocked", "held"})


def masked_turn(turn: Turn) -> Turn:
    """The turn as it is kept. A retry after a restart gets its reply as masked as this.

    Compare a retry's words with `personal_data.is_masked_of(turn.question, text)`.
    """
    return replace(
        turn,
        question=mask(turn.question),
        standalone_question=mask(turn.standalone_question),
        reply=turn.reply if turn.source in _OWN_WORDS else mask(turn.reply),
    )
