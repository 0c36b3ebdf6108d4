"""The official `openai` client against a real desk, unchanged."""

from __future__ import annotations

from collections.abc import Iterator

import openai
import pytest

from tests.e2e.conftest import NewDesk
from tests.e2e.desk_process import DeskProcess
from tests.e2e.folders import FAQ

pytestmark = pytest.mark.models


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def client(camp: DeskProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{camp.origin}/v1", api_key="none", max_retries=0) as client:
        yield client


def asked(text: str) -> list[dict[str, str]]:
    return [{"role": "user", "content": text}]


def test_models(client: openai.OpenAI):
    assert [model.id for model in client.models.list()] == ["kefu"]
    assert client.models.retrieve("kefu").owned_by == "kefu"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("gpt-4")


def test_a_known_question_costs_no_tokens(client: openai.OpenAI):
    answer = client.chat.completions.create(model="kefu", messages=asked(FAQ[0]))
    assert answer.choices[0].message.content == FAQ[1]
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage
    assert answer.usage.total_tokens == 0
    assert answer.model_extra
    assert answer.model_extra["kefu"]["source"] == "faq"


def test_a_written_answer_counts_its_tokens(client: openai.OpenAI, long_question: str):
    answer = client.chat.completions.create(model="kefu", messages=asked(long_question))
    assert answer.choices[0].message.content
    assert answer.usage
    assert answer.usage.prompt_tokens > 0
    assert answer.usage.completion_tokens > 0
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens


@pytest.mark.parametrize("include_usage", [True, False])
def test_a_stream(client: openai.OpenAI, long_question: str, include_usage: bool):
    options = {"stream_options": {"include_usage": True}} if include_usage else {}
    chunks = list(
        client.chat.completions.create(
            model="kefu", messages=asked(long_question), stream=True, **options
        )
    )
    said = [chunk.choices[0] for chunk in chunks if chunk.choices]
    assert said[0].delta.role == "assistant"
    assert "".join(choice.delta.content or "" for choice in said)
    assert [choice.finish_reason for choice in said] == [None] * (len(said) - 1) + ["stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    if include_usage:
        assert chunks[-1].choices == []
        assert chunks[-1].usage
        assert chunks[-1].usage.completion_tokens > 0
    else:
        assert all(chunk.usage is None for chunk in chunks)


def test_the_words_of_a_stream_are_those_of_the_plain_answer(client: openai.OpenAI):
    stream = client.chat.completions.create(model="kefu", messages=asked(FAQ[0]), stream=True)
    said = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
    assert said == FAQ[1]


def test_a_user_is_remembered(client: openai.OpenAI, camp: DeskProcess):
    for text in (FAQ[0], "帐篷怎么搭建？"):
        client.chat.completions.create(model="kefu", user="openai-ann", messages=asked(text))
    history = camp.get("/chat/history", params={"uid": "openai-ann"}).json()["turns"]
    assert [turn["question"] for turn in history] == [FAQ[0], "帐篷怎么搭建？"]


def test_without_a_user_the_messages_are_the_talk(client: openai.OpenAI):
    """What is not near anything alone is near something after the question before it."""
    alone = client.chat.completions.create(model="kefu", messages=asked("为什么"))
    talk = [
        {"role": "system", "content": "Be brief."},
        *asked("炉头怎么用？"),
        {"role": "assistant", "content": FAQ[1]},
        *asked("为什么"),
    ]
    after = client.chat.completions.create(model="kefu", messages=talk)
    assert alone.model_extra
    assert after.model_extra
    assert alone.model_extra["kefu"]["citations"] == []
    assert [cited["id"] for cited in after.model_extra["kefu"]["citations"]] == ["stove"]


@pytest.mark.parametrize(
    "body",
    [
        {"messages": []},
        {"messages": asked("")},
        {"messages": asked("长" * 4001)},
        {"messages": [{"role": "assistant", "content": "hi"}]},
        {"messages": [{"role": "wizard", "content": "hi"}]},
        {"messages": asked("hi"), "n": 2},
        {"messages": asked("hi"), "max_tokens": 0},
    ],
)
def test_what_cannot_be_taken_is_a_client_error(client: openai.OpenAI, body: dict):
    with pytest.raises(openai.UnprocessableEntityError) as refused:
        client.chat.completions.create(model="kefu", **body)
    assert refused.value.code == "invalid_input"
    assert refused.value.message
    assert refused.value.request_id


def test_a_key_is_sent_where_one_is_needed(new_desk: NewDesk):
    desk = new_desk(arguments=("--demo", "--host", "0.0.0.0")).start()
    base = f"{desk.origin}/v1"
    with (
        openai.OpenAI(base_url=base, api_key="wrong", max_retries=0) as stranger,
        pytest.raises(openai.AuthenticationError) as refused,
    ):
        stranger.chat.completions.create(model="kefu", messages=asked("你好"))
    assert refused.value.code == "unauthorized"
    with openai.OpenAI(base_url=base, api_key=desk.key("chat"), max_retries=0) as customer:
        answer = customer.chat.completions.create(model="kefu", messages=asked("你好"))
    assert answer.choices[0].message.content


async def test_the_async_client(camp: DeskProcess):
    async with openai.AsyncOpenAI(base_url=f"{camp.origin}/v1", api_key="none") as client:
        stream = await client.chat.completions.create(
            model="kefu", messages=asked(FAQ[0]), stream=True
        )
        said = [chunk.choices[0].delta.content or "" async for chunk in stream]
    assert "".join(said) == FAQ[1]
