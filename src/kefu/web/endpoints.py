"""`GET /`, `/widget.js`, and the interactive API page at `/docs` (offline, no CDN)."""

from __future__ import annotations

import importlib.resources
from collections.abc import Mapping
from pathlib import Path

import fastapi_offline
from fastapi import APIRouter
from fastapi.responses import FileResponse

router = APIRouter(include_in_schema=False)

_HERE = Path(str(importlib.resources.files("kefu.web")))
_SWAGGER = Path(str(importlib.resources.files(fastapi_offline) / "static"))

# Nothing from anywhere else, no inline script, no frame around it.
CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# Swagger UI sets style attributes.
DOCS_POLICY = CONTENT_SECURITY_POLICY.replace(
    "style-src 'self'", "style-src 'self' 'unsafe-inline'"
)

SAFE_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
}

_REVALIDATE = {"Cache-Control": "no-cache"}


@router.get("/")
async def page() -> FileResponse:
    return _file("index.html", "text/html; charset=utf-8")


@router.get("/page.css")
async def page_css() -> FileResponse:
    return _file("page.css", "text/css; charset=utf-8")


@router.get("/page.js")
async def page_js() -> FileResponse:
    return _file("page.js", "text/javascript; charset=utf-8")


@router.get("/widget.js")
async def widget() -> FileResponse:
    response = _file("widget.js", "text/javascript; charset=utf-8")
    # Pages of other origins load it; what they may then ask is up to server.allowed_origins.
    response.headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    return response


@router.get("/docs")
async def docs() -> FileResponse:
    response = _file("docs.html", "text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = DOCS_POLICY
    return response


@router.get("/docs.js")
async def docs_js() -> FileResponse:
    return _file("docs.js", "text/javascript; charset=utf-8")


@router.get("/docs/swagger-ui-bundle.js")
async def swagger_js() -> FileResponse:
    return FileResponse(_SWAGGER / "swagger-ui-bundle.js", headers=_REVALIDATE)


@router.get("/docs/swagger-ui.css")
async def swagger_css() -> FileResponse:
    return FileResponse(_SWAGGER / "swagger-ui.css", headers=_REVALIDATE)


def _file(name: str, media_type: str) -> FileResponse:
    return FileResponse(_HERE / name, media_type=media_type, headers=_REVALIDATE)
