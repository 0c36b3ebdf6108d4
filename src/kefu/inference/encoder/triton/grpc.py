"""KServe v2 over gRPC, by NVIDIA's tritonclient (`kefu[triton]`)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from urllib.parse import urlsplit

import numpy as np
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.utils import InferenceServerException

from kefu.errors import EncoderUnavailable, SettingsError
from kefu.inference.encoder.protocol import Vectors
from kefu.inference.encoder.triton.endpoint import (
    INPUT,
    OUTPUT,
    Disconnected,
    Listed,
    Tensors,
)

_CHANNEL = [
    # gRPC's own: after a while it tries every two minutes. A server that is back is used at once.
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 2000),  # which is also how long connecting may take
    ("grpc.max_reconnect_backoff_ms", 1000),
    # A machine that vanished is given up while its calls fail; Linux would wait for 15 minutes.
    ("grpc.keepalive_time_ms", 10_000),
    ("grpc.keepalive_timeout_ms", 5_000),
]


class GrpcEndpoint:
    """`url` is `grpc://host:port`, with TLS `grpcs://`; `seconds` is how long a call may take."""

    def __init__(self, url: str, seconds: float) -> None:
        parts = urlsplit(url)
        if parts.path.strip("/") or parts.username:
            raise SettingsError("encoder.url: gRPC knows no path and no password in an address.")
        self.host = parts.netloc
        self._seconds = seconds
        self._client = InferenceServerClient(
            self.host, ssl=parts.scheme == "grpcs", channel_args=_CHANNEL
        )

    def find_model(self, name: str) -> Tensors | None:
        try:
            with self._asking():
                found = self._client.get_model_metadata(name, client_timeout=self._seconds)
        except _NotFound:
            return None
        return Tensors(
            {row.name: (row.datatype, tuple(row.shape)) for row in found.inputs},
            {row.name: (row.datatype, tuple(row.shape)) for row in found.outputs},
        )

    def listed(self) -> Sequence[Listed]:
        with self._asking():
            index = self._client.get_model_repository_index(client_timeout=self._seconds)
        return [Listed(row.name, row.state, row.reason) for row in index.models]

    def infer(self, model: str, texts: Sequence[bytes]) -> Vectors:
        sentences = InferInput(INPUT, [len(texts), 1], "BYTES")
        sentences.set_data_from_numpy(np.array(texts, dtype=object).reshape(-1, 1))
        with self._asking():
            result = self._client.infer(
                model,
                [sentences],
                outputs=[InferRequestedOutput(OUTPUT)],
                client_timeout=self._seconds,
            )
        vectors: Vectors = result.as_numpy(OUTPUT)
        return vectors

    def close(self) -> None:
        self._client.close()

    @contextmanager
    def _asking(self) -> Iterator[None]:
        try:
            yield
        except InferenceServerException as error:
            raise self._translated(error) from error

    def _translated(self, error: InferenceServerException) -> EncoderUnavailable:
        match error.status():
            case "StatusCode.UNAVAILABLE":
                return Disconnected(f"{self.host} is not there: {error.message()}.")
            case "StatusCode.DEADLINE_EXCEEDED":
                return EncoderUnavailable(
                    f"{self.host} did not answer within {self._seconds:g} s "
                    "(encoder.request_seconds)."
                )
            case "StatusCode.NOT_FOUND" | "StatusCode.INVALID_ARGUMENT":
                return _NotFound(f"{self.host} answered: {error.message()}")
        return EncoderUnavailable(f"{self.host} answered {error.status()}: {error.message()}")


class _NotFound(EncoderUnavailable):
    """The server does not serve the model, or not yet."""
