"""`POST /chat` and `/chat/history` of a whole desk."""

from __future__ import annotations

import asyncio
import json

import httpx
import pytest

from kefu.errors import GeneratorUnavailable
from tests.fakes import ScriptedGenerator

NEAR = "你们运费是多少"
FAQ = '{"id": "fee", "question": "运费是多少", "answer": "运费8元。", "tags": ["delivery"]}\n'


@pytest.fixture(autouse=True)
async def knowledge(client: httpx.AsyncClient, app) -> None:
    key = app.state.services.keys.create("admin")
    response = await client.post(
        "/api/knowledge/import?name=faq.jsonl",
        content=FAQ,
        headers={"Authorization": f"Bearer {key}"},
    )
    assert response.status_code == 200, response.text
    assert response.json()["added"] == 1


def events(text: str) -> list[tuple[str, dict]]:
    blocks = [block.splitlines() for block in text.strip().split("\n\n")]
    return [
        (lines[0].removeprefix("event: "), json.loads(lines[1].removeprefix("data: ")))
        for lines in blocks
    ]


async def test_a_plain_reply_has_the_contracts_shape(client: httpx.AsyncClient):
    response = await client.post("/chat", json={"uid": "u", "message": "运费是多少"})
    assert response.status_code == 200
    body = response.json()
    assert body.keys() == {
        "reply", "intent", "source", "citations", "confidence",
        "choices", "conversation_id", "turn_id",
        "timings_ms",
    }  # fmt: skip
    assert body["reply"] == "运费8元。"
    assert body["source"] == "faq"
    assert body["citations"] == [{"id": "fee", "title": "运费是多少", "score": 1.0}]
    assert body["intent"] == {"label": "delivery", "score": 1.0}


async def test_a_stream_has_deltas_and_one_done(client: httpx.AsyncClient):
    body = {"uid": "u", "message": NEAR, "stream": True}
    response = await client.post("/chat", json=body)
    assert response.headers["content-type"].startswith("text/event-stream")
    *deltas, (last, done) = events(response.text)
    assert last == "done"
    assert {name for name, _ in deltas} == {"delta"}
    assert "".join(data["text"] for _, data in deltas) == done["reply"] == "运费8元。"
    assert done["source"] == "model"


async def test_a_stream_tells_where_the_answer_waits_in_line(
    client: httpx.AsyncClient, generator: ScriptedGenerator
):
    generator.positions = (1,)
    response = await client.post("/chat", json={"uid": "u", "message": NEAR, "stream": True})
    assert response.text.startswith('event: queue\ndata: {"position":1}\n\nevent: delta\n')
    chunks = await client.post(
        "/v1/chat/completions",
        json={"model": "kefu", "messages": [{"role": "user", "content": NEAR}], "stream": True},
    )
    assert "position" not in chunks.text


async def test_a_failed_stream_ends_in_an_error_event(
    client: httpx.AsyncClient, generator: ScriptedGenerator
):
    generator.error = GeneratorUnavailable("llama.cpp stopped while it wrote.")
    response = await client.post("/chat", json={"uid": "u", "message": NEAR, "stream": True})
    assert response.status_code == 200
    name, problem = events(response.text)[-1]
    assert name == "error"
    assert problem["status"] == 503
    assert problem["code"] == "generator_unavailable"
    assert problem["retry_after"] == 5


async def test_a_failed_plain_reply_is_a_problem_document(
    client: httpx.AsyncClient, generator: ScriptedGenerator
):
    generator.error = GeneratorUnavailable("llama.cpp stopped while it wrote.")
    response = await client.post("/chat", json={"uid": "u", "message": NEAR})
    assert response.status_code == 503
    assert response.headers["content-type"] == "application/problem+json"
    assert response.headers["retry-after"] == "5"
    assert response.json()["detail"] == "llama.cpp stopped while it wrote."


async def test_an_error_nobody_expected_tells_the_customer_nothing_of_it(
    client: httpx.AsyncClient, generator: ScriptedGenerator
):
    generator.error = RuntimeError("secret path /home/operator")
    response = await client.post("/chat", json={"uid": "u", "message": NEAR, "stream": True})
    name, problem = events(response.text)[-1]
    assert (name, problem["code"]) == ("error", "internal")
    assert "secret" not in response.text


async def test_heartbeats_fill_a_silent_stream(settings, generator: ScriptedGenerator):
    from kefu.http.sse import HEARTBEAT, with_heartbeat

    release = asyncio.Event()

    async def slow():
        yield "first"
        await release.wait()
        yield "second"

    stream = with_heartbeat(slow(), 0.01)
    assert await anext(stream) == "first"
    assert await anext(stream) == HEARTBEAT
    assert await anext(stream) == HEARTBEAT
    release.set()
    rest = [item async for item in stream]
    assert [item for item in rest if item != HEARTBEAT] == ["second"]


async def test_the_same_key_is_the_same_turn(
    client: httpx.AsyncClient, generator: ScriptedGenerator
):
    headers = {"Idempotency-Key": "k1"}
    body = {"uid": "u", "message": NEAR}
    first, second = await asyncio.gather(
        *(client.post("/chat", json=body, headers=headers) for _ in range(2))
    )
    third = await client.post("/chat", json=body, headers=headers)
    assert first.json() == second.json() == third.json()
    assert len(generator.prompts) == 1
    other = await client.post("/chat", json={**body, "message": "another"}, headers=headers)
    assert other.status_code == 422
    assert other.json()["code"] == "idempotency_key_reused"


