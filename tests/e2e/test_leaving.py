"""Customers who leave stop the generator; customers who repeat themselves start it once."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.desk_process import DeskProcess, wait_until

pytestmark = pytest.mark.models

RUNNING = "kefu_generator_running"
IDLE_SECONDS = 1.0


def leave_a_stream(desk: DeskProcess, question: str, uid: str) -> Callable[[], None]:
    client = desk.client()
    body = {"uid": uid, "message": question, "stream": True}
    request = client.build_request("POST", "/chat", json=body, headers={"Idempotency-Key": uid})
    response = client.send(request, stream=True)

    def leave() -> None:
        response.close()
        client.close()

    return leave


def leave_a_plain_post(desk: DeskProcess, question: str, uid: str) -> Callable[[], None]:
    """By hand: an HTTP client would wait for the answer."""
    body = httpx.Request("POST", "http://x", json={"uid": uid, "message": question}).read()
    head = (
        f"POST /chat HTTP/1.1\r\nHost: 127.0.0.1:{desk.port}\r\nIdempotency-Key: {uid}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    connection = socket.create_connection(("127.0.0.1", desk.port))
    connection.sendall(head.encode() + body)
    return connection.close


def leave_a_completion(desk: DeskProcess, question: str, uid: str) -> Callable[[], None]:
    client = desk.client()
    body = {"messages": [{"role": "user", "content": question}], "user": uid, "stream": True}
    request = client.build_request("POST", "/v1/chat/completions", json=body)
    response = client.send(request, stream=True)

    def leave() -> None:
        response.close()
        client.close()

    return leave


@pytest.mark.parametrize("begin", [leave_a_stream, leave_a_plain_post, leave_a_completion])
def test_a_customer_who_leaves_stops_the_generator(
    camp: DeskProcess, long_question: str, begin: Callable[..., Callable[[], None]]
):
    uid = f"left-{begin.__name__}"
    leave = begin(camp, long_question, uid)
    camp.wait_metric(lambda running: running == 1, RUNNING)
    leave()
    left = time.monotonic()
    camp.wait_metric(lambda running: running == 0, RUNNING)
    assert time.monotonic() - left < IDLE_SECONDS
    wait_until(lambda: camp.metric("kefu_open_turns") == 0, "the turn is over")
    [kept] = camp.turns(uid)
    assert (kept["status"], kept["question"], kept["reply"]) == ("stopped", long_question, "")
    _is_idle(camp)


def _is_idle(desk: DeskProcess) -> None:
    """llama.cpp itself stopped: it uses no processor time any more."""
    child = desk.wait_llama()

    def rests() -> bool:
        before = sum(child.cpu_times()[:2])
        threading.Event().wait(0.3)  # a measurement needs a length
        return sum(child.cpu_times()[:2]) - before < 0.05

    wait_until(rests, "llama.cpp rests", 2)


def test_one_of_two_who_wait_for_the_same_answer_may_leave(camp: DeskProcess, long_question: str):
    uid = "two-tabs"
    leave = leave_a_stream(camp, long_question, uid)
    camp.wait_metric(lambda running: running == 1, RUNNING)
    with ThreadPoolExecutor(1) as pool:
        other = pool.submit(camp.ask, long_question, uid, uid)
        wait_until(lambda: camp.metric(RUNNING) == 1, "it is still being written")
        leave()
        reply = other.result(60)
    [kept] = camp.turns(uid)
    assert (kept["status"], kept["turn_id"]) == ("answered", reply["turn_id"])


def test_ten_at_once_with_one_key_are_answered_by_one_generation(
    camp: DeskProcess, long_question: str
):
    written = camp.metric("kefu_generator_tokens_total", direction="written")
    turns = camp.metric("kefu_turns_total")
    alone = camp.ask(long_question, "one-key-alone", "one-key-alone")
    one = camp.metric("kefu_generator_tokens_total", direction="written") - written
    most_running: list[float] = []
    with ThreadPoolExecutor(10) as pool:
        asked = [pool.submit(camp.ask, long_question, "one-key", "one-key") for _ in range(10)]
        while not all(turn.done() for turn in asked):
            most_running.append(camp.metric(RUNNING))
        replies = [turn.result() for turn in asked]
    assert len({reply["turn_id"] for reply in replies}) == 1
    assert all(reply == replies[0] for reply in replies)
    assert replies[0]["turn_id"] != alone["turn_id"]
    assert max(most_running) <= 1
    assert camp.metric("kefu_turns_total") - turns == 2
    both = camp.metric("kefu_generator_tokens_total", direction="written") - written
    assert one > 0
    assert both <= 2 * one + 1
    assert len(camp.turns("one-key")) == 1
