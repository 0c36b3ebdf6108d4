"""A user's own GGUF at a web address: fetched once, resumed, held to its sum."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from kefu.errors import ModelCorrupt, SourceUnavailable
from kefu.inference.models import ensure, load_catalogue, required_models, resolve_generator
from kefu.inference.models.resolve import LocalGguf, RemoteServer
from kefu.settings import Settings, load_settings

from .making import write_gguf


class Shelf(BaseHTTPRequestHandler):
    """One file. `broken` answers send half of what they promise; ranges go on from there."""

    content = b""
    etag = '"1"'
    broken = 0
    ranges: list[str | None]

    def do_GET(self) -> None:
        cls = type(self)
        asked = self.headers.get("Range")
        cls.ranges.append(asked)
        start = 0
        if asked and self.headers.get("If-Range") == cls.etag:
            start = int(asked.removeprefix("bytes=").removesuffix("-"))
        rest = cls.content[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.send_header("ETag", cls.etag)
        self.end_headers()
        if cls.broken:
            cls.broken -= 1
            rest = rest[: len(rest) // 2]
        self.wfile.write(rest)

    def log_message(self, *args: object) -> None: ...


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[tuple[type[Shelf], str]]:
    gguf = write_gguf(tmp_path / "tiny.gguf").path

    class OneShelf(Shelf):
        content = gguf.read_bytes()
        ranges: list[str | None] = []

    server = ThreadingHTTPServer(("127.0.0.1", 0), OneShelf)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield OneShelf, f"http://127.0.0.1:{server.server_port}/dir/my%20model.gguf?download=true"
    server.shutdown()
    server.server_close()
    thread.join()


def settings_for(tmp_path: Path, url: str) -> Settings:
    return load_settings({"data_dir": tmp_path / "data", "generator": {"model": url}})


def test_it_is_fetched_once_and_served_like_any_other(
    tmp_path: Path, shelf: tuple[type[Shelf], str]
):
    server, url = shelf
    settings = settings_for(tmp_path, url)
    assert url in required_models(settings)
    ensure(settings, url)
    ensure(settings, url)
    assert len(server.ranges) == 1
    found = resolve_generator(settings)
    assert isinstance(found, LocalGguf)
    assert found.path.name == "my-model.gguf"
    assert found.path.read_bytes() == server.content


def test_a_broken_download_goes_on_where_it_ended(tmp_path: Path, shelf: tuple[type[Shelf], str]):
    server, url = shelf
    server.broken = 1
    settings = settings_for(tmp_path, url)
    with pytest.raises(SourceUnavailable, match="RemoteProtocolError"):
        ensure(settings, url)
    ensure(settings, url)
    half = len(server.content) // 2
    assert server.ranges == [None, f"bytes={half}-"]
    assert resolve_generator(settings).path.read_bytes() == server.content


def test_a_file_that_changed_in_between_is_fetched_anew(
    tmp_path: Path, shelf: tuple[type[Shelf], str]
):
    server, url = shelf
    server.broken = 1
    settings = settings_for(tmp_path, url)
    with pytest.raises(SourceUnavailable):
        ensure(settings, url)
    server.etag, server.content = '"2"', server.content + b"\0" * 64
    installed = ensure(settings, url)
    assert installed.path.read_bytes() == server.content


def test_another_file_under_the_same_address_is_noticed(
    tmp_path: Path, shelf: tuple[type[Shelf], str]
):
    server, url = shelf
    settings = settings_for(tmp_path, url)
    installed = ensure(settings, url)
    installed.path.unlink()
    server.content = server.content[:-1] + b"\1"
    with pytest.raises(ModelCorrupt, match="at the first pull it was"):
        ensure(settings, url)


def test_other_addresses_are_servers(tmp_path: Path):
    settings = settings_for(tmp_path, "http://gpu-box:8000/v1")
    assert resolve_generator(settings) == RemoteServer("http://gpu-box:8000/v1", "chat")
    assert load_catalogue().find("http://gpu-box:8000/v1") is None
