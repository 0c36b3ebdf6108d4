"""The client for every generator: OpenAI's streaming HTTP API, spoken to our own llama.cpp child,
llama-server, vLLM, SGLang or Triton alike.

Only the fields listed in `_body` are ever sent. llama.cpp has crashed on client-sent
`chat_parser`, grammar and slot fields (docs/facts.md), so nothing of a customer's request is
passed through.
"""

from __future__ import annotations

import asyncio
import ipaddress
import json
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlsplit

import httpx

from kefu.errors import GeneratorUnavailable, Overloaded
from kefu.inference.generator.affinity import session_headers
from kefu.inference.generator.protocol import Piece, Prompt, PromptRefused, Usage
from kefu.inference.generator.sse import EventReader
from kefu.telemetry import Metrics
from kefu.tracing import outgoing_headers

CONNECT_SECONDS = 5.0
PING_SECONDS = 5.0
# llama.cpp closes an idle connection after 5 s; stop using it before that. A worker thread of
# its HTTP server is bound to every kept connection, so our own child is sent `Connection: close`:
# a new loopback connection costs 0.3 ms (loadtests/generation.py).
KEEP_ALIVE_SECONDS = 4.0
MAX_ERROR_BYTES = 64 * 1024
DRAIN_SECONDS = 0.2
# The prompt is at fault, not the server: too long, or of a form that it does not take.
_PROMPT_STATUSES = (400, 413, 422)

# The server hung up. Before the first token the request may be sent again; later it may not,
# because the customer has already read half of another answer.
_DISCONNECTS = (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError, httpx.CloseError)


class _Disconnected(GeneratorUnavailable):
    """The connection broke before the answer was complete."""


