"""What nobody should send, to a real process: refused with a reason, and nothing is left of it."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator

import httpx
import psutil
import pytest

from tests.e2e.desk_process import DeskProcess, wait_until

pytestmark = pytest.mark.models

KNOWN = "怎么申请退货？"
JSON = {"Content-Type": "application/json"}
BODIES = {
    "empty message": (b'{"uid": "u", "message": ""}', 422),
    "nothing": (b"", 422),
    "not JSON": (b"message=hi", 422),
    "cut off": (b'{"uid": "u", "mess', 422),
    "a list": (b"[1, 2]", 422),
    "wrong types": (b'{"uid": 7, "message": {"a": 1}, "max_tokens": "many", "stream": 3}', 422),
    "NUL": (b'{"uid": "u", "message": "a\\u0000b"}', 422),
    "lone surrogate": (b'{"uid": "u", "message": "a\\ud800b"}', 422),
    "lone surrogate as a field": (b'{"uid": "u", "message": "hi", "\\ud800": 1}', 422),
    "not UTF-8": (b'{"uid": "u", "message": "\xff\xfe"}', 400),
    "10,000 deep": (b'{"uid":' + b"[" * 10_000 + b"]" * 10_000 + b"}", 400),
    "10,000 objects deep": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, 400),
    "a number of 5,000 digits": (b'{"uid": "u", "message": "hi", "max_tokens": 1' + b"0" * 5000 + b"}", 400),
    "100,000 characters": (json.dumps({"uid": "u", "message": "长" * 100_000}).encode(), 413),
    "4,001 characters": (json.dumps({"uid": "u", "message": "长" * 4001}).encode(), 422),
    "1 MB": (b'{"uid": "u", "message": "' + b"a" * 1_000_000 + b'"}', 413),
}  # fmt: skip
ROUNDS = 200
# Python and SQLite keep some memory for the next request; a leak of every round's largest body
# would be 200 MB.
MOST_GROWTH_BYTES = 8 * 1024 * 1024


@pytest.fixture(autouse=True)
def lives_on(shop: DeskProcess) -> Iterator[None]:
    pid = shop.pid
    yield
    assert shop.ask(KNOWN, uid="after")["source"] == "faq"
    assert shop.pid == pid
    shop.require_alive()


@pytest.mark.parametrize("path", ["/chat", "/v1/chat/completions"])
@pytest.mark.parametrize("name", BODIES)
def test_a_bad_body_is_refused_with_a_reason(shop: DeskProcess, name: str, path: str):
    content, status = BODIES[name]
    with shop.client() as client:
        response = client.post(path, content=content, headers=JSON)
    told = response.json()
    if path == "/chat":
        assert response.status_code == status
        assert response.headers["content-type"] == "application/problem+json"
        assert told["detail"]
        assert told["code"]
    else:
        assert 400 <= response.status_code < 500
        assert told["error"]["message"]


GARBAGE = {
    "no HTTP": b"hello\r\n\r\n",
    "TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(range(256)),
    "no version": b"GET /\r\n\r\n",
    "two lengths": b"POST /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n{}",
    "a negative length": b"POST /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -1\r\n\r\n{}",
    "a length and chunks": b"POST /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a bad chunk": b"POST /chat HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n",
    "a huge header": b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 1_000_000 + b"\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "another host": b"GET / HTTP/1.1\r\nHost: evil.example\r\n\r\n",
    "bytes in the path": b"GET /\xff\xfe%00 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
}  # fmt: skip


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_on_the_socket_is_refused(shop: DeskProcess, name: str):
    """4xx, or the connection is closed: never an answer of the desk, never a hang."""
    answer = _talk(shop, GARBAGE[name])
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer[:200]


def _talk(desk: DeskProcess, sent: bytes) -> bytes:
    """What comes back until it is quiet or the other side hangs up."""
    received = b""
    with socket.create_connection(("127.0.0.1", desk.port), timeout=5) as connection:
        try:
            connection.sendall(sent)
            connection.shutdown(socket.SHUT_WR)
            while piece := connection.recv(65536):
                received += piece
        except ConnectionError:
            pass
    return received


def test_a_hundred_silent_connections_keep_nobody_out(shop: DeskProcess):
    head = f"POST /chat HTTP/1.1\r\nHost: 127.0.0.1:{shop.port}\r\nContent-Length: 1000\r\n\r\n{{"
    open_ones = []
    try:
        for _ in range(100):
            connection = socket.create_connection(("127.0.0.1", shop.port))
            connection.sendall(head.encode())
            open_ones.append(connection)
        assert shop.ask(KNOWN, uid="beside")["source"] == "faq"
    finally:
        for connection in open_ones:
            connection.close()


def test_a_thousand_nonsense_requests_leave_no_memory_behind(shop: DeskProcess):
    """Unique set size of the desk's process, as the kernel counts it, before and after.

    One tenth of the rounds goes first, so that what is kept on purpose (buffers, compiled
    queries, worker threads) is there already.
    """
    process = psutil.Process(shop.pid)
    contents = [content for content, _ in BODIES.values()]
    with shop.client() as client:
        for _ in range(ROUNDS // 10):
            _send_all(client, contents)
        before = process.memory_full_info().uss
        for _ in range(ROUNDS):
            _send_all(client, contents)
    growth = process.memory_full_info().uss - before
    print(f"{growth / 2**20:.1f} MiB more after {ROUNDS} rounds of {len(contents)} bad bodies")
    assert growth < MOST_GROWTH_BYTES
    wait_until(lambda: shop.metric("kefu_open_turns") == 0, "no turn is left")


def _send_all(client: httpx.Client, contents: list[bytes]) -> None:
    for content in contents:
        response = client.post("/chat", content=content, headers=JSON)
        assert 400 <= response.status_code < 500
