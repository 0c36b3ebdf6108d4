"""The body and the headers of a request, as models of pydantic, where FastAPI does not read them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, TypeVar

from fastapi import Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException

Body = TypeVar("Body", bound=BaseModel)
T = TypeVar("T")


async def body_of(request: Request, model: type[Body]) -> Body:
    """The JSON body. Raises `RequestValidationError`, also where it is not said to be JSON: a page of
    another origin may send text to anybody, JSON only to who allows it (CORS). What is no text at
    all is a bad request (`HTTPException`)."""
    if not _is_json(request.headers):
        raise _invalid(("header", "content-type"), "Send application/json")
    try:
        content = json.loads(await request.body())
    except json.JSONDecodeError as error:
        raise _invalid(("body", error.pos), f"Not JSON: {error.msg}") from error
    except (ValueError, RecursionError) as error:  # bytes, depth, digits
        raise HTTPException(400, f"The body cannot be read: {error}") from error
    try:
        return model.model_validate(content)
    except ValidationError as error:
        raise _located(error, "body") from error


def header_of(request: Request, name: str, kind: TypeAdapter[T]) -> T:
    """A header by its lower-case name; `kind` is given None where it is missing. Raises
    `RequestValidationError`."""
    try:
        return kind.validate_python(request.headers.get(name))
    except ValidationError as error:
        raise _located(error, "header", name) from error


def _is_json(headers: Mapping[str, str]) -> bool:
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    return kind == "application/json" or (
        kind.startswith("application/") and kind.endswith("+json")
    )


def _located(error: ValidationError, *where: str) -> RequestValidationError:
    return RequestValidationError(
        [{**e, "loc": (*where, *e["loc"])} for e in error.errors(include_url=False)]
    )


def _invalid(where: tuple[str | int, ...], reason: str) -> RequestValidationError:
    problem: dict[str, Any] = {"type": "value_error", "loc": where, "msg": reason}
    return RequestValidationError([problem])
