"""An OpenAI-compatible server whose model says what the best passage says: a fake of a model only."""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

WRITING_SECONDS = 0.02
# A passage in the layout that the small model was taught; the best comes last (turn/prompt.py).
_PASSAGE = re.compile(r"^资料：(?:\[.*?\] )?(.+)$", re.MULTILINE)


@dataclass
class Writer:
    """`most_at_once`: answers that were being written at the same time, at most."""

    url: str = ""
    written: int = 0
    most_at_once: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def write(self, prompt: str) -> str:
        with self._lock:
            self.written += 1
            self._now += 1
            self.most_at_once = max(self.most_at_once, self._now)
        time.sleep(WRITING_SECONDS)  # it is a model at work, not a test that waits
        with self._lock:
            self._now -= 1
        passages = _PASSAGE.findall(prompt)
        return str(passages[-1]) if passages else ""


@contextmanager
def writing_server() -> Iterator[Writer]:
    writer = Writer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._begin("application/json")
            self.wfile.write(json.dumps({"data": [], "status": "ok"}).encode())

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            text = writer.write(body["prompt"])
            self._begin("text/event-stream")
            for choice in ({"text": text}, {"text": "\n", "finish_reason": "stop"}):
                self._event(json.dumps({"choices": [choice]}, ensure_ascii=False))
            self._event("[DONE]")

        def log_message(self, format: str, *arguments: object) -> None:
            """Nothing."""

        def _begin(self, kind: str) -> None:
            self.send_response(200)
            self.send_header("Content-Type", kind)
            self.send_header("Connection", "close")
            self.end_headers()

        def _event(self, data: str) -> None:
            self.wfile.write(f"data: {data}\n\n".encode())

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        writer.url = f"http://127.0.0.1:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield writer
        finally:
            server.shutdown()
            thread.join()
