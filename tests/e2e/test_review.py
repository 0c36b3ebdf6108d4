"""A held message from the customer to a person at the command line and back, over two processes."""

from __future__ import annotations

import json
import signal
import threading
from typing import Any

import pytest

from tests.e2e.conftest import NewDesk
from tests.e2e.desk_process import DeskProcess, run_kefu, wait_until

pytestmark = pytest.mark.models

# No real word, so that nothing but this test's list holds it.
WORD = "蓝色小蘑菇"
QUESTION = f"{WORD} 运费是多少"


@pytest.fixture
def desk(new_desk: NewDesk) -> DeskProcess:
    desk: DeskProcess = new_desk(arguments=())
    added = kefu(desk, "moderation", "words", "add", WORD, "--category", "fraud")
    assert added.returncode == 0, added.stderr
    return desk.start()


def kefu(desk: DeskProcess, *args: str) -> Any:
    return run_kefu("--data-dir", desk.data_dir, *args)


def held_ids(desk: DeskProcess) -> list[str]:
    listed = kefu(desk, "review", "list", "--json")
    return [one["id"] for one in json.loads(listed.stdout)["reviews"]]


def updates(desk: DeskProcess, after: int = 0, wait: int = 0) -> list[dict[str, Any]]:
    query = {"uid": "ann", "after": after, "wait": wait}
    return desk.get("/chat/updates", params=query, timeout=60).json()["updates"]


def test_a_verdict_of_another_process_reaches_the_customer_who_waits(desk: DeskProcess):
    reply = desk.ask(QUESTION)
    assert reply["source"] == "held"
    (id_,) = held_ids(desk)
    assert WORD in kefu(desk, "review", "show", id_).stdout
    told: list[dict[str, Any]] = []
    waiting = threading.Thread(target=lambda: told.extend(updates(desk, wait=30)))
    waiting.start()
    approved = kefu(desk, "review", "approve", id_[:8])
    assert approved.returncode == 0, approved.stderr
    waiting.join()
    (update,) = told
    assert update["turn_id"] == reply["turn_id"]
    assert update["source"] not in ("held", "blocked")
    (turn,) = desk.turns("ann")
    assert (turn["reply"], turn["source"]) == (update["reply"], update["source"])
    assert updates(desk, after=update["seq"]) == []
    second = kefu(desk, "review", "reject", id_)
    assert (second.returncode, "approved by cli:" in second.stderr) == (1, True)


def test_killed_between_the_verdict_and_its_delivery_it_tells_the_customer_once(
    desk: DeskProcess,
):
    desk.ask(QUESTION)
    (id_,) = held_ids(desk)
    desk.kill()
    decided = kefu(desk, "review", "edit", id_, "运费8元。")
    assert decided.returncode == 0, decided.stderr
    desk.start()
    (update,) = updates(desk, wait=30)
    assert (update["reply"], update["source"]) == ("运费8元。", "canned")
    desk.kill()
    desk.start()
    assert updates(desk) == [update]
    assert updates(desk, after=update["seq"]) == []
    (turn,) = desk.get("/chat/history", params={"uid": "ann"}).json()["turns"]
    assert turn["reply"] == "运费8元。"


def test_a_desk_that_stops_lets_those_go_who_wait_for_a_verdict(desk: DeskProcess):
    desk.ask(QUESTION)
    ended = threading.Event()

    def listen() -> None:
        query = {"uid": "ann", "stream": "true"}
        with desk.client() as client, client.stream("GET", "/chat/updates", params=query) as events:
            listening.set()
            for _ in events.iter_lines():
                pass
        ended.set()

    listening = threading.Event()
    reader = threading.Thread(target=listen)
    reader.start()
    wait_until(listening.is_set, "the stream is open")
    assert desk.stop(signal.SIGTERM) == 0
    reader.join(timeout=5)
    assert ended.is_set()
    assert "timeout graceful shutdown exceeded" not in desk.log
