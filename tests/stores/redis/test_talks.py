"""Running talks, in memory and in Redis: the same rules."""

from __future__ import annotations

import itertools

import pytest

from kefu.settings import ConversationSettings
from kefu.stores.redis.connection import Client, key_of
from kefu.stores.redis.talks import RedisTalks
from kefu.stores.redis.turns import SharedTurns
from kefu.turn.context import Conversation, MemoryTalks, Talks
from kefu.turn.queues import UidQueues
from kefu.turn.reply import Round

SETTINGS = ConversationSettings(context_rounds=3)
ODD_UIDS = ["ann", "张三", "}{a}", "a b\n:*", "'\"\\", "😀" * 128]

_fences = itertools.count(1)


@pytest.fixture(params=["memory", "redis"])
def talks(request: pytest.FixtureRequest, client: Client) -> Talks:
    return MemoryTalks() if request.param == "memory" else RedisTalks(client, SETTINGS)


async def say(talks: Talks, uid: str, talk: Conversation, new: Round | None) -> Conversation:
    """As `Contexts.remember` does."""
    rounds = (*talk.rounds, new) if new else talk.rounds
    after = Conversation(talk.id, rounds[-SETTINGS.context_rounds :], talk.last_at_ms + 1)
    await talks.go_on(uid, after, new, next(_fences))
    return after


def rounds(number: int) -> list[Round]:
    return [Round(f"问题{i}\n?", f"答案{i} \"'\\", f"e{i}") for i in range(number)]


@pytest.mark.parametrize("uid", ODD_UIDS)
async def test_a_talk_grows_round_by_round(talks: Talks, uid: str):
    assert await talks.find(uid) is None
    talk = Conversation("c", (), 0)
    for one in rounds(5):
        talk = await say(talks, uid, talk, one)
        assert await talks.find(uid) == talk
    assert len(talk.rounds) == SETTINGS.context_rounds
    assert await talks.find(uid + "x") is None


async def test_a_message_that_is_held_leaves_the_rounds(talks: Talks):
    talk = await say(talks, "ann", Conversation("c", (), 0), None)
    assert await talks.find("ann") == talk
    for new in (*rounds(1), None, None):
        talk = await say(talks, "ann", talk, new)
    assert await talks.find("ann") == talk
    assert len(talk.rounds) == 1


async def test_a_new_talk_takes_the_place_of_the_old(talks: Talks):
    await say(talks, "ann", Conversation("old", (), 0), Round("q", "a"))
    new = await say(talks, "ann", Conversation("new", (), 0), Round("other", "a"))
    assert await talks.find("ann") == new


async def test_one_that_came_from_the_transcript_is_whole(talks: Talks):
    loaded = Conversation("c", tuple(rounds(3)), 7)
    talk = await say(talks, "ann", loaded, Round("newest", "a"))
    assert await talks.find("ann") == talk
    assert [one.question for one in talk.rounds][-1] == "newest"


async def test_what_is_forgotten_is_read_from_the_transcript(talks: Talks):
    await say(talks, "ann", Conversation("c", (), 0), Round("q", "a"))
    await talks.forget("ann")
    assert await talks.find("ann") is None


# In Redis


async def test_a_turn_that_is_told_twice_is_there_once(client: Client):
    talks = RedisTalks(client, SETTINGS)
    talk = Conversation("c", (Round("q", "a"),), 5)
    for _ in range(2):
        await talks.go_on("ann", talk, talk.rounds[0], fence=7)
    assert await client.xlen(key_of("ann", "talk")) == 2
    assert await talks.find("ann") == talk


async def test_what_redis_dropped_in_part_is_not_believed(client: Client):
    talks = RedisTalks(client, SETTINGS)
    await say(talks, "ann", Conversation("c", (), 0), Round("q", "a"))
    await client.delete(key_of("ann", "talk"))
    assert await talks.find("ann") is None
    talk = await say(talks, "ann", Conversation("c", (Round("q", "a"),), 0), Round("q2", "a2"))
    assert await talks.find("ann") == talk


async def test_it_runs_out_with_the_talk(client: Client):
    await say(RedisTalks(client, SETTINGS), "ann", Conversation("c", (), 0), Round("q", "a"))
    left = await client.pttl(key_of("ann", "talk"))
    assert 0 < left <= SETTINGS.idle_seconds * 1000


async def test_what_a_desk_died_over_is_read_from_the_transcript(client: Client):
    """It may have saved a turn that the talk knows nothing of."""
    talks = RedisTalks(client, SETTINGS)
    async with SharedTurns(client, UidQueues(3)) as turns:
        async with turns.turn_of("ann") as fence:
            talk = Conversation("c", (Round("q", "a"),), 5)
            await talks.go_on("ann", talk, talk.rounds[0], fence)
        async with turns.turn_of("ann"):
            assert await talks.find("ann") == talk  # and this turn goes no further
        async with turns.turn_of("ann"):
            assert await talks.find("ann") is None
