from __future__ import annotations

from dataclasses import replace

from kefu.conversations.retention import MS_PER_DAY, sweep
from kefu.conversations.transcript import Turn
from kefu.stamps import now_ms
from kefu.stores.database import Database
from kefu.stores.transcript import SqlTranscript


async def test_conversations_past_their_days_are_deleted(database: Database):
    transcript = SqlTranscript(database)
    old = Turn("old", "talk-1", "q", created_at_ms=now_ms() - 8 * MS_PER_DAY)
    new = replace(old, uid="new", conversation_id="talk-2", turn_id="t", created_at_ms=now_ms())
    await transcript.save(old)
    await transcript.save(new)
    assert await sweep(transcript, 7) == 1
    assert await transcript.last_turns("old", 10) == []
    assert await transcript.last_turns("new", 10) == [new]
