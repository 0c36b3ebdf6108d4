"""A desk that plays what a test tells it to: the chat contract, with faults on demand.

Every exchange runs in its own thread, so a play may block on a gate for as long as the test needs.
"""

import json
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import SHUT_RDWR
from typing import Any
from urllib.parse import parse_qs, urlsplit

WEB = Path(__file__).parents[2] / "src/kefu/web"
FILES = {
    "/": "index.html",
    "/page.js": "page.js",
    "/page.css": "page.css",
    "/widget.js": "widget.js",
}
MEDIA_TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}
# The strictest policy that the page must live with: what the real server sends.
STRICT_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# A gate that a test forgot to open must not hang the run.
PATIENCE_SECONDS = 30


@dataclass(frozen=True)
class Post:
    """One POST /chat as it arrived."""

    key: str
    uid: str
    message: str
    headers: dict[str, str]
    body: dict[str, Any]


class Exchange:
    """What a play may do with one POST /chat."""

    def __init__(self, handler: "Handler", desk: "Desk", post: Post):
        self._handler = handler
        self._streaming = False
        self.desk = desk
        self.post = post

    def raw(self, data: bytes) -> None:
        """These bytes, as one chunk of the event stream."""
        if not self._streaming:
            self._handler.start(
                200, {"Content-Type": "text/event-stream", "Transfer-Encoding": "chunked"}
            )
            self._streaming = True
        self._handler.write(b"%x\r\n%s\r\n" % (len(data), data))

    def event(self, name: str, data: Any) -> None:
        self.raw(f"event: {name}\ndata: {json.dumps(data, ensure_ascii=False)}\n\n".encode())

    def delta(self, text: str) -> None:
        self.event("delta", {"text": text})

    def reply_object(self, text: str, **changes: Any) -> dict[str, Any]:
        """The whole reply; the same key always gets the same turn, as from the real desk."""
        return {
            "reply": text,
            "intent": {"label": "other", "score": 0.9},
            "source": "model",
            "citations": [],
            "confidence": 0.87,
            "conversation_id": "c1",
            "turn_id": f"turn-{self.post.key}",
            "timings_ms": {"encode": 1.2, "total": 420.0},
        } | changes

    def done(self, text: str, **changes: Any) -> None:
        reply = self.reply_object(text, **changes)
        self.desk.finished[self.post.key] = reply
        self.event("done", reply)
        self.end()

    def end(self) -> None:
        """A stream that ends in good order, with or without a `done`."""
        self._handler.write(b"0\r\n\r\n")

    def cut(self) -> None:
        """The connection breaks, in the middle of whatever was going on."""
        self._handler.break_off()

    def problem(
        self, status: int, detail: str, headers: dict[str, str] | None = None, **members: Any
    ) -> None:
        body = {
            "type": "about:blank",
            "title": "Problem",
            "status": status,
            "detail": detail,
            "code": "test",
        }
        self._handler.send(
            status,
            json.dumps(body | members).encode(),
            {"Content-Type": "application/problem+json"} | (headers or {}),
        )

    def wait(self, gate: threading.Event) -> None:
        if not gate.wait(PATIENCE_SECONDS):
            raise TimeoutError("the test never opened this gate")


Play = Callable[[Exchange], None]


def answer(exchange: Exchange) -> None:
    """What the desk does when it has no script: replay a finished turn, or answer in two pieces."""
    known = exchange.desk.finished.get(exchange.post.key)
    text = known["reply"] if known else f"收到：{exchange.post.message}"
    exchange.delta(text[:2])
    exchange.delta(text[2:])
    exchange.done(text)


