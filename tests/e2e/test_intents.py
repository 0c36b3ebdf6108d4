"""Intents of a running desk: what it does at once, and what others change while it serves."""

from __future__ import annotations

import csv
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from kefu.intent.sample_shop import ACTIONS, sample_examples
from tests.e2e.conftest import NewDesk
from tests.e2e.desk_process import DeskProcess, run_kefu, wait_until

pytestmark = pytest.mark.models

NOTICE_SECONDS = 3.0
# A question that the shop answers word for word, so that no generation is waited for.
QUESTION = "怎么申请退货？"


def bearer(desk: DeskProcess) -> dict[str, str]:
    return {"Authorization": f"Bearer {desk.key()}"}


def overview(desk: DeskProcess) -> dict[str, Any]:
    return desk.get("/api/intents", headers=bearer(desk)).json()


def intent(desk: DeskProcess, *arguments: str | Path) -> Any:
    """`kefu intent ...` in a process of its own; what it printed."""
    result = run_kefu("--data-dir", desk.data_dir, "intent", *arguments)
    assert result.returncode == 0, result.stderr
    return result.stdout


# None of these is answered by an entry of the shop.
PLAIN = {
    "转接一下真人": "human_agent",
    "I want to talk to a real person": "human_agent",
    "你们服务太差了": "complaint",
    "多谢啦": "thanks",
    "thx a lot": "thanks",
    "早上好": "greeting",
}


@pytest.mark.parametrize("message", PLAIN)
def test_a_plain_intent_is_answered_at_once(shop: DeskProcess, message: str):
    label, uid = PLAIN[message], f"plain-{message}"
    reply, action = shop.ask(message, uid=uid), ACTIONS[label]
    assert reply["intent"]["label"] == label
    assert reply["reply"] == (action.reply_en if message.isascii() else action.reply_zh)
    assert reply["source"] == ("handoff" if action.kind == "handoff" else "canned")
    assert "generate" not in reply["timings_ms"]
    assert reply["timings_ms"]["intent"] < reply["timings_ms"]["total"]
    listed = shop.get("/api/conversations?waiting=true&limit=100", headers=bearer(shop)).json()
    waits = uid in [talk["uid"] for talk in listed["conversations"]]
    assert waits == (action.kind == "handoff")


def test_the_shops_answer_wins_and_has_the_label_too(shop: DeskProcess):
    for message, source, label in (
        (QUESTION, "faq", "return_request"),
        ("谢谢", "faq", "thanks"),
        ("转人工", "handoff", "human_agent"),
        ("珠穆朗玛峰有多高", "handoff", "oos"),
    ):
        reply = shop.ask(message, uid=f"label-{label}")
        assert (reply["source"], reply["intent"]["label"]) == (source, label)


def test_a_stream_gets_the_canned_text(shop: DeskProcess):
    events = list(shop.stream("thx a lot", uid="streams"))
    text = "".join(data["text"] for name, data in events if name == "delta")
    assert text == ACTIONS["thanks"].reply_en
    assert events[-1][0] == "done"
    assert events[-1][1]["source"] == "canned"


def test_the_overview_shows_labels_with_figures(shop: DeskProcess):
    found = overview(shop)
    assert found["problem"] is None
    labels = {item["label"]: item for item in found["labels"]}
    assert labels.keys() == {example.label for example in sample_examples()} - {"oos"}
    assert labels["thanks"]["figures"]["f1"] > 0.5
    assert labels["thanks"]["action"]["kind"] == "reply"


@dataclass
class Talk:
    """What customers who write all the time were told."""

    labels: dict[str, int] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)
    answered: int = 0


