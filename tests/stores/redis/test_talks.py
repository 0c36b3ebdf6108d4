"""Running talks, in memory and in Redis: the same rules."""

from __future__ import annotations

from collections.abc import AsyncIterator

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


@pytest.fixture
async def turns(client: Client) -> AsyncIterator[SharedTurns]:
    async with SharedTurns(client, UidQueues(3)) as turns:
        yield turns


@pytest.fixture
def shared(client: Client, turns: SharedTurns) -> RedisTalks:
    return RedisTalks(client, turns, SETTINGS)


@pytest.fixture(params=["memory", "redis"])
def talks(request: pytest.FixtureRequest, shared: RedisTalks) -> Talks:
    return MemoryTalks() if request.param == "memory" else shared


@pytest.fixture
def say(turns: SharedTurns, talks: Talks):
    """As a turn of the desk does: it looks what the talk was, and goes on with it."""

    async def say(uid: str, talk: Conversation, new: Round | None) -> Conversation:
        rounds = (*talk.rounds, new) if new else talk.rounds
        after = Conversation(talk.id, rounds[-SETTINGS.context_rounds :], talk.last_at_ms + 1)
        async with turns.turn_of(uid) as fence:
            await talks.find(uid)
            await talks.go_on(uid, after, new, fence)
        return after

    return say


def rounds(number: int) -> list[Round]:
    return [Round(f"问题{i}\n?", f"答案{i} \"'\\", f"e{i}") for i in range(number)]


@pytest.mark.parametrize("uid", ODD_UIDS)
async def test_a_talk_grows_round_by_round(talks: Talks, say, uid: str):
    assert await talks.find(uid) is None
    talk = Conversation("c", (), 0)
    for one in rounds(5):
        talk = await say(uid, talk, one)
        assert await talks.find(uid) == talk
    assert len(talk.rounds) == SETTINGS.context_rounds
    assert await talks.find(uid + "x") is None


async def test_a_message_that_is_held_leaves_the_rounds(talks: Talks, say):
    talk = await say("ann", Conversation("c", (), 0), None)
    assert await talks.find("ann") == talk
    for new in (*rounds(1), None, None):
        talk = await say("ann", talk, new)
    assert await talks.find("ann") == talk
    assert len(talk.rounds) == 1


async def test_a_new_talk_takes_the_place_of_the_old(talks: Talks, say):
    await say("ann", Conversation("old", (), 0), Round("q", "a"))
    new = await say("ann", Conversation("new", (), 0), Round("other", "a"))
    assert await talks.find("ann") == new


async def test_one_that_came_from_the_transcript_is_whole(talks: Talks, say):
    loaded = Conversation("c", tuple(rounds(3)), 7)
    talk = await say("ann", loaded, Round("newest", "a"))
    assert await talks.find("ann") == talk
    assert [one.question for one in talk.rounds][-1] == "newest"


async def test_what_is_forgotten_is_read_from_the_transcript(talks: Talks, say):
    await say("ann", Conversation("c", (), 0), Round("q", "a"))
    await talks.forget("ann")
    assert await talks.find("ann") is None


# In Redis


async def test_a_turn_goes_on_all_the_same_when_it_is_taken_again(
    shared: RedisTalks, turns: SharedTurns, client: Client
):
    """As after an answer of Redis that never came."""
    talk = Conversation("c", (Round("q", "a"),), 5)
    async with turns.turn_of("ann") as fence:
        held = turns.held("ann")
        assert (await turns._taken(held.me, held.keys)).fence == fence
        await shared.go_on("ann", talk, talk.rounds[0], fence)
        await turns._give_back(keys=held.keys, args=[held.me, *held.said])
    assert await client.xlen(key_of("ann", "talk")) == 2
    assert await shared.find("ann") == talk


@pytest.mark.parametrize("talks", ["redis"], indirect=True)
async def test_what_redis_dropped_in_part_is_not_believed(talks: Talks, say, client: Client):
    await say("ann", Conversation("c", (), 0), Round("q", "a"))
    await client.delete(key_of("ann", "talk"))
    assert await talks.find("ann") is None
    talk = await say("ann", Conversation("c", (Round("q", "a"),), 0), Round("q2", "a2"))
    assert await talks.find("ann") == talk


@pytest.mark.parametrize("talks", ["redis"], indirect=True)
async def test_it_runs_out_with_the_talk(say, client: Client):
    await say("ann", Conversation("c", (), 0), Round("q", "a"))
    left = await client.pttl(key_of("ann", "talk"))
    assert 0 < left <= SETTINGS.idle_seconds * 1000


async def test_what_a_desk_died_over_is_read_from_the_transcript(
    shared: RedisTalks, turns: SharedTurns
):
    """It may have saved a turn that the talk knows nothing of."""
    talk = Conversation("c", (Round("q", "a"),), 5)
    async with turns.turn_of("ann") as fence:
        await shared.go_on("ann", talk, talk.rounds[0], fence)
    async with turns.turn_of("ann"):
        assert await shared.find("ann") == talk  # and this turn goes no further
    async with turns.turn_of("ann"):
        assert await shared.find("ann") is None


async def test_who_lost_the_turn_adds_nothing(
    shared: RedisTalks, turns: SharedTurns, client: Client
):
    talk = Conversation("c", (Round("late", "a"),), 5)
    async with turns.turn_of("ann") as fence:
        await shared.go_on("ann", talk, talk.rounds[0], fence)
        await client.hset(key_of("ann", "turn"), "holder", "another desk")
    assert await client.xlen(key_of("ann", "talk")) == 0
    assert await client.hget(key_of("ann", "turn"), "holder") == "another desk"
