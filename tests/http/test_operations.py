"""`/livez`, `/readyz`, `/metrics`, `/docs`, and the management endpoints."""

from __future__ import annotations

import re

import httpx
import pytest
from fastapi import FastAPI

from kefu.errors import GeneratorUnavailable
from tests.fakes import ScriptedGenerator


@pytest.fixture
def admin(app: FastAPI, client: httpx.AsyncClient) -> dict[str, str]:
    return {"Authorization": f"Bearer {app.state.services.keys.create('admin')}"}


async def test_a_generator_that_is_down_leaves_the_desk_ready(
    client: httpx.AsyncClient, generator: ScriptedGenerator
):
    assert (await client.get("/livez")).json() == {"status": "ok"}
    assert (await client.get("/readyz")).json()["parts"]["generator"] == "ok"

    generator.ping_error = GeneratorUnavailable("starting again")
    response = await client.get("/readyz")
    assert response.status_code == 200
    assert response.json()["parts"]["generator"] == "starting again"


async def test_without_its_encoder_the_desk_is_not_ready(app: FastAPI, client: httpx.AsyncClient):
    await app.state.services.encoder.stop()
    response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["status"] == "unavailable"


async def test_a_desk_that_was_told_to_stop_wants_no_new_customers(
    app: FastAPI, client: httpx.AsyncClient
):
    app.state.health.is_draining = True
    response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["status"] == "draining"
    assert (await client.get("/livez")).status_code == 200


async def test_metrics_count_turns_stages_and_batches(client: httpx.AsyncClient):
    for _ in range(3):
        await client.post("/chat", json={"uid": "u", "message": "xylophone"})
    text = (await client.get("/metrics")).text
    assert 'kefu_turns_total{source="handoff"} 3.0' in text
    assert 'kefu_stage_seconds_count{stage="encode"}' in text
    assert "kefu_encoder_batch_size_count" in text
    assert "kefu_open_turns 0.0" in text


async def test_docs_work_offline(client: httpx.AsyncClient):
    page = await client.get("/docs")
    assert page.status_code == 200
    assert not re.search(r'(src|href)="(https?:)?//', page.text)
    for path in ("/docs.js", "/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/openapi.json"):
        assert (await client.get(path)).status_code == 200


async def test_an_import_with_a_bad_row_changes_nothing(client: httpx.AsyncClient, admin):
    good = b"id,question,answer\na,Question one,Answer one\n"
    url = "/api/knowledge/import?name=faq.csv"
    assert (await client.post(url, content=good, headers=admin)).json()["added"] == 1
    bad = b"id,question,answer\nb,Question two,Answer two\nc,,Answer\n"
    response = await client.post(url, content=bad, headers=admin)
    assert response.status_code == 422
    assert response.json()["errors"][0]["line"] == 3
    assert (await client.get("/api/knowledge", headers=admin)).json()["entries"] == 1


async def test_a_dry_run_reports_and_changes_nothing(client: httpx.AsyncClient, admin):
    content = b"id,question,answer\na,Question one,Answer one\n"
    url = "/api/knowledge/import?name=faq.csv&dry_run=true"
    report = (await client.post(url, content=content, headers=admin)).json()
    assert (report["added"], report["dry_run"]) == (1, True)
    assert (await client.get("/api/knowledge", headers=admin)).json()["entries"] == 0


async def test_search_shows_each_score_and_delete_forgets(client: httpx.AsyncClient, admin):
    content = b"id,question,answer\na,How much is delivery,8 yuan\n"
    await client.post("/api/knowledge/import?name=faq.csv", content=content, headers=admin)
    params = {"q": "How much is delivery?"}
    found = (await client.get("/api/knowledge/search", params=params, headers=admin)).json()
    assert found["decision"] == "sure"
    assert found["matches"][0].keys() >= {"id", "score", "cosine", "lexical", "answer"}
    assert (await client.delete("/api/knowledge/a", headers=admin)).status_code == 204
    assert (await client.delete("/api/knowledge/a", headers=admin)).status_code == 404
    found = (await client.get("/api/knowledge/search", params=params, headers=admin)).json()
    assert found == {"decision": "nothing", "doubt": None, "matches": []}


async def test_conversations_are_listed_for_people(client: httpx.AsyncClient, admin):
    await client.post("/chat", json={"uid": "客户/1", "message": "xylophone"})
    listed = (await client.get("/api/conversations?waiting=true", headers=admin)).json()
    assert [c["uid"] for c in listed["conversations"]] == ["客户/1"]
    missing = await client.get("/api/conversations/nobody", headers=admin)
    assert missing.status_code == 404