@contextmanager
def customers(desk: DeskProcess, message: str, threads: int = 8) -> Iterator[Talk]:
    """Threads that ask `message` over and over until the block ends."""
    talk, over, lock = Talk(), threading.Event(), threading.Lock()

    def ask(number: int) -> None:
        with desk.client() as client:
            while not over.is_set():
                try:
                    body = {"uid": f"customer-{number}", "message": message}
                    response = client.post("/chat", json=body)
                    label = response.json()["intent"]["label"]
                except Exception as error:  # noqa: BLE001 - whatever it was, no customer should see it
                    with lock:
                        talk.failures.append(repr(error))
                    return
                with lock:
                    talk.answered += 1
                    talk.labels[label] = talk.labels.get(label, 0) + 1
                    if response.status_code != 200:
                        talk.failures.append(response.text)

    workers = [threading.Thread(target=ask, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    try:
        yield talk
    finally:
        over.set()
        for worker in workers:
            worker.join(30)
    assert not any(worker.is_alive() for worker in workers)


FEW = ("return_request", "thanks", "human_agent", "oos")


def few_examples(file: Path, **renamed: str) -> Path:
    """Of the sample shop's, some labels, which may have another name: to tell models apart."""
    with file.open("w", encoding="utf-8", newline="") as out:
        rows = {
            (e.text, renamed.get(e.label, e.label)) for e in sample_examples() if e.label in FEW
        }
        csv.writer(out).writerows([("text", "label"), *sorted(rows)])
    return file


def damage(desk: DeskProcess, version: str) -> None:
    weights = desk.data_dir / "intents" / "versions" / version / "weights.npz"
    weights.write_bytes(weights.read_bytes()[:10_000])


def choose(desk: DeskProcess, version: str, previous: str) -> None:
    """By hand: `kefu intent use` would refuse a damaged one."""
    pointer = desk.data_dir / "intents" / "current.json"
    draft = pointer.with_suffix(".edited")
    draft.write_text(json.dumps({"version": version, "previous": previous}))
    draft.replace(pointer)


def test_customers_notice_nothing_while_models_come_and_go(new_desk: NewDesk, tmp_path: Path):
    desk = new_desk().start()
    first = overview(desk)["version"]
    file = few_examples(tmp_path / "examples.csv", return_request="send_back")

    def serves(label: str) -> bool:
        return desk.ask(QUESTION, uid="watcher")["intent"]["label"] == label

    with customers(desk, QUESTION) as talk:
        assert serves("return_request")
        trained = json.loads(intent(desk, "train", file, "--json"))
        second = trained["version"]
        wait_until(lambda: serves("send_back"), "the new model serves", NOTICE_SECONDS)
        assert overview(desk)["version"] == second

        intent(desk, "rollback")
        wait_until(lambda: serves("return_request"), "the old model serves", NOTICE_SECONDS)

        damage(desk, second)
        choose(desk, second, first)
        wait_until(lambda: overview(desk)["problem"], "the damage is told", NOTICE_SECONDS)
        found = overview(desk)
        assert found["version"] == first
        assert second in found["problem"]
        assert "damaged" in found["problem"]
        assert serves("return_request")
        refused = run_kefu("--data-dir", desk.data_dir, "intent", "use", second)
        assert (refused.returncode, "damaged" in refused.stderr) == (1, True)

        intent(desk, "use", first)
        wait_until(lambda: not overview(desk)["problem"], "all is well again", NOTICE_SECONDS)
        assert overview(desk)["version"] == first
        before = talk.answered
        wait_until(lambda: talk.answered > before + 8, "customers are still answered")
    assert talk.failures == []
    assert talk.labels.keys() == {"return_request", "send_back"}
    assert "Traceback" not in desk.log
    assert "intent_model_refused" in desk.log


def test_a_desk_whose_model_is_damaged_starts_with_the_one_before(
    new_desk: NewDesk, tmp_path: Path
):
    desk = new_desk(arguments=())
    versions = [
        json.loads(intent(desk, "train", file, "--json"))["version"]
        for file in (
            few_examples(tmp_path / "first.csv"),
            few_examples(tmp_path / "second.csv", return_request="send_back"),
        )
    ]
    damage(desk, versions[1])
    desk.start()
    found = overview(desk)
    assert found["version"] == versions[0]
    assert versions[1] in found["problem"]
    assert desk.ask(QUESTION)["intent"]["label"] == "return_request"
    assert "Traceback" not in desk.log


def test_a_desk_without_a_model_answers_as_ever_and_learns(new_desk: NewDesk, tmp_path: Path):
    desk = new_desk(arguments=()).start()
    assert overview(desk) == {"version": None, "problem": None, "labels": []}
    before = desk.ask("谢谢")
    assert (before["source"], before["intent"]["label"]) == ("handoff", "oos")
    intent(desk, "train", few_examples(tmp_path / "examples.csv"))
    wait_until(lambda: overview(desk)["version"], "the model is taken over", NOTICE_SECONDS)
    assert desk.ask("谢谢")["intent"]["label"] == "thanks"

    def told(message: str) -> str:
        return desk.ask(message)["reply"]

    intent(desk, "action", "set", "thanks", "--zh", "小事一桩", "--en", "Any time")
    wait_until(lambda: told("谢谢") == "小事一桩", "the new words are said", NOTICE_SECONDS)
    assert told("thank you") == "Any time"
    intent(desk, "action", "remove", "thanks")
    wait_until(lambda: told("谢谢") != "小事一桩", "they are said no more", NOTICE_SECONDS)
