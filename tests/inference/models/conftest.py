"""Wheels, GGUF files, hubs and settings that cost nothing and touch no network."""

from __future__ import annotations

import hashlib
import http.server
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kefu.settings import Settings, load_settings

from .making import Hub, SmallGguf, Watcher, write_gguf


@pytest.fixture
def watcher() -> Watcher:
    return Watcher()


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def settings(data_dir: Path) -> Settings:
    return load_settings({"data_dir": data_dir})


@pytest.fixture
def write_catalogue(data_dir: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = data_dir / "catalogue.toml"
        path.write_text(text, "utf-8")
        return path

    return write


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels that is pip's only source: the user's configuration in small."""
    folder = tmp_path / "shelf"
    folder.mkdir()
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return folder


@pytest.fixture
def hub() -> Iterator[Hub]:
    state = Hub(content=os.urandom(3_000_000))

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: Any) -> None:
            pass

        def do_HEAD(self) -> None:
            self.answer(False)

        def do_GET(self) -> None:
            self.answer(True)

        def answer(self, with_body: bool) -> None:
            span = self.headers.get("Range")
            state.requests.append((self.command, self.path, span))
            if "file.bin" not in self.path:
                self.send_error(404)
                return
            begin = int(span.removeprefix("bytes=").split("-")[0]) if span else 0
            body = state.content[begin:]
            self.send_response(206 if span else 200)
            if span:
                whole = len(state.content)
                self.send_header("Content-Range", f"bytes {begin}-{whole - 1}/{whole}")
            self.send_header("ETag", f'"{hashlib.sha256(state.content).hexdigest()}"')
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            if with_body and state.failures:
                state.failures -= 1
                self.wfile.write(body[: len(body) // 2])
                self.close_connection = True
            elif with_body:
                self.wfile.write(body)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    state.url = f"http://127.0.0.1:{server.server_port}"
    yield state
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def small_gguf(tmp_path: Path) -> SmallGguf:
    return write_gguf(tmp_path / "small.gguf")