async def test_history_is_the_running_conversation(client: httpx.AsyncClient):
    for message in ("运费是多少", NEAR):
        await client.post("/chat", json={"uid": "u", "message": message})
    body = (await client.get("/chat/history", params={"uid": "u"})).json()
    assert [turn["question"] for turn in body["turns"]] == ["运费是多少", NEAR]
    assert body["turns"][0]["source"] == "faq"
    assert (await client.get("/chat/history", params={"uid": "nobody"})).json() == {"turns": []}


BAD_BODIES = {
    "empty message": ({"uid": "u", "message": ""}, 422),
    "blank message": ({"uid": "u", "message": " \n\t "}, 422),
    "no message": ({"uid": "u"}, 422),
    "no uid": ({"message": "hi"}, 422),
    "empty uid": ({"uid": "", "message": "hi"}, 422),
    "long uid": ({"uid": "u" * 129, "message": "hi"}, 422),
    "4001 characters": ({"uid": "u", "message": "长" * 4001}, 422),
    "NUL": ({"uid": "u", "message": "a\x00b"}, 422),
    "NUL in uid": ({"uid": "a\x00b", "message": "hi"}, 422),
    "wrong type": ({"uid": "u", "message": 5}, 422),
    "wrong max_tokens": ({"uid": "u", "message": "hi", "max_tokens": "9"}, 422),
    "no tokens": ({"uid": "u", "message": "hi", "max_tokens": 0}, 422),
    "too many tokens": ({"uid": "u", "message": "hi", "max_tokens": 2049}, 422),
    "wrong stream": ({"uid": "u", "message": "hi", "stream": "yes"}, 422),
    "unknown field": ({"uid": "u", "message": "hi", "temperature": 1}, 422),
    "a list": ([1, 2], 422),
    "null": (None, 422),
}


@pytest.mark.parametrize("name", BAD_BODIES)
async def test_bad_bodies_are_refused_with_a_reason(client: httpx.AsyncClient, name: str):
    body, status = BAD_BODIES[name]
    response = await client.post("/chat", content=json.dumps(body), headers=JSON)
    assert response.status_code == status
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["detail"]
    assert response.json()["code"] == "invalid_input"


JSON = {"Content-Type": "application/json"}
RAW_BODIES = {
    "lone surrogate": (b'{"uid": "u", "message": "a\\ud800b"}', 422),
    "lone surrogate in uid": (b'{"uid": "\\udfff", "message": "hi"}', 422),
    "lone surrogate as a field": (b'{"uid": "u", "message": "hi", "\\ud800": 1}', 422),
    "not JSON": (b"message=hi", 422),
    "cut off": (b'{"uid": "u", "mess', 422),
    "not UTF-8": (b'{"uid": "u", "message": "\xff\xfe"}', 400),
    "10,000 deep": (b'{"uid":' + b"[" * 10_000 + b"]" * 10_000 + b"}", 400),
    "nothing": (b"", 422),
    "1 MB": (b'{"uid": "u", "message": "' + b"a" * 1_000_000 + b'"}', 413),
    "100,000 characters": (json.dumps({"uid": "u", "message": "长" * 100_000}).encode(), 413),
    "NaN": (b'{"uid": "u", "message": "hi", "max_tokens": NaN}', 422),
    "huge number": (b'{"uid": "u", "message": "hi", "max_tokens": 1' + b"0" * 5000 + b"}", 400),
}


@pytest.mark.parametrize("name", RAW_BODIES)
async def test_bad_bytes_are_refused_and_the_desk_lives_on(client: httpx.AsyncClient, name: str):
    content, status = RAW_BODIES[name]
    response = await client.post("/chat", content=content, headers=JSON)
    assert response.status_code == status
    assert response.json()["detail"]
    after = await client.post("/chat", json={"uid": "u", "message": "运费是多少"})
    assert after.json()["source"] == "faq"


@pytest.mark.parametrize("kind", ["text/plain", "application/xml", "", None])
async def test_only_json_is_read(client: httpx.AsyncClient, kind: str | None):
    """What a page of another origin may send without being asked is no message."""
    headers = {} if kind is None else {"Content-Type": kind}
    response = await client.post("/chat", content=b'{"uid": "u", "message": "hi"}', headers=headers)
    assert response.status_code == 422
    assert "application/json" in response.json()["detail"]


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/ld+json"])
async def test_json_may_be_said_in_other_words(client: httpx.AsyncClient, kind: str):
    content = json.dumps({"uid": "u", "message": "运费是多少"}).encode()
    response = await client.post("/chat", content=content, headers={"Content-Type": kind})
    assert response.json()["source"] == "faq"


@pytest.mark.parametrize("key", ["", "k" * 256])
async def test_a_key_of_no_length_or_too_long_is_refused(client: httpx.AsyncClient, key: str):
    body = {"uid": "u", "message": "运费是多少"}
    response = await client.post("/chat", json=body, headers={"Idempotency-Key": key})
    assert response.status_code == 422
    (problem,) = response.json()["errors"]
    assert problem["where"] == "header.idempotency-key"


async def test_a_body_without_a_declared_length_is_limited_too(client: httpx.AsyncClient):
    async def endless():
        for _ in range(1000):
            yield b"a" * 1024

    response = await client.post("/chat", content=endless(), headers=JSON)
    assert response.status_code == 413
    assert response.json()["code"] == "body_too_large"


async def test_unknown_paths_and_methods_are_problem_documents(client: httpx.AsyncClient):
    for response in (await client.get("/nowhere"), await client.get("/chat")):
        assert response.headers["content-type"] == "application/problem+json"
    assert response.status_code == 405
    assert "POST" in response.headers["allow"]
