"""Errors as RFC 9457 problem documents; as OpenAI's error objects below `/v1`."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from kefu.errors import InvalidFile, InvalidInput, KefuError

log = structlog.get_logger("kefu.http")

PROBLEM_JSON = "application/problem+json"
PROBLEM_SCHEMA = {
    "title": "Problem",
    "description": "RFC 9457, with a stable `code` for programs.",
    "type": "object",
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "code": {"type": "string"},
        "retry_after": {"type": "integer", "description": "Seconds."},
        "errors": {"type": "array", "items": {"type": "object"}},
    },
}
OPENAI_ERROR_SCHEMA = {
    "title": "OpenAIError",
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": "string"},
            },
        }
    },
}


def install_problem_handlers(app: FastAPI) -> None:
    app.add_exception_handler(KefuError, _on_kefu_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_validation_error)
    app.add_exception_handler(Exception, _on_unknown_error)


def describe_problems(app: FastAPI) -> None:
    """Say in /openapi.json what errors look like. FastAPI declares only its own 422, and wrongly."""
    plain = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            schema = plain()
            schemas = schema.setdefault("components", {}).setdefault("schemas", {})
            schemas.update(Problem=PROBLEM_SCHEMA, OpenAIError=OPENAI_ERROR_SCHEMA)
            for path, operations in schema["paths"].items():
                for operation in operations.values():
                    operation["responses"].pop("422", None)
                    operation["responses"]["default"] = _declared(path)
        assert app.openapi_schema is not None
        return app.openapi_schema

    app.openapi = openapi  # type: ignore[method-assign]  # FastAPI's documented way


def _declared(path: str) -> dict[str, Any]:
    name, media_type = (
        ("OpenAIError", "application/json")
        if path.startswith("/v1/")
        else ("Problem", PROBLEM_JSON)
    )
    schema = {"$ref": f"#/components/schemas/{name}"}
    return {"description": "What went wrong.", "content": {media_type: {"schema": schema}}}


def problem_of(error: KefuError) -> dict[str, Any]:
    """The problem document of an error of ours."""
    document = problem(error.status, error.code, str(error))
    if error.retry_after_seconds is not None:
        document["retry_after"] = error.retry_after_seconds
    if isinstance(error, InvalidFile):
        document["errors"] = [
            {"line": p.line, "column": p.column, "reason": p.reason} for p in error.problems
        ]
    return document


def problem(status: int, code: str, detail: str) -> dict[str, Any]:
    return {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }


def unknown_problem() -> dict[str, Any]:
    """What a caller is told of an error nobody expected: the traceback goes to the log only."""
    return problem(
        500, "internal", "Something went wrong here. The operator's log has the details."
    )


def openai_error(document: dict[str, Any]) -> dict[str, Any]:
    """The same problem in the shape that OpenAI's clients read."""
    status = document["status"]
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {
        "error": {
            "message": document["detail"],
            "type": kind,
            "param": None,
            "code": document["code"],
        }
    }


def problem_response(request: Request, document: dict[str, Any]) -> JSONResponse:
    headers = {}
    if "retry_after" in document:
        headers["Retry-After"] = str(document["retry_after"])
    if document["status"] == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = "Bearer"
    status = document["status"]
    if request.url.path.startswith("/v1/"):
        return JSONResponse(openai_error(document), status, headers)
    return JSONResponse(document, status, headers, media_type=PROBLEM_JSON)


async def _on_kefu_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, KefuError)
    if error.status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        log.warning("request_failed", path=request.url.path, code=error.code, reason=str(error))
    return problem_response(request, problem_of(error))


async def _on_http_exception(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    code = HTTPStatus(error.status_code).name.lower()
    response = problem_response(request, problem(error.status_code, code, str(error.detail)))
    response.headers.update(error.headers or {})
    return response


async def _on_validation_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    # The input itself is left out: it may not even be encodable (lone surrogates), and it is the
    # customer's.
    problems = [{"where": _where(e["loc"]), "reason": e["msg"]} for e in error.errors()]
    detail = "; ".join(f"{p['where']}: {p['reason']}" for p in problems)
    document = problem(InvalidInput.status, InvalidInput.code, detail)
    return problem_response(request, {**document, "errors": problems})


async def _on_unknown_error(request: Request, error: Exception) -> JSONResponse:
    log.error("request_crashed", path=request.url.path, exc_info=error)
    return problem_response(request, unknown_problem())


def _where(location: Sequence[str | int]) -> str:
    return ".".join(str(part).encode("utf-8", "replace").decode() for part in location)
