import asyncio
import time
from contextlib import aclosing

import httpx
import pytest

from kefu.errors import GeneratorUnavailable, Overloaded
from kefu.inference.generator.openai_client import OpenAICompatible
from kefu.inference.generator.protocol import Piece, Prompt, Usage

from .conftest import write
from .upstream import Wire, event


@pytest.fixture
async def connect(metrics):
    """Makes clients for a scripted server and closes them."""
    made = []

    def make(server, **given):
        client = OpenAICompatible(server.url, metrics=metrics, **given)
        made.append(client)
        return client

    yield make
    for client in made:
        await client.aclose()


async def say_hello(wire: Wire) -> None:
    await wire.head()
    await wire.text("你好", "，", "欢迎")
    await wire.end({"prompt_tokens": 12, "completion_tokens": 3})


async def hang_up(wire: Wire) -> None:
    wire.reset()


async def test_pieces_then_the_reason_and_the_count(upstream, connect):
    client = connect(await upstream(say_hello))

    pieces = await write(client)

    assert [piece.text for piece in pieces] == ["你好", "，", "欢迎", ""]
    last = pieces[-1]
    assert last.finish_reason == "stop"
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (12, 3)
    assert last.usage.cached_tokens is None
    assert last.usage.tokens_per_second > 0


async def test_only_the_fields_we_chose_are_sent(upstream, connect):
    server = await upstream(say_hello)
    client = connect(server, api_key="secret", model="qwen", temperature=0.5)

    await write(client, Prompt(text="资料", stop=("\n",)), max_tokens=9)

    (request,) = server.requests
    assert request.path == "/v1/completions"
    assert request.headers["authorization"] == "bearer secret"
    assert request.body == {
        "model": "qwen",
        "prompt": "资料",
        "stop": ["\n"],
        "max_tokens": 9,
        "temperature": 0.5,
        "stream": True,
        "stream_options": {"include_usage": True},
    }


async def test_our_own_child_is_asked_for_more(upstream, connect):
    server = await upstream(say_hello)

    await write(connect(server, is_llama_child=True))

    (request,) = server.requests
    assert request.body["cache_prompt"] is True
    assert request.body["return_progress"] is True
    assert request.headers["connection"] == "close"


async def test_a_router_is_told_of_the_customer_and_our_own_child_is_not(upstream, connect):
    server = await upstream(say_hello)
    for is_child in (False, True):
        client = connect(server, is_llama_child=is_child)
        async with aclosing(client.stream(Prompt(text="x"), max_tokens=1, session="ann")) as pieces:
            assert [piece async for piece in pieces]

    remote, child = server.requests
    assert remote.headers["x-session-id"] == remote.headers["x-smg-routing-key"] != "ann"
    assert not {"x-session-id", "x-smg-routing-key"} & child.headers.keys()
    assert "ann" not in str(remote)