class OpenAICompatible:
    """A `Generator` at an HTTP address.

    `base_url` is what the official client calls it, `http://host:8000/v1`; without a path `/v1`
    is added. `idle_seconds` is the longest silence before and between tokens. `is_llama_child`
    adds the fields that only our own llama.cpp is sure to know.
    """

    def __init__(
        self,
        base_url: str,
        *,
        metrics: Metrics,
        api_key: str = "",
        model: str = "",
        temperature: float = 0.0,
        idle_seconds: float = 30.0,
        is_llama_child: bool = False,
    ) -> None:
        self._base_url = _with_version(base_url)
        self._host = urlsplit(base_url).netloc.rpartition("@")[2]  # in messages: no password
        self._metrics = metrics
        self._model = model
        self._temperature = temperature
        self._idle_seconds = idle_seconds
        self._is_llama_child = is_llama_child
        headers = {"Accept": "text/event-stream", "Accept-Encoding": "identity"}
        if api_key:
            headers["Authorization"] = f"Bearer {api_key}"
        self._fresh = self._client({**headers, "Connection": "close"}, kept=0)
        self._kept = self._fresh if is_llama_child else self._client(headers, kept=20)

    async def stream(
        self, prompt: Prompt, *, max_tokens: int, session: str = ""
    ) -> AsyncGenerator[Piece, None]:
        """Write an answer; a connection lost before the first token is tried once more."""
        path, body = self._body(prompt, max_tokens)
        headers = {} if self._is_llama_child else session_headers(session)
        begun = False
        try:
            async with aclosing(self._stream_once(self._kept, path, body, headers)) as pieces:
                async for piece in pieces:
                    begun = True
                    yield piece
            return
        except _Disconnected:
            if begun:
                raise
        async with aclosing(self._stream_once(self._fresh, path, body, headers)) as pieces:
            async for piece in pieces:
                yield piece

    async def ping(self) -> None:
        url = f"{self._base_url}/models"
        with_limit = httpx.Timeout(PING_SECONDS)
        try:
            request = self._fresh.build_request("GET", url, timeout=with_limit)
            async with aclosing(await _sent(self._fresh, request)) as response:
                body = await response.aread()
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error
        if not response.is_success:
            raise _refusal(self._host, response, body)

    async def aclose(self) -> None:
        await self._kept.aclose()
        await self._fresh.aclose()

    def _client(self, headers: dict[str, str], *, kept: int) -> httpx.AsyncClient:
        """The places in `Admission` bound the number of connections, so the client does not."""
        local = _is_loopback(self._base_url)
        return httpx.AsyncClient(
            headers=headers,
            timeout=httpx.Timeout(self._idle_seconds, connect=CONNECT_SECONDS, pool=None),
            limits=httpx.Limits(
                max_connections=None,
                max_keepalive_connections=kept,
                keepalive_expiry=KEEP_ALIVE_SECONDS,
            ),
            # A proxy of the environment is for the outside world, and cannot reach our loopback.
            trust_env=not local,
            # Reading the certificate store takes 20 ms, for nothing where there is no TLS.
            verify=self._base_url.startswith("https"),
        )

    def _body(self, prompt: Prompt, max_tokens: int) -> tuple[str, dict[str, Any]]:
        body: dict[str, Any] = {
            "max_tokens": max_tokens,
            "temperature": self._temperature,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        if self._model:
            body["model"] = self._model
        if prompt.stop:
            body["stop"] = list(prompt.stop)
        if self._is_llama_child:
            body["cache_prompt"] = True
            # llama.cpp notices that a client has gone only when it writes to it. While it reads
            # a prompt it writes nothing but this: without it a long prompt is read to the end
            # for nobody (5 s for 1,700 tokens on 2 cores; 0.7 s with it).
            body["return_progress"] = True
        if prompt.text is not None:
            return "/completions", {**body, "prompt": prompt.text}
        return "/chat/completions", {**body, "messages": list(prompt.messages)}

    async def _stream_once(
        self,
        client: httpx.AsyncClient,
        path: str,
        body: dict[str, Any],
        headers: dict[str, str],
    ) -> AsyncGenerator[Piece, None]:
        answer = _Answer()
        try:
            async with (
                self._open(client, path, body, headers) as response,
                aclosing(self._events(response)) as events,
            ):
                async for event in events:
                    text = answer.take(event)
                    if text:
                        yield Piece(text)
            yield answer.end()
        finally:
            self._count(answer)

    @asynccontextmanager
    async def _open(
        self,
        client: httpx.AsyncClient,
        path: str,
        body: dict[str, Any],
        headers: dict[str, str],
    ) -> AsyncIterator[httpx.Response]:
        headers = {**outgoing_headers(), **headers}
        try:
            request = client.build_request(
                "POST", self._base_url + path, json=body, headers=headers
            )
            async with aclosing(await _sent(client, request)) as response:
                if not response.is_success:
                    raise _refusal(self._host, response, await _start_of_body(response))
                yield response
        except _DISCONNECTS as error:
            raise _Disconnected(
                "The generator closed the connection before the answer was complete. "
                "Ask again in a few seconds."
            ) from error
        except httpx.ReadTimeout as error:
            raise self._silent() from error
        except httpx.HTTPError as error:
            raise self._unreachable(error) from error

    async def _events(self, response: httpx.Response) -> AsyncGenerator[bytes, None]:
        """The payload of every event up to `[DONE]`.

        Comments keep the connection open but are no sign of work: with nothing else in
        `idle_seconds` the answer is given up, although httpx saw bytes arrive.
        """
        reader = EventReader()
        heard = time.monotonic()
        async with aclosing(_chunks(response)) as chunks:
            async for chunk in chunks:
                now = time.monotonic()
                for event in reader.feed(chunk):
                    heard = now
                    if event == b"[DONE]":
                        if self._kept is not self._fresh:
                            await _drain(chunks)
                        return
                    yield event
                if now - heard > self._idle_seconds:
                    raise self._silent()
        for event in reader.finish():
            if event != b"[DONE]":
                yield event

    def _count(self, answer: _Answer) -> None:
        """An answer that was left half-way has no usage: one event is one token then."""
        usage = answer.usage()
        read, written = (
            (usage.prompt_tokens, usage.completion_tokens) if usage else (0, answer.texts)
        )
        self._metrics.tokens.labels("read").inc(read)
        self._metrics.tokens.labels("written").inc(written)
        if usage and usage.tokens_per_second:
            self._metrics.tokens_per_second.observe(usage.tokens_per_second)

    def _silent(self) -> GeneratorUnavailable:
        return GeneratorUnavailable(
            f"The generator at {self._host} sent nothing for {self._idle_seconds:g} s and was "
            "given up. Check its load, or raise generator.idle_seconds."
        )

    def _unreachable(self, error: httpx.HTTPError) -> GeneratorUnavailable:
        return GeneratorUnavailable(
            f"No answer from the generator at {self._host}: {error or type(error).__name__}. "
            "Check that it is running and that the address is right."
        )


@dataclass
class _Answer:
    """What the events of one answer said so far."""

    texts: int = 0
    first_text: float = 0.0
    last_text: float = 0.0
    finish_reason: str | None = None
    counted: dict[str, Any] | None = None
    timings: dict[str, Any] | None = None

    def take(self, event: bytes) -> str:
        """The new text of an event. Raises the error that an error event reports."""
        try:
            told = json.loads(event)
        except ValueError as error:
            raise GeneratorUnavailable(
                "The generator sent an event that is not JSON; "
                "check that the address is an OpenAI-compatible server."
            ) from error
        if not isinstance(told, dict):
            return ""
        if failure := told.get("error") or _bare_error(told):
            raise _failure(failure)
        self.counted = told.get("usage") or self.counted
        self.timings = told.get("timings") or self.timings
        return self._take_choice(told.get("choices") or [])

    def _take_choice(self, choices: list[dict[str, Any]]) -> str:
        if not choices:
            return ""
        choice = choices[0]
        self.finish_reason = choice.get("finish_reason") or self.finish_reason
        text = choice.get("text") or (choice.get("delta") or {}).get("content") or ""
        if text:
            self.last_text = time.monotonic()
            self.first_text = self.first_text or self.last_text
            self.texts += 1
        return str(text)

    def end(self) -> Piece:
        """The last piece. Raises where the stream just stopped: half an answer is not one."""
        if self.finish_reason is None:
            raise _Disconnected(
                "The generator ended the stream before the answer was complete. "
                "Ask again in a few seconds."
            )
        return Piece("", usage=self.usage(), finish_reason=self.finish_reason)

    def usage(self) -> Usage | None:
        if self.counted is None:
            return None
        details = self.counted.get("prompt_tokens_details") or {}
        return Usage(
            prompt_tokens=int(self.counted.get("prompt_tokens") or 0),
            completion_tokens=int(self.counted.get("completion_tokens") or 0),
            tokens_per_second=self._tokens_per_second(),
            cached_tokens=details.get("cached_tokens"),
        )

    def _tokens_per_second(self) -> float | None:
        """llama.cpp measures it; elsewhere it is what arrived here after the first token."""
        if self.timings and (measured := self.timings.get("predicted_per_second")):
            return float(measured)
        seconds = self.last_text - self.first_text
        return (self.texts - 1) / seconds if seconds > 0 else None


def _bare_error(told: dict[str, Any]) -> dict[str, Any] | None:
    """vLLM's error events used to be the error object itself, without a name around it."""
    return told if told.get("object") == "error" else None


def _failure(failure: Any) -> GeneratorUnavailable | Overloaded:
    """The error of an error event. Upstream's own words may quote the prompt: kind only."""
    kind = _kind(failure)
    if "rate_limit" in kind or "overloaded" in kind:
        return Overloaded("The generator is overloaded. Try again later.")
    return GeneratorUnavailable(
        f"The generator failed while writing the answer ({kind}); its log says more."
    )


def _refusal(host: str, response: httpx.Response, body: bytes) -> GeneratorUnavailable | Overloaded:
    """The error of a response that is not a success."""
    status = response.status_code
    retry_after = response.headers.get("retry-after", "")
    if status == 429 or (status == 503 and retry_after):
        overloaded = Overloaded(f"The generator at {host} is overloaded. Try again later.")
        if retry_after.isdecimal():
            overloaded.retry_after_seconds = int(retry_after)
        return overloaded
    try:
        kind = _kind(json.loads(body).get("error"))
    except (ValueError, AttributeError):
        kind = response.reason_phrase
    refusal = PromptRefused if status in _PROMPT_STATUSES else GeneratorUnavailable
    return refusal(f"The generator at {host} answered {status} ({kind}). {_advice(status, kind)}")


def _advice(status: int, kind: str) -> str:
    if status in (401, 403):
        return "Check generator.api_key."
    if status == 404:
        return "Check the address and generator.upstream_model."
    if "context" in kind:
        return "The prompt is longer than the context of a chat (generator.chat_context_tokens)."
    return "Its log says more."


def _kind(failure: Any) -> str:
    """The short name of an upstream error: its `type` or `code`, never its message."""
    if isinstance(failure, dict):
        return str(failure.get("type") or failure.get("code") or "unknown error")[:80]
    return "unknown error"


async def _sent(client: httpx.AsyncClient, request: httpx.Request) -> httpx.Response:
    """The response, its body not read yet."""
    try:
        return await client.send(request, stream=True)
    except AttributeError as error:
        # anyio, where a server is killed in the moment in which it takes the connection: there is no
        # socket any more whose address it could ask for.
        raise httpx.ConnectError("the connection was reset as it was made") from error


def _chunks(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """Bytes as they come. httpx declares an iterator; it is a generator that wants closing."""
    return cast("AsyncGenerator[bytes, None]", response.aiter_raw())


async def _start_of_body(response: httpx.Response) -> bytes:
    """As much of a refusal as an error can need."""
    body = b""
    async with aclosing(_chunks(response)) as chunks:
        async for chunk in chunks:
            body += chunk
            if len(body) > MAX_ERROR_BYTES:
                break
    return body


async def _drain(chunks: AsyncIterator[bytes]) -> None:
    """Read what follows `[DONE]`, so that a kept connection can be used again."""
    with suppress(TimeoutError, httpx.HTTPError):
        async with asyncio.timeout(DRAIN_SECONDS):
            async for _ in chunks:
                pass


def _with_version(base_url: str) -> str:
    url = base_url.rstrip("/")
    return url if urlsplit(url).path else f"{url}/v1"


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
