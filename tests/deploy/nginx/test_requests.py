"""The gateway: what reaches a desk, what reaches the customer, and what it refuses itself."""

from __future__ import annotations

import asyncio
import json
import re
import threading

import httpx
import pytest

from kefu.app import ENTRIES_PATH, IMPORT_PATH, MAX_ENTRY_BYTES
from kefu.http.guards import _REQUEST_ID
from kefu.knowledge.documents.limits import MAX_DOCUMENT_BYTES
from kefu.settings import ServerSettings
from tests.echo_desks import Answer, EchoDesk, Got, echo_desks
from tests.nginx import CONFIGURATION, Gateway, ask_by_hand, started_nginx

STREAMS = ("/chat", "/v1/chat/completions", "/chat/updates")
STREAM_HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
)
MAX_BODY_BYTES = ServerSettings().max_body_bytes


def last_got(desks: list[EchoDesk]) -> Got:
    (got,) = [desk.got[-1] for desk in desks if desk.got]
    return got


def forget(desks: list[EchoDesk]) -> None:
    for desk in desks:
        desk.got.clear()
        desk.answers.clear()


@pytest.fixture(autouse=True)
def as_at_the_start(desks: list[EchoDesk]) -> None:
    forget(desks)


def answer_with(desks: list[EchoDesk], path: str, answer: Answer) -> None:
    for desk in desks:
        desk.answers[path] = answer


@pytest.mark.parametrize("path", STREAMS)
def test_a_stream_comes_piece_by_piece(gateway: Gateway, desks: list[EchoDesk], path: str):
    """The second piece is sent when the customer has the first: held back, neither would come."""
    has_first = threading.Event()

    async def two_pieces(_: Got, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + b"5\r\none\n\n\r\n")
        await writer.drain()
        assert await asyncio.to_thread(has_first.wait, 20)
        writer.write(b"5\r\ntwo\n\n\r\n0\r\n\r\n")

    answer_with(desks, path, two_pieces)
    method = "GET" if path == "/chat/updates" else "POST"
    headers = {"Accept-Encoding": "gzip"}
    pieces = []
    with (
        gateway.client() as client,
        client.stream(method, path, headers=headers, timeout=10) as stream,
    ):
        for piece in stream.iter_raw():
            pieces.append(piece)
            has_first.set()
    assert pieces == [b"one\n\n", b"two\n\n"]


