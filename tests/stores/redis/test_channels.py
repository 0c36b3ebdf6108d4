from __future__ import annotations

import asyncio
from dataclasses import replace

import numpy as np
import pytest

from kefu.answers.answer import CachedAnswer
from kefu.conversations.transcript import Citation
from kefu.errors import SettingsError
from kefu.stores.redis.channels import Channels
from kefu.stores.redis.connection import Client, open_redis
from kefu.stores.redis.sharing import as_text, of_text
from kefu.turn.doorbell import Doorbell
from tests.redis_server import RedisServer
from tests.turn.conftest import until


async def test_other_desks_hear_what_one_tells(client: Client):
    heard: list[str] = []
    one, two = Channels(client), Channels(client)
    for channels in (one, two):
        channels.hear("rings", heard.append)
    async with one, two:
        one.tell("rings", "张三")
        await until(lambda: heard == ["张三", "张三"])


async def test_what_cannot_be_understood_ends_nothing(client: Client):
    heard: list[int] = []
    channels = Channels(client)
    channels.hear("numbers", lambda text: heard.append(int(text)))
    async with channels:
        channels.tell("numbers", "not a number")
        channels.tell("numbers", "7")
        await until(lambda: heard == [7])


async def test_after_a_gap_everybody_looks(mortal_redis: RedisServer):
    doorbell, heard = Doorbell(), list[str]()
    async with open_redis(mortal_redis.url) as client:
        channels = Channels(client)
        channels.hear("rings", heard.append)
        channels.after_gap(doorbell.ring_all_here)
        async with channels:
            with doorbell.listening("ann") as rung:
                mortal_redis.kill()
                await asyncio.to_thread(mortal_redis.start)
                await until(rung.is_set)
            channels.tell("rings", "bob")
            await until(lambda: heard == ["bob"])


def test_a_ring_is_told_to_others_and_what_they_tell_is_not():
    doorbell, told = Doorbell(), list[str]()
    doorbell.share(told.append)
    with doorbell.listening("ann") as rung:
        doorbell.ring_here("ann")
        assert rung.is_set()
        assert told == []
        doorbell.ring("ann")
        assert told == ["ann"]


def test_an_answer_survives_the_way():
    answer = CachedAnswer(
        key="k",
        question="运费是多少",
        language="zh",
        reply="8元",
        confidence=0.9,
        citations=(Citation("fee", "运费", 0.9),),
        entry_hashes={"fee": "abc"},
        model="m",
        encoder_id="e",
        vector=np.array([0.6, 0.8], np.float32),
    )
    read, version = of_text(as_text(answer, 7))
    assert version == 7
    assert read.vector is not None
    assert read.vector.tolist() == [np.float32(0.6), np.float32(0.8)]
    assert vars(replace(read, vector=None)) == vars(replace(answer, vector=None))


@pytest.mark.parametrize(
    ("url", "says"),
    [("redis://127.0.0.1:1/0", "Cannot ask Redis at 127.0.0.1:1"), ("nonsense", "not an address")],
)
async def test_an_address_that_does_not_work_is_said(url: str, says: str):
    with pytest.raises(SettingsError, match=says):
        async with open_redis(url):
            pass
