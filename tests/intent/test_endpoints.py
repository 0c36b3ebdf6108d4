"""`/api/intents`."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi import FastAPI

from kefu.intent.service import Intents
from tests.fakes import HashingEncoder
from tests.intent.small_models import TEXTS, add_model, damage, trained

THANKS = {"kind": "reply", "reply_zh": "不客气！", "reply_en": "You are welcome!", "url": ""}
PATHS = (
    ("GET", "/api/intents"),
    ("GET", "/api/intents/predict?q=hi"),
    ("GET", "/api/intents/versions"),
    ("POST", "/api/intents/versions/v/use"),
    ("PUT", "/api/intents/thanks/action"),
    ("DELETE", "/api/intents/thanks/action"),
)


@pytest.fixture
def admin(app: FastAPI, client: httpx.AsyncClient) -> httpx.AsyncClient:
    """The client with the key of whoever runs the shop."""
    client.headers["Authorization"] = f"Bearer {app.state.services.keys.create('admin')}"
    return client


@pytest.fixture
def intents(app: FastAPI, client: httpx.AsyncClient) -> Intents:
    return app.state.services.intents


@pytest.fixture
async def version(intents: Intents) -> str:
    added = add_model(intents.versions)
    await intents.refresh()
    return added


def is_problem(response: httpx.Response, status: int, code: str, *words: str) -> None:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    body = response.json()
    assert (body["status"], body["code"]) == (status, code)
    for word in words:
        assert word in body["detail"]


@pytest.mark.parametrize(("method", "path"), PATHS)
async def test_only_the_shops_own_key_opens_them(
    app: FastAPI, client: httpx.AsyncClient, method: str, path: str
):
    is_problem(await client.request(method, path), 401, "unauthorized")
    chat = {"Authorization": f"Bearer {app.state.services.keys.create('chat')}"}
    is_problem(await client.request(method, path, headers=chat), 403, "forbidden")


async def test_openapi_lists_them(client: httpx.AsyncClient):
    schema = (await client.get("/openapi.json")).json()
    for path, methods in {
        "/api/intents": {"get"},
        "/api/intents/predict": {"get"},
        "/api/intents/versions": {"get"},
        "/api/intents/versions/{version}/use": {"post"},
        "/api/intents/{label}/action": {"put", "delete"},
    }.items():
        assert schema["paths"][path].keys() == methods
        for operation in schema["paths"][path].values():
            assert operation["tags"] == ["intents"]
            assert operation["security"]


# Before any training.


async def test_without_a_model_the_overview_is_empty(admin: httpx.AsyncClient):
    found = (await admin.get("/api/intents")).json()
    assert found == {"version": None, "problem": None, "labels": []}
    assert (await admin.get("/api/intents/versions")).json() == {"versions": []}


async def test_without_a_model_a_prediction_says_how_to_make_one(admin: httpx.AsyncClient):
    response = await admin.get("/api/intents/predict", params={"q": "谢谢"})
    is_problem(response, 404, "not_found", "kefu intent train")


# With one.


async def test_the_overview_has_the_labels_with_figures_and_actions(
    admin: httpx.AsyncClient, version: str
):
    await admin.put("/api/intents/thanks/action", json=THANKS)
    await admin.put("/api/intents/parking/action", json=THANKS)
    found = (await admin.get("/api/intents")).json()
    assert (found["version"], found["problem"]) == (version, None)
    labels = {item.pop("label"): item for item in found["labels"]}
    assert list(labels) == sorted([*TEXTS, "parking"])
    tested = {figures.label: figures for figures in trained().figures.labels}
    assert labels["thanks"] == {
        "known": True,
        "figures": vars(tested["thanks"]),
        "action": THANKS,
    }
    assert labels["refund_status"]["action"] is None
    assert labels["parking"] == {"known": False, "figures": None, "action": THANKS}


async def test_a_prediction_has_its_ranking_and_action(admin: httpx.AsyncClient, version: str):
    await admin.put("/api/intents/thanks/action", json=THANKS)
    found = (await admin.get("/api/intents/predict", params={"q": "谢谢你啊"})).json()
    (expected,) = trained().classifier.classify(["谢谢你啊"], HashingEncoder().encode(["谢谢你啊"]))
    assert found["label"] == "thanks"
    assert found["score"] == pytest.approx(expected.score, abs=1e-2)
    assert found["out_of_scope"] == pytest.approx(expected.out_of_scope, abs=1e-2)
    assert found["ranking"][0]["label"] == "thanks"
    assert sorted(item["label"] for item in found["ranking"]) == sorted(TEXTS)
    assert found["action"] == THANKS
    strange = (await admin.get("/api/intents/predict", params={"q": "月亮有多远"})).json()
    assert (strange["label"], strange["action"]) == ("oos", None)


@pytest.mark.parametrize("query", ["", "?q=", f"?q={'a' * 4001}"])
async def test_a_prediction_needs_a_message(admin: httpx.AsyncClient, query: str):
    is_problem(await admin.get(f"/api/intents/predict{query}"), 422, "invalid_input")


@pytest.mark.parametrize("text", ["a" * 4000, " ", "\x00", "😀"])
async def test_any_message_is_predicted(admin: httpx.AsyncClient, version: str, text: str):
    response = await admin.get("/api/intents/predict", params={"q": text})
    assert response.status_code == 200, response.text


async def test_bytes_that_are_no_text_are_predicted_too(admin: httpx.AsyncClient, version: str):
    assert (await admin.get("/api/intents/predict?q=%ff%ed%a0%80")).status_code == 200


# Versions.


async def test_versions_are_listed_and_used(
    admin: httpx.AsyncClient, intents: Intents, version: str
):
    second = add_model(intents.versions, "thanks", "human_agent", activate=False)
    listed = {
        v["version"]: v for v in (await admin.get("/api/intents/versions")).json()["versions"]
    }
    assert {id_: v["active"] for id_, v in listed.items()} == {version: True, second: False}
    assert listed[second] == {
        "version": second,
        "active": False,
        "kind": "kernel",
        "created_at": listed[second]["created_at"],
        "labels": 2,
        "examples": trained("thanks", "human_agent").examples,
        "accuracy": round(trained("thanks", "human_agent").figures.accuracy, 4),
        "problem": None,
    }
    assert (await admin.post(f"/api/intents/versions/{second}/use")).status_code == 204
    found = (await admin.get("/api/intents")).json()
    assert found["version"] == second
    assert [item["label"] for item in found["labels"]] == ["human_agent", "thanks"]


@pytest.mark.parametrize("name", ["nothing", ".draft", "..%2F..", "%00", "x" * 300, "%ff"])
async def test_an_unknown_version_cannot_be_used(
    admin: httpx.AsyncClient, intents: Intents, version: str, name: str
):
    response = await admin.post(f"/api/intents/versions/{name}/use")
    is_problem(response, 404, "not_found")
    assert intents.version == version


async def test_a_damaged_version_is_refused_and_nothing_changes(
    admin: httpx.AsyncClient, intents: Intents, version: str
):
    bad = add_model(intents.versions, activate=False)
    damage(intents.versions.folder_of(bad))
    before = intents.versions.current()
    response = await admin.post(f"/api/intents/versions/{bad}/use")
    is_problem(response, 500, "model_corrupt", bad, "kefu intent rollback")
    assert intents.versions.current() == before
    found = (await admin.get("/api/intents")).json()
    assert (found["version"], found["problem"]) == (version, None)


async def test_a_damaged_version_that_is_chosen_elsewhere_shows_as_a_problem(
    admin: httpx.AsyncClient, intents: Intents, version: str
):
    bad = add_model(intents.versions)
    (intents.versions.folder_of(bad) / "model.json").write_text("{")
    await intents.refresh()
    found = (await admin.get("/api/intents")).json()
    assert found["version"] == version
    assert bad in found["problem"]
    listed = {
        v["version"]: v for v in (await admin.get("/api/intents/versions")).json()["versions"]
    }
    assert "damaged" in listed[bad]["problem"]
    assert listed[bad]["kind"] is None


# Actions.

LABELS = (
    "thanks",
    "weather/find",
    "退款",
    "a b",
    "versions",
    "predict",
    "a/action",
    "50%",
    "x" * 64,
)


@pytest.mark.parametrize("label", LABELS)
async def test_an_action_is_set_and_removed(admin: httpx.AsyncClient, intents: Intents, label: str):
    path = f"/api/intents/{quote(label, safe='')}/action"
    assert (await admin.put(path, json=THANKS)).status_code == 204
    assert intents.actions.keys() == {label}
    again = {"kind": "link", "reply_en": "See", "url": "https://shop.example/?a=b"}
    assert (await admin.put(path, json=again)).status_code == 204
    (item,) = (await admin.get("/api/intents")).json()["labels"]
    assert (item["label"], item["action"]) == (label, {"reply_zh": "", **again})
    assert (await admin.delete(path)).status_code == 204
    assert intents.actions == {}
    is_problem(await admin.delete(path), 404, "not_found", label)


@pytest.mark.parametrize("label", ["", "%20", "x" * 65, "oos", "a%00b", "a%09b"])
async def test_a_label_that_cannot_be_is_refused(
    admin: httpx.AsyncClient, intents: Intents, label: str
):
    response = await admin.put(f"/api/intents/{label}/action", json=THANKS)
    is_problem(response, 422, "invalid_input")
    assert intents.actions == {}


BAD_BODIES: dict[str, Any] = {
    "no object": [],
    "nothing": {},
    "no kind": {"reply_zh": "好"},
    "another kind": {**THANKS, "kind": "dance"},
    "nothing to say": {"kind": "reply"},
    "not a text": {"kind": "reply", "reply_zh": 1},
    "a long reply": {"kind": "reply", "reply_en": "a" * 2001},
    "more than we know": {**THANKS, "reply_fr": "de rien"},
    "a link without address": {"kind": "link", "reply_en": "See"},
    "only an address": {"kind": "link", "url": "https://shop.example"},
    "a script": {"kind": "link", "reply_en": "See", "url": "javascript:alert(1)"},
    "no host": {"kind": "link", "reply_en": "See", "url": "https:///a"},
    "spaces": {"kind": "link", "reply_en": "See", "url": "https://shop.example/a b"},
    "a long address": {"kind": "link", "reply_en": "See", "url": "https://a.b/" + "a" * 500},
    "an address that has no use": {**THANKS, "url": "https://shop.example"},
    "a handoff with address": {**THANKS, "kind": "handoff", "url": "https://shop.example"},
    "half a character": {"kind": "reply", "reply_zh": "\ud800"},
    "half a character in the address": {**THANKS, "kind": "link", "url": "https://a.b/\udfff"},
    "NUL": {"kind": "reply", "reply_zh": "a\x00"},
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_an_action_that_cannot_be_is_refused_with_a_reason(
    admin: httpx.AsyncClient, intents: Intents, name: str
):
    content = json.dumps(BAD_BODIES[name])
    headers = {"Content-Type": "application/json"}
    response = await admin.put("/api/intents/thanks/action", content=content, headers=headers)
    is_problem(response, 422, "invalid_input")
    assert response.json()["detail"]
    assert intents.actions == {}


@pytest.mark.parametrize("content", [b"", b"{", b"\xff"])
async def test_bytes_that_are_no_action_are_refused(admin: httpx.AsyncClient, content: bytes):
    response = await admin.put("/api/intents/thanks/action", content=content)
    assert response.status_code in (400, 422)
    assert response.headers["content-type"] == "application/problem+json"


async def test_an_action_answers_at_once(admin: httpx.AsyncClient, version: str):
    before = (await admin.post("/chat", json={"uid": "u", "message": "谢谢"})).json()
    assert (before["intent"]["label"], before["source"]) == ("thanks", "handoff")
    await admin.put("/api/intents/thanks/action", json=THANKS)
    body = {"uid": "u", "message": "谢谢"}
    after = (await admin.post("/chat", json=body)).json()
    assert (after["reply"], after["source"]) == (THANKS["reply_zh"], "canned")
    assert after["intent"]["label"] == "thanks"
    streamed = (await admin.post("/chat", json={**body, "stream": True})).text
    assert THANKS["reply_zh"] in streamed
    openai = {"messages": [{"role": "user", "content": "thank you"}]}
    answer = (await admin.post("/v1/chat/completions", json=openai)).json()
    assert answer["choices"][0]["message"]["content"] == THANKS["reply_en"]
