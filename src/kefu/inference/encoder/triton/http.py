"""KServe v2 over HTTP, tensors as bytes behind the JSON (Triton's binary data extension).

Not tritonclient's HTTP client: its greenlets belong to the thread that made them, and a
`SentenceEncoder` is called from several (docs/decisions/0023-encoder-on-triton.md).
"""

from __future__ import annotations

import ipaddress
import json
import struct
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import numpy as np

from kefu.errors import EncoderUnavailable
from kefu.inference.encoder.protocol import Vectors
from kefu.inference.encoder.triton.endpoint import (
    CONNECT_SECONDS,
    INPUT,
    OUTPUT,
    Disconnected,
    Listed,
    Tensors,
)

_JSON_LENGTH = "Inference-Header-Content-Length"
_DISCONNECTS = (
    httpx.ConnectError,
    httpx.RemoteProtocolError,
    httpx.ReadError,
    httpx.WriteError,
    httpx.CloseError,
)


class HttpEndpoint:
    """`url` may have a path before `/v2`; `seconds` is the longest silence of the server."""

    def __init__(self, url: str, seconds: float) -> None:
        parts = urlsplit(url)
        self.host = parts.netloc.rpartition("@")[2]
        self._seconds = seconds
        self._client = httpx.Client(
            base_url=url.rstrip("/") + "/v2/",
            # Triton would compress the vectors, to save 5% of their bytes.
            headers={"Accept-Encoding": "identity"},
            timeout=httpx.Timeout(seconds, connect=min(CONNECT_SECONDS, seconds)),
            # A proxy of the environment is for the outside world, and cannot reach our loopback.
            trust_env=not _is_loopback(parts.hostname or ""),
            # Reading the certificate store takes 20 ms, for nothing where there is no TLS.
            verify=parts.scheme == "https",
        )

    def find_model(self, name: str) -> Tensors | None:
        response = self._send("GET", f"models/{quote(name)}")
        if response.status_code in (400, 404):  # which of them depends on the server's release
            return None
        found = self._json(response)
        return Tensors(_tensors(found["inputs"]), _tensors(found["outputs"]))

    def listed(self) -> Sequence[Listed]:
        rows = self._json(self._send("POST", "repository/index"))
        return [Listed(row["name"], row.get("state", ""), row.get("reason", "")) for row in rows]

    def infer(self, model: str, texts: Sequence[bytes]) -> Vectors:
        packed = b"".join(struct.pack("<I", len(text)) + text for text in texts)
        head = json.dumps(_request(len(texts), len(packed))).encode()
        response = self._send(
            "POST",
            f"models/{quote(model)}/infer",
            content=head + packed,
            headers={_JSON_LENGTH: str(len(head)), "Content-Type": "application/octet-stream"},
        )
        if not response.is_success:
            raise self._refused(response)
        return _vectors_of(response)

    def close(self) -> None:
        self._client.close()

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._client.request(method, path, **options)
        except _DISCONNECTS as error:
            raise Disconnected(f"{self.host} is not there: {error}.") from error
        except httpx.TimeoutException as error:
            raise EncoderUnavailable(
                f"{self.host} did not answer within {self._seconds:g} s (encoder.request_seconds)."
            ) from error
        except httpx.HTTPError as error:
            raise EncoderUnavailable(f"{self.host} cannot be asked: {error}.") from error

    def _json(self, response: httpx.Response) -> Any:
        if not response.is_success:
            raise self._refused(response)
        try:
            return response.json()
        except ValueError as error:
            raise EncoderUnavailable(f"{self.host} does not speak KServe v2.") from error

    def _refused(self, response: httpx.Response) -> EncoderUnavailable:
        try:
            reason = response.json()["error"]
        except (ValueError, KeyError, TypeError):
            reason = response.reason_phrase
        return EncoderUnavailable(f"{self.host} answered {response.status_code}: {reason}")


def _request(count: int, size: int) -> dict[str, Any]:
    text = {"name": INPUT, "datatype": "BYTES", "shape": [count, 1]}
    return {
        "inputs": [{**text, "parameters": {"binary_data_size": size}}],
        "outputs": [{"name": OUTPUT, "parameters": {"binary_data": True}}],
    }


def _vectors_of(response: httpx.Response) -> Vectors:
    """Raises `EncoderUnavailable` where the answer is none to `_request`."""
    content = response.content
    try:
        length = int(response.headers[_JSON_LENGTH])
        (output,) = json.loads(content[:length])["outputs"]
        return np.frombuffer(content[length:], np.float32).reshape(output["shape"])
    except (ValueError, KeyError) as error:
        raise EncoderUnavailable(
            "The server's answer has no vectors as bytes: it lacks KServe's binary data extension."
        ) from error


def _tensors(rows: Sequence[dict[str, Any]]) -> dict[str, tuple[str, tuple[int, ...]]]:
    return {row["name"]: (row["datatype"], tuple(row["shape"])) for row in rows}


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
