"""OpenAI's shapes. `tests/e2e` drives the same with the official client."""

from __future__ import annotations

import json

import httpx
import pytest

from kefu.errors import GeneratorUnavailable, Overloaded
from kefu.moderation.categories import Category, Severity
from tests.fakes import ScriptedGenerator

NEAR = "你们运费是多少"


@pytest.fixture(autouse=True)
async def knowledge(client: httpx.AsyncClient, app) -> None:
    from kefu.knowledge.entry import Entry

    entry = Entry("fee", "运费是多少", "运费8元。", tags=("delivery",), language="zh")
    await app.state.services.knowledge.import_entries([entry])


def asked(*texts: str, **extra) -> dict:
    roles = ("user", "assistant")
    messages = [{"role": roles[i % 2], "content": text} for i, text in enumerate(texts)]
    return {"model": "kefu", "messages": messages, **extra}


async def test_a_completion_has_openais_shape(client: httpx.AsyncClient):
    response = await client.post("/v1/chat/completions", json=asked("运费是多少"))
    body = response.json()
    assert body["object"] == "chat.completion"
    assert body["choices"][0]["message"] == {
        "role": "assistant",
        "content": "运费8元。",
        "refusal": None,
    }
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"] == {"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}
    assert body["kefu"]["source"] == "faq"


async def test_a_stream_ends_with_usage_and_done(client: httpx.AsyncClient):
    body = asked(NEAR, stream=True, stream_options={"include_usage": True})
    response = await client.post("/v1/chat/completions", json=body)
    *lines, done = [line for line in response.text.split("\n\n") if line]
    assert done == "data: [DONE]"
    chunks = [json.loads(line.removeprefix("data: ")) for line in lines]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert chunks[0]["choices"][0]["delta"]["role"] == "assistant"
    assert chunks[-2]["choices"][0]["finish_reason"] == "stop"
    assert chunks[-1]["choices"] == []
    assert chunks[-1]["usage"]["completion_tokens"] == 3


async def test_with_a_user_the_desk_remembers_without_one_the_caller_does(
    client: httpx.AsyncClient, generator: ScriptedGenerator
):
    await client.post("/v1/chat/completions", json=asked("运费是多少", user="ann"))
    await client.post("/v1/chat/completions", json=asked(NEAR, user="ann"))
    assert "顾客：运费是多少\n" in (generator.prompts[-1].text or "")
    await client.post("/v1/chat/completions", json=asked(NEAR))
    assert "顾客：运费是多少\n" not in (generator.prompts[-1].text or "")
    await client.post("/v1/chat/completions", json=asked("前面的话", "前面的答", NEAR))
    assert "顾客：前面的话\n" in (generator.prompts[-1].text or "")


@pytest.mark.parametrize(
    ("severity", "source"), [(Severity.HIGH, "blocked"), (Severity.MEDIUM, "held")]
)
async def test_what_moderation_keeps_back_ends_with_content_filter(
    client: httpx.AsyncClient, app, severity: Severity, source: str
):
    moderation = app.state.services.moderation
    await moderation.add_word("黑灵药", Category.CONTRABAND, severity, "test")
    body = asked("你们卖黑灵药吗")
    whole = (await client.post("/v1/chat/completions", json=body)).json()
    assert whole["choices"][0]["finish_reason"] == "content_filter"
    assert whole["choices"][0]["message"]["content"]
    assert whole["kefu"]["source"] == source
    streamed = await client.post("/v1/chat/completions", json=body | {"stream": True})
    *_, last, done = streamed.text.strip().split("\n\n")
    assert json.loads(last.removeprefix("data: "))["choices"][0]["finish_reason"] == (
        "content_filter"
    )
    assert done == "data: [DONE]"


async def test_parts_of_text_are_joined(client: httpx.AsyncClient):
    parts = [{"type": "text", "text": "运费"}, {"type": "text", "text": "是多少"}]
    body = {"messages": [{"role": "user", "content": parts}]}
    response = await client.post("/v1/chat/completions", json=body)
    assert response.json()["choices"][0]["message"]["content"] == "运费8元。"


BAD = {
    "no messages": {"messages": []},
    "the assistant speaks last": asked("a", "b"),
    "empty": asked(""),
    "NUL": asked("a\x00"),
    "too long": asked("长" * 4001),
    "an image": {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
    "two choices": asked("hi", n=2),
    "blank user": asked("hi", user=" "),
}


@pytest.mark.parametrize("name", BAD)
async def test_bad_requests_get_openais_error_object(client: httpx.AsyncClient, name: str):
    response = await client.post("/v1/chat/completions", json=BAD[name])
    assert response.status_code == 422
    error = response.json()["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["type"] == "invalid_request_error"
    assert error["message"]


async def test_failures_before_and_after_the_first_byte(
    client: httpx.AsyncClient, generator: ScriptedGenerator
):
    generator.error = Overloaded("full")
    response = await client.post("/v1/chat/completions", json=asked(NEAR))
    assert response.status_code == 503
    assert response.headers["retry-after"]
    generator.error = GeneratorUnavailable("llama.cpp stopped")
    response = await client.post("/v1/chat/completions", json=asked(NEAR, stream=True))
    last = response.text.strip().split("\n\n")[-1]
    assert json.loads(last.removeprefix("data: "))["error"]["code"] == "generator_unavailable"


async def test_models(client: httpx.AsyncClient):
    (model,) = (await client.get("/v1/models")).json()["data"]
    assert (await client.get(f"/v1/models/{model['id']}")).json() == model
    missing = await client.get("/v1/models/gpt-4")
    assert missing.status_code == 404
    assert missing.json()["error"]["code"] == "not_found"
