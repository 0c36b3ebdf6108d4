"""Real desks behind the real nginx."""

from __future__ import annotations

import itertools
import json
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from tests.e2e.conftest import NewDesk
from tests.e2e.desk_process import DeskProcess, Stream
from tests.e2e.test_serve import ZH
from tests.nginx import Gateway, started_nginx

pytestmark = pytest.mark.models

UID = "客户 7"


@pytest.fixture(scope="module")
def gateway(shop: DeskProcess) -> Iterator[Gateway]:
    with started_nginx([shop.port]) as gateway:
        yield gateway


def test_a_customer_is_answered_plainly_and_in_a_stream(gateway: Gateway, shop: DeskProcess):
    body = {"uid": UID, "message": ZH[0]}
    with gateway.client() as client:
        plain = client.post("/chat", json=body)
        with client.stream("POST", "/chat", json={**body, "stream": True}) as response:
            *deltas, (last, done) = Stream(response)
        history = client.get("/chat/history", params={"uid": UID}).json()["turns"]
    assert plain.json()["source"] == "faq"
    assert len(plain.headers.get_list("x-request-id")) == 1
    assert last == "done"
    assert "".join(delta["text"] for _, delta in deltas) == done["reply"] == plain.json()["reply"]
    assert [turn["question"] for turn in history] == [ZH[0], ZH[0]]
    assert shop.get("/chat/history", params={"uid": UID}).json()["turns"] == history


def test_the_page_its_origin_and_the_desk_s_own_problems_pass(gateway: Gateway):
    own = {"Origin": gateway.origin}
    foreign = {"Origin": "https://evil.example"}
    body = {"uid": UID, "message": ZH[0]}
    with gateway.client() as client:
        page = client.get("/")
        widget = client.get("/widget.js")
        accepted = client.post("/chat", json=body, headers=own)
        refused = client.post("/chat", json=body, headers=foreign)
        not_json = client.post("/chat", content=b"{", headers={"Content-Type": "application/json"})
        strange = client.get("/", headers={"Host": "shop.example"})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert widget.headers["content-encoding"] == "gzip"
    assert accepted.status_code == 200
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (not_json.status_code, not_json.json()["code"]) == (422, "invalid_input")
    assert "server.allowed_hosts" in strange.json()["detail"]


def test_updates_are_waited_for_through_the_gateway(gateway: Gateway, shop: DeskProcess):
    query = {"uid": UID, "wait": 0.1}
    with gateway.client() as client:
        assert client.get("/chat/updates", params=query).json() == {"updates": [], "next": 0}
        with client.stream("GET", "/chat/updates", params={"uid": UID, "stream": True}) as events:
            assert events.status_code == 200
            assert events.headers["content-type"].startswith("text/event-stream")


def test_openai_s_stream_passes(gateway: Gateway):
    body = {
        "model": "kefu",
        "user": UID,
        "stream": True,
        "messages": [{"role": "user", "content": ZH[0]}],
    }
    with gateway.client() as client:
        text = client.post("/v1/chat/completions", json=body).text
    *chunks, done = [line.removeprefix("data: ") for line in text.splitlines() if line]
    assert done == "[DONE]"
    assert all(json.loads(chunk)["object"] == "chat.completion.chunk" for chunk in chunks)


def test_a_desk_that_is_told_to_stop_hands_its_customers_over(shop: DeskProcess, new_desk: NewDesk):
    leaving = new_desk().start()
    uids = [f"customer-{number}" for number in range(12)]
    asked = itertools.cycle(uids)
    ended = threading.Event()
    with (
        started_nginx([shop.port, leaving.port], fail_timeout_seconds=60) as gateway,
        gateway.client() as client,
        ThreadPoolExecutor(4) as customers,
    ):

        def ask(uid: str) -> httpx.Response:
            return client.post("/chat", json={"uid": uid, "message": ZH[0]})

        def keep_asking() -> list[int]:
            return [ask(next(asked)).status_code for _ in iter(ended.is_set, True)]

        assert {ask(uid).status_code for uid in uids} == {200}
        assert any(questions_of(leaving, uid) for uid in uids)
        asking = [customers.submit(keep_asking) for _ in range(4)]
        try:
            assert leaving.stop() == 0
        finally:
            ended.set()
        statuses = Counter(status for done in asking for status in done.result())
        assert {ask(uid).status_code for uid in uids} == {200}
    print(f"answers while a desk stopped: {dict(statuses)}")
    # What is on its way when the door closes; the widget asks again.
    assert statuses.total() - statuses[200] <= 8
    assert set(statuses) <= {200, 502, 503}
    assert all(questions_of(shop, uid) for uid in uids)


def questions_of(desk: DeskProcess, uid: str) -> list[str]:
    turns = desk.get("/chat/history", params={"uid": uid}).json()["turns"]
    return [turn["question"] for turn in turns]
