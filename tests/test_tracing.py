"""Traces, as a collector gets them from the real exporter."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, ClassVar

import pytest
import structlog
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from kefu.errors import SettingsError
from kefu.http.guards import RequestHeaders
from kefu.settings import TracesSettings
from kefu.telemetry import Metrics, StageClock
from kefu.tracing import outgoing_headers, stage_span, tracing

CALLER = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{CALLER}-b7ad6b7169203331-01"


class Collector(BaseHTTPRequestHandler):
    spans: ClassVar[list[Any]] = []
    paths: ClassVar[list[str]] = []

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("Content-Encoding") == "gzip":
            raise AssertionError("not asked for")
        got = ExportTraceServiceRequest.FromString(body)
        self.paths.append(self.path)
        for resource in got.resource_spans:
            for scope in resource.scope_spans:
                self.spans.extend(scope.spans)
        self.send_response(200)
        self.end_headers()

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def collector() -> Iterator[str]:
    Collector.spans.clear()
    Collector.paths.clear()
    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


async def turn(scope: Scope, receive: Receive, send: Send) -> None:
    """An endpoint with two stages, one of them in a task of its own, as a turn runs."""
    scope["route"] = type("Route", (), {"path": "/talks/{uid}"})
    clock = StageClock(Metrics())

    async def stages() -> dict[str, str]:
        with clock("encode"):
            pass
        with clock("generate"):
            return outgoing_headers()

    scope["sent"] = await asyncio.create_task(stages())
    status = 500 if Request(scope).query_params else 200
    await send({"type": "http.response.start", "status": status, "headers": []})


def ask(query: bytes = b"", *headers: tuple[bytes, bytes]) -> dict[str, Any]:
    scope: dict[str, Any] = {
        "type": "http", "method": "POST", "path": "/talks/mary", "query_string": query,
        "headers": list(headers),
    }  # fmt: skip

    async def send(_: Any) -> None: ...

    asyncio.run(RequestHeaders(turn, {})(scope, None, send))  # type: ignore[arg-type]  # unused
    return scope


def test_a_span_for_the_request_and_each_stage(collector: str):
    with tracing(TracesSettings(endpoint=collector)):
        scope = ask(b"", (b"traceparent", PARENT.encode()), (b"x-request-id", b"abc-123"))
    spans = {span.name: span for span in Collector.spans}
    assert Collector.paths == ["/v1/traces"]
    assert sorted(spans) == ["POST /talks/{uid}", "encode", "generate"]
    request = spans["POST /talks/{uid}"]
    assert request.trace_id.hex() == CALLER
    assert {spans[name].parent_span_id for name in ("encode", "generate")} == {request.span_id}
    told = {attribute.key: attribute.value for attribute in request.attributes}
    assert told["kefu.request_id"].string_value == "abc-123"
    assert told["http.response.status_code"].int_value == 200
    assert "mary" not in str(request)
    # What is sent on to a generator names the span of its stage.
    assert scope["sent"]["X-Request-ID"] == "abc-123"
    assert scope["sent"]["traceparent"].split("-")[1:3] == [
        CALLER, spans["generate"].span_id.hex(),
    ]  # fmt: skip


def test_a_failure_is_marked_and_quotes_nobody(collector: str):
    with tracing(TracesSettings(endpoint=collector)):
        ask(b"fail=1")
        with pytest.raises(ValueError, match="secret"), stage_span("words"):
            raise ValueError("secret")
    spans = {span.name: span for span in Collector.spans}
    assert spans["POST /talks/{uid}"].status.code == 2
    assert "secret" not in str(Collector.spans)


def test_a_share_of_the_requests(collector: str):
    with tracing(TracesSettings(endpoint=collector, share=0.0)):
        ask()
    assert Collector.spans == []


def test_without_an_endpoint_nothing_is_traced():
    with tracing(TracesSettings()):
        assert ask()["sent"].keys() == {"X-Request-ID"}
    assert structlog.contextvars.get_contextvars() == {}
    assert outgoing_headers() == {}


def test_missing_packages_are_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with (
        pytest.raises(SettingsError, match=r"pip install .kefu\[traces\]"),
        tracing(TracesSettings(endpoint="http://127.0.0.1:1")),
    ):
        pass