@dataclass
class Desk:
    """The scripted desk: `plays` are used up one a POST, then `answer` takes over."""

    origin: str = ""
    plays: deque[Play] = field(default_factory=deque)
    posts: list[Post] = field(default_factory=list)
    history_calls: list[dict[str, str]] = field(default_factory=list)
    history: list[dict[str, Any]] = field(default_factory=list)
    finished: dict[str, dict[str, Any]] = field(default_factory=dict)
    ratings: list[dict[str, Any]] = field(default_factory=list)
    rating_plays: deque[Play] = field(default_factory=deque)
    updates: list[dict[str, Any]] = field(default_factory=list)
    update_calls: list[dict[str, str]] = field(default_factory=list)
    update_plays: deque[Play] = field(default_factory=deque)
    csp: str = STRICT_CSP
    cors: bool = False
    down: bool = False
    _changed: threading.Condition = field(default_factory=threading.Condition)

    def script(self, *plays: Play) -> None:
        self.plays.extend(plays)

    def arrived(self, post: Post) -> Play:
        with self._changed:
            self.posts.append(post)
            self._changed.notify_all()
            return self.plays.popleft() if self.plays else answer

    def rated(self, body: dict[str, Any]) -> Play | None:
        with self._changed:
            self.ratings.append(body)
            self._changed.notify_all()
            return self.rating_plays.popleft() if self.rating_plays else None

    def asked_for_updates(self, call: dict[str, str]) -> Play | None:
        with self._changed:
            self.update_calls.append(call)
            self._changed.notify_all()
            return self.update_plays.popleft() if self.update_plays else None

    def deliver(self, turn_id: str, text: str, **changes: Any) -> None:
        """A later reply to this turn, as a person's verdict brings it."""
        update = {
            "turn_id": turn_id,
            "reply": text,
            "source": "canned",
            "confidence": 1.0,
            "citations": [],
            "choices": [],
            "created_at": 1735787045000,
        }
        with self._changed:
            self.updates.append({"seq": len(self.updates) + 1} | update | changes)
            self._changed.notify_all()

    def updates_after(self, seq: int, wait_seconds: float) -> list[dict[str, Any]]:
        with self._changed:
            self._changed.wait_for(lambda: len(self.updates) > seq, wait_seconds)
            return self.updates[seq:]

    def wait_for_update_calls(self, count: int) -> None:
        with self._changed:
            if not self._changed.wait_for(
                lambda: len(self.update_calls) >= count, PATIENCE_SECONDS
            ):
                raise TimeoutError(f"{len(self.update_calls)} of {count} asked for updates")

    def wait_for_ratings(self, count: int) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.ratings) >= count, PATIENCE_SECONDS):
                raise TimeoutError(f"{len(self.ratings)} of {count} ratings arrived")

    def wait_for_posts(self, count: int) -> None:
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.posts) >= count, PATIENCE_SECONDS):
                raise TimeoutError(f"{len(self.posts)} of {count} posts arrived")

    @property
    def keys(self) -> list[str]:
        return [post.key for post in self.posts]

    @property
    def messages(self) -> list[str]:
        return [post.message for post in self.posts]


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def __init__(self, desk: Desk, *args: Any):
        self.desk = desk
        super().__init__(*args)

    def log_message(self, *_: Any) -> None:
        """Quiet: a test that fails has the desk's record."""

    def start(self, status: int, headers: dict[str, str]) -> None:
        self.send_response(status)
        # One connection each: on a kept one Chromium repeats a broken POST by itself.
        headers = (
            {"Connection": "close", "Cache-Control": "no-store"} | self._cors_headers() | headers
        )
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.close_connection = True

    def _cors_headers(self) -> dict[str, str]:
        if not self.desk.cors:
            return {}
        return {
            "Access-Control-Allow-Origin": "*",
            "Access-Control-Expose-Headers": "Retry-After",
            "Cross-Origin-Resource-Policy": "cross-origin",
        }

    def send(self, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.start(status, {"Content-Length": str(len(body))} | headers)
        self.write(body)

    def write(self, data: bytes) -> None:
        with suppress(OSError):  # the browser may leave at any time: that is what tests are for
            self.wfile.write(data)
            self.wfile.flush()

    def break_off(self) -> None:
        self.close_connection = True
        with suppress(OSError):
            self.connection.shutdown(SHUT_RDWR)

    def do_OPTIONS(self) -> None:
        self.start(
            204,
            {
                "Access-Control-Allow-Methods": "GET, POST",
                "Access-Control-Allow-Headers": "Authorization, Content-Type, Idempotency-Key",
            },
        )

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path == "/chat/history":
            self._history(query["uid"])
        elif url.path == "/chat/updates":
            self._updates(query)
        elif url.path in FILES:
            self._file(FILES[url.path])
        else:
            self.send(404, b"{}", {"Content-Type": "application/problem+json"})

    def _history(self, uid: str) -> None:
        self.desk.history_calls.append(
            {"uid": uid, "authorization": self.headers.get("Authorization", "")}
        )
        if self.desk.down:
            self.break_off()
            return
        self.send(
            200,
            json.dumps({"turns": self.desk.history}).encode(),
            {"Content-Type": "application/json"},
        )

    def _updates(self, query: dict[str, str]) -> None:
        call = query | {"authorization": self.headers.get("Authorization", "")}
        play = self.desk.asked_for_updates(call)
        if play is not None:
            play(Exchange(self, self.desk, Post("", query["uid"], "", dict(self.headers), {})))
            return
        after = int(query["after"])
        found = self.desk.updates_after(after, float(query["wait"]))
        body = {"updates": found, "next": found[-1]["seq"] if found else after}
        self.send(200, json.dumps(body).encode(), {"Content-Type": "application/json"})

    def _rating(self, body: dict[str, Any]) -> None:
        play = self.desk.rated(body)
        if self.desk.down:
            self.break_off()
        elif play is not None:
            post = Post("", body["uid"], "", dict(self.headers), body)
            play(Exchange(self, self.desk, post))
        else:
            self.start(204, {})

    def _file(self, name: str) -> None:
        path = WEB / name
        media_type = MEDIA_TYPES[path.suffix] + "; charset=utf-8"
        headers = {"Content-Type": media_type, "X-Content-Type-Options": "nosniff"}
        self.send(200, path.read_bytes(), headers | {"Content-Security-Policy": self.desk.csp})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.path == "/chat/rating":
            self._rating(body)
            return
        post = Post(
            self.headers["Idempotency-Key"], body["uid"], body["message"], dict(self.headers), body
        )
        if self.desk.down:
            self.desk.arrived(post)
            self.break_off()
            return
        self.desk.arrived(post)(Exchange(self, self.desk, post))


class SiteHandler(BaseHTTPRequestHandler):
    """Somebody else's page."""

    def __init__(self, html: str, csp: str, *args: Any):
        self.html = html.encode()
        self.csp = csp
        super().__init__(*args)

    def log_message(self, *_: Any) -> None:
        pass

    def do_GET(self) -> None:
        found = self.path == "/"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Security-Policy", self.csp)
        self.end_headers()
        self.wfile.write(self.html if found else b"")


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


@contextmanager
def serving(handler: Callable[..., BaseHTTPRequestHandler]) -> Iterator[str]:
    """The origin at which this handler is served."""
    with _Server(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(
            target=partial(server.serve_forever, poll_interval=0.02), daemon=True
        )
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@contextmanager
def scripted_desk() -> Iterator[Desk]:
    desk = Desk()
    with serving(partial(Handler, desk)) as desk.origin:
        yield desk
