"""Opens the sentence encoder that the settings name."""

from __future__ import annotations

from kefu.inference.encoder.onnx import OnnxEncoder, id_of
from kefu.inference.encoder.protocol import SentenceEncoder
from kefu.inference.encoder.triton.encoder import TritonEncoder, open_endpoint, served_name
from kefu.inference.models.resolve import encoder_sha256, resolve_encoder
from kefu.settings import Settings


def open_encoder(settings: Settings, threads: int | None = None) -> SentenceEncoder:
    """In this process, with `threads` instead of those of a desk, or at `encoder.url`.

    Raises `ModelError` or one of its kinds, or `SettingsError`.
    """
    if settings.encoder.url:
        return open_triton(settings)
    return OnnxEncoder(resolve_encoder(settings).path, threads or settings.encoder.threads)


def open_triton(settings: Settings) -> TritonEncoder:
    """The one at `encoder.url`, which is set. Raises as `open_encoder`."""
    chosen = settings.encoder
    encoder_id = id_of(encoder_sha256(settings))
    endpoint = open_endpoint(chosen.url, chosen.request_seconds)
    return TritonEncoder(endpoint, served_name(chosen.model, encoder_id), encoder_id)
