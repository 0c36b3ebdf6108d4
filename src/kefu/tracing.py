"""OpenTelemetry traces, where the operator wants them: a span for each request, and in it one for each
stage of the turn. Until `tracing` is entered nothing is imported and next to nothing is done.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import structlog

from kefu import __version__
from kefu.errors import SettingsError
from kefu.settings import TracesSettings

# One for the process, like the loggers: spans begin deep inside, where nobody hands a tracer down.
_tracer: Any = None
# An error may quote the customer.
_NO_WORDS = {"record_exception": False, "set_status_on_exception": False}


@contextmanager
def tracing(settings: TracesSettings) -> Iterator[None]:
    """Send traces to `settings.endpoint` while inside; nothing without one.

    Raises `SettingsError` where the packages are missing.
    """
    global _tracer  # see above
    if not settings.endpoint:
        yield
        return
    provider = _provider(settings)
    _tracer = provider.get_tracer("kefu", __version__)
    try:
        yield
    finally:
        _tracer = None
        provider.shutdown()  # sends what waits


def request_span(scope: Mapping[str, Any], request_id: str) -> AbstractContextManager[Any]:
    """The span of an HTTP request (an ASGI scope), in the caller's trace where its headers name one;
    None where nothing is traced."""
    return nullcontext() if _tracer is None else _request_span(scope, request_id)


@contextmanager
def _request_span(scope: Mapping[str, Any], request_id: str) -> Iterator[Any]:
    trace, propagate = _api("trace"), _api("propagate")
    headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
    caller = propagate.extract(headers)
    opened = _tracer.start_as_current_span("request", caller, trace.SpanKind.SERVER, **_NO_WORDS)
    with opened as span:
        span.set_attribute("kefu.request_id", request_id)
        yield span


def describe_request(span: Any, scope: Mapping[str, Any], status: int) -> None:
    """What is known once it was answered. The route and not the path, which may name a customer."""
    if span is None:
        return
    route = getattr(scope.get("route"), "path", "")
    span.update_name(f"{scope['method']} {route}".strip())
    span.set_attributes(
        {
            "http.request.method": scope["method"],
            "http.route": route,
            "http.response.status_code": status,
        }
    )
    if status >= 500:
        span.set_status(_api("trace").StatusCode.ERROR)


def stage_span(stage: str) -> AbstractContextManager[Any]:
    if _tracer is None:
        return nullcontext()
    span: AbstractContextManager[Any] = _tracer.start_as_current_span(stage, **_NO_WORDS)
    return span


def outgoing_headers() -> dict[str, str]:
    """What goes with a request to another server: this one's id, and the trace."""
    headers: dict[str, str] = {}
    if request_id := structlog.contextvars.get_contextvars().get("request_id"):
        headers["X-Request-ID"] = request_id
    if _tracer is not None:
        _api("propagate").inject(headers)
    return headers


def _provider(settings: TracesSettings) -> Any:
    try:
        resources = importlib.import_module("opentelemetry.sdk.resources")
        sdk = importlib.import_module("opentelemetry.sdk.trace")
        export = importlib.import_module("opentelemetry.sdk.trace.export")
        sampling = importlib.import_module("opentelemetry.sdk.trace.sampling")
        otlp = importlib.import_module("opentelemetry.exporter.otlp.proto.http.trace_exporter")
    except ImportError as error:
        raise SettingsError(
            "traces.endpoint is set, but OpenTelemetry is not installed: pip install 'kefu[traces]'"
        ) from error
    provider = sdk.TracerProvider(
        sampler=sampling.ParentBased(sampling.TraceIdRatioBased(settings.share)),
        resource=resources.Resource.create(
            {"service.name": "kefu", "service.version": __version__}
        ),
        shutdown_on_exit=False,
    )
    endpoint = f"{settings.endpoint.rstrip('/')}/v1/traces"
    provider.add_span_processor(export.BatchSpanProcessor(otlp.OTLPSpanExporter(endpoint)))
    return provider


def _api(name: str) -> Any:
    return importlib.import_module(f"opentelemetry.{name}")