@pytest.mark.parametrize("begun", [True, False], ids=["in a stream", "before the answer"])
def test_who_hangs_up_ends_the_request_at_the_desk(
    gateway: Gateway, desks: list[EchoDesk], begun: bool
):
    arrived, left = threading.Event(), threading.Event()

    async def wait_for_the_end(
        _: Got, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        if begun:
            writer.write(STREAM_HEAD + b"5\r\none\n\n\r\n")
        arrived.set()
        assert await reader.read() == b""
        left.set()

    answer_with(desks, "/chat", wait_for_the_end)
    body = b'{"uid": "ann"}'
    head = f"POST /chat HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
    with ask_by_hand(gateway.port, head.encode() + body) as connection:
        assert arrived.wait(20)
        if begun:
            assert connection.recv(1)
        assert not left.is_set()
    assert left.wait(20)


def test_a_stream_that_is_cut_off_ends_as_one(gateway: Gateway, desks: list[EchoDesk]):
    """Half an answer must not look like a whole one."""

    async def half(_: Got, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(STREAM_HEAD + b"5\r\none\n\n\r\n")
        await writer.drain()
        raise ConnectionResetError

    answer_with(desks, "/chat", half)
    with gateway.client() as client, pytest.raises(httpx.RemoteProtocolError):
        client.post("/chat", json={"uid": "ann"})


LIMITS = {
    "/chat": MAX_BODY_BYTES,
    "/v1/chat/completions": MAX_BODY_BYTES,
    "/api/knowledge/import-url": MAX_BODY_BYTES,
    f"{ENTRIES_PATH}an-entry": MAX_ENTRY_BYTES,
    f"{IMPORT_PATH}?name=a.csv": MAX_DOCUMENT_BYTES,
}


@pytest.mark.parametrize("path", LIMITS)
def test_bodies_pass_whole_up_to_the_desk_s_own_limit(
    gateway: Gateway, desks: list[EchoDesk], path: str
):
    body = bytes(range(256)) * (LIMITS[path] // 256)
    in_pieces = iter([body[:100], body[100:]])
    with gateway.client() as client:
        for content in (body, in_pieces):
            assert client.post(path, content=content).status_code == 200
            assert last_got(desks).body == body
            forget(desks)
        for content in (body + b"x", iter([body, b"x"])):
            refused = client.post(path, content=content)
            error = refused.json().get("error", refused.json())
            assert (refused.status_code, error["code"]) == (413, "body_too_large")
    assert not any(desk.got for desk in desks)


def test_the_desk_is_told_the_customer_s_address_by_nobody_but_the_gateway(
    gateway: Gateway, desks: list[EchoDesk]
):
    made_up = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Real-IP": "6.6.6.6",
        "Forwarded": "for=6.6.6.6",
        "X-Forwarded-Proto": "https",
        "X-Forwarded-Host": "evil.example",
        "X-Forwarded-Port": "666",
    }
    with gateway.client() as client:
        client.get("/chat/history", headers={**made_up, "Host": "shop.example:8443"})
    headers = last_got(desks).headers
    assert headers["host"] == "shop.example:8443"
    assert headers["x-forwarded-for"] == headers["x-real-ip"] == "127.0.0.1"
    assert headers["x-forwarded-proto"] == "http"
    assert "evil" not in str(headers)
    assert "666" not in str(headers)
    assert "forwarded" not in headers


def test_a_trusted_proxy_is_believed():
    listen = """
        set_real_ip_from 127.0.0.1;
        real_ip_header X-Forwarded-For;
        set $customer_scheme https;
    """
    with echo_desks(1) as desks:
        with started_nginx([desks[0].port], listen) as gateway, gateway.client() as client:
            client.get("/chat/history", headers={"X-Forwarded-For": "6.6.6.6, 203.0.113.9"})
        headers = last_got(desks).headers
    assert (headers["x-forwarded-for"], headers["x-forwarded-proto"]) == ("203.0.113.9", "https")


def test_a_request_has_one_id_on_both_sides(gateway: Gateway, desks: list[EchoDesk]):
    with gateway.client() as client:
        for given in ("order-7.retry_2", "a" * 64, "a" * 65, "<script>", ""):
            answer = client.get("/chat/history", headers={"X-Request-ID": given})
            (told,) = answer.headers.get_list("x-request-id")
            assert last_got(desks).headers["x-request-id"] == told
            assert (told == given) == bool(_REQUEST_ID.fullmatch(given))
            assert _REQUEST_ID.fullmatch(told)
            forget(desks)


def test_what_a_desk_refuses_is_passed_on_as_it_is(gateway: Gateway, desks: list[EchoDesk]):
    """An overloaded desk's messages must not overload the next."""
    problem = {"status": 503, "code": "overloaded", "detail": "Try again shortly."}

    async def refuse(_: Got, __: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = json.dumps(problem).encode()
        writer.write(
            b"HTTP/1.1 503 Service Unavailable\r\nRetry-After: 2\r\n"
            b"Content-Type: application/problem+json\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )

    for path, method in (("/chat", "POST"), ("/chat/history", "GET")):
        answer_with(desks, path, refuse)
        with gateway.client() as client:
            answer = client.request(method, path, json={"uid": "ann"})
        assert (answer.status_code, answer.json()) == (503, problem)
        assert answer.headers["retry-after"] == "2"
        assert last_got(desks).target == path
        assert sum(len(desk.got) for desk in desks) == 1
        forget(desks)


def test_metrics_are_not_for_outside(gateway: Gateway, desks: list[EchoDesk]):
    for target in ("/metrics", "//metrics", "/%6detrics", "/./metrics?x", "/chat/../metrics"):
        request = f"GET {target} HTTP/1.0\r\nHost: x\r\n\r\n".encode()
        with ask_by_hand(gateway.port, request) as connection:
            assert b" 404 Not Found\r\n" in connection.recv(100), target
    assert not any(desk.got for desk in desks)


def test_problems_of_the_gateway_have_the_desk_s_shape(gateway: Gateway):
    with gateway.client() as client:
        too_long = client.get("/" + "a" * 9000)
        too_much = client.get("/chat/history", headers={"X-Uid": "a" * 9000})
        openai = client.post("/v1/chat/completions", content=b"x" * (MAX_BODY_BYTES + 1))
    assert (too_long.status_code, too_long.json()["status"]) == (414, 414)
    assert (too_much.status_code, too_much.json()["code"]) == (431, "headers_too_large")
    for problem in (too_long, too_much):
        assert problem.headers["content-type"] == "application/problem+json"
        assert problem.json().keys() == {"type", "title", "status", "detail", "code"}
        assert problem.headers["x-content-type-options"] == "nosniff"
        assert problem.headers["x-request-id"]
    assert openai.json()["error"].keys() == {"message", "type", "param", "code"}
    with ask_by_hand(gateway.port, b"GET / HTTP/1.1\r\n\r\n") as connection:
        assert b'"bad_request"' in b"".join(iter(lambda: connection.recv(4096), b""))


def test_without_any_desk_it_says_when_to_come_again():
    with echo_desks(2) as desks:
        for desk in desks:
            desk.kill()
        ports = [desk.port for desk in desks]
        with (
            started_nginx(ports, fail_timeout_seconds=60) as gateway,
            gateway.client() as client,
        ):
            for _ in range(30):  # a connection each, so that all workers are asked
                leaving = {"Connection": "close"}
                refused = client.post("/chat", json={"uid": "ann"}, headers=leaving)
                document = refused.json()
                assert (refused.status_code, document["code"]) == (502, "no_desk")
                assert refused.headers["retry-after"] == str(document["retry_after"])
            assert gateway.log.count("connect() failed") == len(
                desks
            )  # the first found out for all
            assert client.get("/livez").status_code == 200
            assert client.get("/readyz").status_code == 503


def test_a_limit_for_each_address_can_be_turned_on():
    configured = (CONFIGURATION / "listen.conf").read_text("utf-8")
    found = re.search(r"#(limit_req zone=address burst=)\d+( nodelay;)", configured)
    assert found
    with echo_desks(1) as desks:
        limit = f"{found[1]}2{found[2]}"
        with started_nginx([desks[0].port], limit) as gateway, gateway.client() as client:
            answers = [client.post("/chat", json={"uid": "ann"}) for _ in range(40)]
    refused = next(answer for answer in answers if answer.status_code != 200)
    assert (refused.status_code, refused.json()["code"]) == (429, "too_many_requests")
    assert refused.headers["retry-after"]


def test_the_access_log_names_no_customer(gateway: Gateway):
    with gateway.client() as client:
        client.get("/chat/history?uid=ann-told-once", headers={"X-Request-ID": "asked-once"})
        client.get("/api/conversations/ann-told-once")
        client.post("/chat", json={"uid": "ann-told-once"}, headers={"X-Uid": "ann-told-once"})
        client.post("/chat?uid=ann-told-once", content=b"x" * (MAX_BODY_BYTES + 1))
    lines = [json.loads(line) for line in gateway.access_log.splitlines()]
    (line,) = [line for line in lines if line["request_id"] == "asked-once"]
    assert (line["path"], line["status"], line["client"]) == ("/chat/history", 200, "127.0.0.1")
    assert lines[-1]["path"] == "/chat"
    assert "told-once" not in gateway.access_log
