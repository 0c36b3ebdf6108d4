"""Keys, hosts, origins, limits."""

from __future__ import annotations

import asyncio

import httpx
import pytest
from fastapi import FastAPI

from kefu.errors import NotFound
from kefu.settings import Settings, load_settings
from tests.conftest import desk_app
from tests.fakes import ScriptedGenerator

HELLO = {"uid": "u", "message": "hello"}


async def serve(app: FastAPI, path: str, method: str = "GET", **request) -> httpx.Response:
    """One request to a desk that may be running already."""
    transport = httpx.ASGITransport(app)
    base = request.pop("base_url", "http://127.0.0.1:8000")
    async with httpx.AsyncClient(transport=transport, base_url=base) as client:
        return await client.request(method, path, **request)


def bearer(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_management_always_needs_an_admin_key(app: FastAPI, client: httpx.AsyncClient):
    keys = app.state.services.keys
    admin, chat = keys.create("admin"), keys.create("chat")
    for path in ("/api/conversations", "/api/knowledge", "/api/conversations/u"):
        missing = await client.get(path)
        assert missing.status_code == 401
        assert missing.headers["www-authenticate"] == "Bearer"
        assert (await client.get(path, headers=bearer("kefu-admin-wrong"))).status_code == 401
        assert (await client.get(path, headers=bearer(chat))).status_code == 403
        assert (await client.get(path, headers=bearer(admin))).status_code in (200, 404)


async def test_a_revoked_key_opens_nothing(app: FastAPI, client: httpx.AsyncClient):
    keys = app.state.services.keys
    admin = keys.create("admin", "for a test")
    (info,) = keys.all()
    assert info.note == "for a test"
    keys.revoke(info.id)
    assert (await client.get("/api/knowledge", headers=bearer(admin))).status_code == 401
    with pytest.raises(NotFound):
        keys.revoke(info.id)


async def test_keys_are_stored_as_hashes_only(app: FastAPI, client: httpx.AsyncClient, settings):
    key = app.state.services.keys.create("admin")
    await client.get("/livez")
    stored = b"".join(p.read_bytes() for p in settings.data_dir.glob("kefu.db*"))
    assert key.encode() not in stored


async def test_a_desk_open_to_the_network_asks_customers_for_a_key(
    tmp_path, generator: ScriptedGenerator
):
    settings = load_settings({"data_dir": tmp_path, "server": {"host": "0.0.0.0"}})
    app = desk_app(settings, generator)
    async with app.router.lifespan_context(app):
        chat = app.state.services.keys.create("chat")
        base = "http://desk.example"
        for path, method, body in (
            ("/chat", "POST", HELLO),
            ("/chat/history?uid=u", "GET", None),
            ("/v1/models", "GET", None),
            ("/v1/chat/completions", "POST", {"messages": [{"role": "user", "content": "hi"}]}),
            ("/metrics", "GET", None),
        ):
            refused = await serve(app, path, method, json=body, base_url=base)
            assert refused.status_code == 401, path
            allowed = await serve(app, path, method, json=body, base_url=base, headers=bearer(chat))
            assert allowed.status_code == 200, path
        for path in ("/livez", "/readyz", "/"):
            assert (await serve(app, path, base_url=base)).status_code == 200, path


async def test_a_foreign_host_name_is_refused_on_loopback(app: FastAPI, client: httpx.AsyncClient):
    rebound = await client.post("/chat", json=HELLO, headers={"Host": "evil.example"})
    assert rebound.status_code == 403
    for host in ("localhost:8000", "127.0.0.1", "[::1]:8000"):
        assert (await client.get("/livez", headers={"Host": host})).status_code == 200


@pytest.fixture
def settings_with_origin(tmp_path) -> Settings:
    return load_settings(
        {"data_dir": tmp_path, "server": {"allowed_origins": ["https://shop.example"]}}
    )


async def test_only_allowed_origins_may_use_the_desk(
    settings_with_origin: Settings, generator: ScriptedGenerator
):
    app = desk_app(settings_with_origin, generator)
    async with app.router.lifespan_context(app):

        async def post(origin: str) -> httpx.Response:
            return await serve(app, "/chat", "POST", json=HELLO, headers={"Origin": origin})

        allowed = await post("https://shop.example")
        assert allowed.status_code == 200
        assert allowed.headers["access-control-allow-origin"] == "https://shop.example"
        assert (await post("http://127.0.0.1:8000")).status_code == 200  # its own page
        for origin in ("https://evil.example", "null", "https://shop.example.evil"):
            refused = await post(origin)
            assert refused.status_code == 403
            assert "access-control-allow-origin" not in refused.headers
        preflight = await serve(
            app,
            "/chat",
            "OPTIONS",
            headers={
                "Origin": "https://shop.example",
                "Access-Control-Request-Method": "POST",
                "Access-Control-Request-Headers": "content-type,idempotency-key",
            },
        )
        assert preflight.status_code == 200


async def test_every_response_has_an_id_and_safe_headers(client: httpx.AsyncClient):
    for path in ("/", "/livez", "/nowhere", "/widget.js"):
        response = await client.get(path)
        assert response.headers["x-request-id"]
        assert response.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'" in response.headers["content-security-policy"]
    given = await client.get("/livez", headers={"X-Request-ID": "abc-1"})
    assert given.headers["x-request-id"] == "abc-1"
    forged = await client.get("/livez", headers={"X-Request-ID": "a b\tc"})
    assert forged.headers["x-request-id"] != "a b\tc"


async def test_requests_past_the_limit_are_told_to_come_again(
    tmp_path, generator: ScriptedGenerator
):
    settings = load_settings(
        {
            "data_dir": tmp_path,
            "server": {"max_open_requests": 1},
            "knowledge": {"sure_score": 0.9, "passage_score": 0.3},
            "replies": {"copy_score": 0.35},
        }
    )
    app = desk_app(settings, generator)
    generator.gate = asyncio.Event()
    async with app.router.lifespan_context(app):
        services = app.state.services
        await services.knowledge.import_entries(_near_entries())
        slow = asyncio.ensure_future(
            serve(app, "/chat", "POST", json={"uid": "u", "message": "你们运费是多少"})
        )
        while not generator.running:
            await asyncio.sleep(0.001)
        refused = await serve(app, "/chat", "POST", json=HELLO)
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert (await serve(app, "/livez")).status_code == 200
        assert (await serve(app, "/chat/updates?uid=u")).status_code == 200
        generator.gate.set()
        assert (await slow).status_code == 200
        assert (await serve(app, "/chat", "POST", json=HELLO)).status_code == 200


def _near_entries():
    from kefu.knowledge.entry import Entry

    return [Entry("fee", "运费是多少", "运费8元。", language="zh")]
