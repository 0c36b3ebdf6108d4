"""The sentence encoder on a Triton server.

The model's name at the server ends in the sum of its file, and the server's side holds the file to
it (model.py): a desk gets vectors of the model it asks for or none, also when the server is replaced
while the desk runs.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

import numpy as np

from kefu.errors import EncoderUnavailable, ModelError, ModelMissing, SettingsError
from kefu.inference.encoder.onnx import cleaned
from kefu.inference.encoder.protocol import Vectors
from kefu.inference.encoder.triton.endpoint import INPUT, OUTPUT, Disconnected, Endpoint, Listed
from kefu.inference.encoder.triton.http import HttpEndpoint
from kefu.inference.onnx_runtime import runs_by_length

# What the exported model takes at most. A multiple of a run, so that runs are those of `OnnxEncoder`.
SENTENCES_PER_REQUEST = 32


def served_name(model: str, encoder_id: str) -> str:
    """How the catalogue's `model` with the vectors `encoder_id` is called at a server."""
    return f"{re.sub(r'[^A-Za-z0-9_.-]', '_', model)}-{encoder_id.removeprefix('onnx-')}"


def open_endpoint(url: str, seconds: float) -> Endpoint:
    """Nothing is asked yet. Raises `SettingsError` where `url` is none of ours."""
    opener = _opener_of(url)
    if opener is None:
        raise SettingsError(
            "encoder.url is no address of a Triton server: http://HOST:8000, https://HOST, "
            "grpc://HOST:8001 or grpcs://HOST:8001."
        )
    return opener(url, seconds)


class TritonEncoder:
    """`model` as the server calls it, which gives the vectors `encoder_id`.

    Raises `EncoderUnavailable` where the server does not answer, `ModelMissing` where it has another
    model, `ModelError` where its model is no sentence encoder.
    """

    def __init__(self, endpoint: Endpoint, model: str, encoder_id: str) -> None:
        self._endpoint = endpoint
        self.model = model
        self.host = endpoint.host
        self.id = encoder_id
        try:
            self.dimensions = self._require_model()
            self.encode([""])  # what is described need not work
        except BaseException:  # Ctrl-C too: nobody else closes it
            self.close()
            raise

    def encode(self, texts: Sequence[str]) -> Vectors:
        """As `OnnxEncoder.encode`. Raises `EncoderUnavailable`."""
        vectors = np.zeros((len(texts), self.dimensions), np.float32)
        cut = [cleaned(text) for text in texts]
        for rows in runs_by_length(cut, SENTENCES_PER_REQUEST):
            vectors[rows] = self._infer([cut[row].encode() for row in rows])
        return vectors

    def close(self) -> None:
        self._endpoint.close()

    def _infer(self, texts: Sequence[bytes]) -> Vectors:
        """Once more where the connection broke: the server hung up on a kept one, or was replaced."""
        try:
            found = self._endpoint.infer(self.model, texts)
        except Disconnected:
            found = self._endpoint.infer(self.model, texts)
        if found.shape != (len(texts), self.dimensions):
            raise EncoderUnavailable(
                f"{self.host} gave vectors {found.shape} for {len(texts)} texts of "
                f"{self.dimensions} dimensions."
            )
        return found

    def _require_model(self) -> int:
        """Its dimensions."""
        found = self._endpoint.find_model(self.model)
        if found is None:
            raise self._missing()
        match found.inputs.get(INPUT), found.outputs.get(OUTPUT):
            case ("BYTES", (_, 1)), ("FP32", (_, int(dimensions))) if dimensions > 0:
                return dimensions
        raise ModelError(
            f"The model {self.model} at {self.host} takes {dict(found.inputs)} and gives "
            f"{dict(found.outputs)}: it is no sentence encoder of kefu. Write it anew with "
            "`kefu models export-triton`."
        )

    def _missing(self) -> ModelMissing:
        try:
            listed = self._endpoint.listed()
        except EncoderUnavailable:
            listed = ()
        return ModelMissing(
            f"{self.host} (encoder.url) does not serve {self.model}"
            f"{_instead(self.model, listed)}. Write it into the server's model repository with "
            "`kefu models export-triton`, or set encoder.model to the one that is meant."
        )


def _instead(model: str, listed: Sequence[Listed]) -> str:
    for row in listed:
        if row.name == model:
            return f" (state {row.state}: {row.reason or 'no reason given'})"
    others = sorted({row.name for row in listed})
    return f"; it has {', '.join(others)}" if others else ""


def _opener_of(url: str) -> Callable[[str, float], Endpoint] | None:
    try:
        parts = urlsplit(url)
        is_address = bool(parts.hostname) and parts.port != 0
    except ValueError:  # of a port or an IPv6 address that is none
        return None
    return _OPENERS.get(parts.scheme) if is_address else None


def _grpc(url: str, seconds: float) -> Endpoint:
    """Its client comes with an extra."""
    try:
        module = importlib.import_module("kefu.inference.encoder.triton.grpc")
    except ImportError as error:
        raise SettingsError(
            f"encoder.url: {url} needs the client for gRPC, which is not installed: "
            "pip install 'kefu[triton]', or give an http:// address."
        ) from error
    opened: Endpoint = module.GrpcEndpoint(url, seconds)
    return opened


_OPENERS: dict[str, Callable[[str, float], Endpoint]] = {
    "http": HttpEndpoint,
    "https": HttpEndpoint,
    "grpc": _grpc,
    "grpcs": _grpc,
}