async def test_chat_messages(upstream, connect):
    async def chat(wire: Wire) -> None:
        await wire.head()
        await wire.event({"choices": [{"delta": {"role": "assistant", "content": None}}]})
        await wire.event({"choices": [{"delta": {"content": "好的"}, "finish_reason": None}]})
        await wire.event({"choices": [{"delta": {}, "finish_reason": "length"}]})
        await wire.event({"choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 1}})
        await wire.raw(b"data: [DONE]\n\n")

    server = await upstream(chat)
    pieces = await write(connect(server), Prompt(messages=({"role": "user", "content": "在吗"},)))

    assert server.requests[0].path == "/v1/chat/completions"
    assert server.requests[0].body["messages"] == [{"role": "user", "content": "在吗"}]
    assert pieces == [Piece("好的"), Piece("", Usage(5, 1, None, None), "length")]


async def test_what_llama_cpp_measures_is_passed_on(upstream, connect, metrics):
    async def timed(wire: Wire) -> None:
        await wire.head()
        await wire.event({"choices": [{"text": ""}], "prompt_progress": {"processed": 6}})
        await wire.text("好")
        counted = {"prompt_tokens": 8, "completion_tokens": 1}
        counted["prompt_tokens_details"] = {"cached_tokens": 6}
        await wire.event(
            {
                "choices": [{"text": "", "finish_reason": "stop"}],
                "usage": counted,
                "timings": {"predicted_per_second": 41.5},
            }
        )
        await wire.raw(b"data: [DONE]\n\n")

    pieces = await write(connect(await upstream(timed)))

    assert pieces == [Piece("好"), Piece("", Usage(8, 1, 41.5, 6), "stop")]
    sample = metrics.registry.get_sample_value
    assert sample("kefu_generator_tokens_total", {"direction": "read"}) == 8
    assert sample("kefu_generator_tokens_total", {"direction": "written"}) == 1


async def test_characters_cut_by_packets_are_whole(upstream, connect):
    async def cut(wire: Wire) -> None:
        await wire.head()
        for byte in event({"choices": [{"text": "退货🙂"}]}):
            await wire.raw(bytes([byte]))
        await wire.end()

    pieces = await write(connect(await upstream(cut)))

    assert "".join(piece.text for piece in pieces) == "退货🙂"


@pytest.mark.parametrize("is_llama_child", [True, False])
async def test_a_connection_lost_before_the_first_token_is_tried_once_more(
    upstream, connect, is_llama_child
):
    async def lost_before_text(wire: Wire) -> None:
        await wire.head()
        await wire.event({"choices": [{"text": ""}], "prompt_progress": {"processed": 6}})
        wire.reset()

    for first in (hang_up, lost_before_text):
        server = await upstream(first, say_hello)
        pieces = await write(connect(server, is_llama_child=is_llama_child))
        assert pieces[0].text == "你好"
        assert len(server.requests) == 2


async def test_it_is_not_tried_a_third_time(upstream, connect):
    server = await upstream(hang_up)

    with pytest.raises(GeneratorUnavailable, match="closed the connection"):
        await write(connect(server))
    assert len(server.requests) == 2


async def test_a_connection_lost_after_the_first_token_is_an_error(upstream, connect, metrics):
    async def lost(wire: Wire) -> None:
        await wire.head()
        await wire.text("你好")
        wire.reset()

    server = await upstream(lost, say_hello)
    heard = []
    with pytest.raises(GeneratorUnavailable) as caught:
        await write(connect(server), heard=heard)

    assert heard == [Piece("你好")]
    assert caught.value.__cause__ is not None
    assert len(server.requests) == 1
    written = {"direction": "written"}
    assert metrics.registry.get_sample_value("kefu_generator_tokens_total", written) == 1


async def test_a_stream_that_just_stops_is_not_a_short_answer(upstream, connect):
    async def stop(wire: Wire) -> None:
        await wire.head()
        await wire.text("半")
        wire.writer.write(b"0\r\n\r\n")

    with pytest.raises(GeneratorUnavailable, match="before the answer was complete"):
        await write(connect(await upstream(stop)))


async def test_a_finish_reason_ends_an_answer_without_done(upstream, connect):
    async def no_done(wire: Wire) -> None:
        await wire.head()
        await wire.text("好")
        await wire.raw(event({"choices": [{"text": "", "finish_reason": "stop"}]}).rstrip())
        wire.writer.write(b"0\r\n\r\n")

    pieces = await write(connect(await upstream(no_done)))

    assert pieces == [Piece("好"), Piece("", None, "stop")]


@pytest.mark.parametrize(
    "told",
    [
        {"error": {"message": "the prompt was 我的密码", "type": "server_error"}},
        {"object": "error", "message": "the prompt was 我的密码", "type": "server_error"},
    ],
)
async def test_an_error_event_ends_the_answer_and_quotes_nothing(upstream, connect, told):
    async def fail(wire: Wire) -> None:
        await wire.head()
        await wire.text("好")
        await wire.event(told)

    with pytest.raises(GeneratorUnavailable, match="server_error") as caught:
        await write(connect(await upstream(fail)))
    assert "密码" not in str(caught.value)


async def test_an_overload_event(upstream, connect):
    async def fail(wire: Wire) -> None:
        await wire.head()
        await wire.event({"error": {"type": "rate_limit_exceeded"}})

    with pytest.raises(Overloaded):
        await write(connect(await upstream(fail)))


async def test_an_event_that_is_not_json(upstream, connect):
    async def babble(wire: Wire) -> None:
        await wire.head()
        await wire.raw(b"data: <html>\n\n")

    with pytest.raises(GeneratorUnavailable, match="not JSON"):
        await write(connect(await upstream(babble)))


@pytest.mark.parametrize(
    ("status", "body", "advice"),
    [
        (401, b'{"error": {"type": "authentication_error"}}', "generator.api_key"),
        (404, b"nothing here", "generator.upstream_model"),
        (400, b'{"error": {"type": "exceed_context_size_error"}}', "chat_context_tokens"),
        (503, b'{"error": {"type": "unavailable_error", "message": "Loading"}}', "unavailable"),
        (500, b"[1, 2]", "Its log says more"),
        (500, b'{"error": "' + b"x" * 200_000 + b'"}', "Its log says more"),
        (302, b"", "302"),
    ],
)
async def test_a_refusal_says_what_to_do(upstream, connect, status, body, advice):
    server = await upstream(lambda wire: wire.refuse(status, body))

    with pytest.raises(GeneratorUnavailable) as caught:
        await write(connect(server))
    assert advice in str(caught.value)
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", [429, 503])
async def test_a_busy_upstream_says_when_to_come_back(upstream, connect, status):
    server = await upstream(lambda wire: wire.refuse(status, b"", b"Retry-After: 17\r\n"))

    with pytest.raises(Overloaded) as caught:
        await write(connect(server))
    assert caught.value.retry_after_seconds == 17


async def test_a_server_that_dies_as_it_is_reached_is_away(upstream, connect, monkeypatch):
    """anyio asks for the address of a socket that is gone already."""

    async def send(*_, **__):
        raise AttributeError("'NoneType' object has no attribute 'getpeername'")

    client = connect(await upstream(say_hello))
    monkeypatch.setattr(httpx.AsyncClient, "send", send)
    with pytest.raises(GeneratorUnavailable, match="reset as it was made"):
        await write(client)
    with pytest.raises(GeneratorUnavailable, match="reset as it was made"):
        await client.ping()


async def test_nobody_listening(upstream, connect, unused_tcp_port):
    server = await upstream(say_hello)
    server.url = f"http://user:password@127.0.0.1:{unused_tcp_port}"
    client = connect(server)

    for attempt in (write(client), client.ping()):
        with pytest.raises(GeneratorUnavailable, match="Check that it is running") as caught:
            await attempt
        assert "password" not in str(caught.value)


@pytest.mark.parametrize("noise", [b"", b": ping\n\n"])
async def test_silence_is_given_up(upstream, connect, noise):
    """Comments keep a connection open, but they are no tokens."""

    async def go_quiet(wire: Wire) -> None:
        await wire.head()
        await wire.text("好")
        while not wire.gone.is_set():
            if noise:
                await wire.raw(noise)
            await asyncio.sleep(0.01)

    client = connect(await upstream(go_quiet), idle_seconds=0.2)
    begun = time.monotonic()
    with pytest.raises(GeneratorUnavailable, match=r"nothing for 0\.2 s"):
        await write(client)
    assert time.monotonic() - begun < 5


@pytest.mark.parametrize("leave", ["break", "aclose", "cancel", "cancel before text", "forget"])
async def test_the_server_learns_at_once_that_the_customer_left(upstream, connect, leave):
    gone = asyncio.Event()
    asked = asyncio.Event()

    async def talk(wire: Wire) -> None:
        await wire.head()
        asked.set()
        while not wire.gone.is_set():
            if leave != "cancel before text":
                await wire.text("好")
            await asyncio.sleep(0.005)
        gone.set()

    client = connect(await upstream(talk))
    stream = client.stream(Prompt(text="x"), max_tokens=1000)

    if leave == "break":
        async with aclosing(stream) as pieces:
            async for _ in pieces:
                break
    elif leave == "aclose":
        await anext(stream)
        await stream.aclose()
    elif leave == "forget":
        await anext(stream)
    else:
        task = asyncio.create_task(write(client))
        await asked.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    del stream
    async with asyncio.timeout(1):
        await gone.wait()


async def test_kept_connections_are_used_again(upstream, connect):
    async def keep(wire: Wire) -> None:
        await wire.head(b"keep-alive")
        await wire.text("好")
        await wire.end()

    server = await upstream(keep, keep_alive=True)
    client = connect(server)
    for _ in range(3):
        await write(client)

    assert server.connections == 1


async def test_proxies_of_the_environment_are_not_for_loopback(upstream, connect, monkeypatch):
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")

    assert await write(connect(await upstream(say_hello)))


async def test_ping(upstream, connect):
    async def models(wire: Wire) -> None:
        await wire.refuse(200, b'{"data": []}')

    server = await upstream(models, lambda wire: wire.refuse(500, b""))
    client = connect(server)

    await client.ping()
    assert server.requests[0].path == "/v1/models"
    with pytest.raises(GeneratorUnavailable):
        await client.ping()


async def test_an_address_with_a_path_is_taken_as_it_is(upstream, connect):
    server = await upstream(say_hello)
    server.url += "/openai/"

    await write(connect(server))

    assert server.requests[0].path == "/openai/completions"


def test_a_prompt_is_text_or_messages():
    with pytest.raises(ValueError, match="either"):
        Prompt()
    with pytest.raises(ValueError, match="either"):
        Prompt(text="x", messages=({"role": "user", "content": "x"},))


async def test_many_answers_at_once_do_not_mix(upstream, connect):
    async def count(wire: Wire) -> None:
        await wire.head()
        for number in range(20):
            await wire.text(str(number))
            await asyncio.sleep(0)
        await wire.end()

    client = connect(await upstream(count))
    answers = await asyncio.gather(*(write(client) for _ in range(30)))

    expected = "".join(map(str, range(20)))
    assert {"".join(piece.text for piece in answer) for answer in answers} == {expected}
