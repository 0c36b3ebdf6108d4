"""A server that speaks KServe v2, whichever way.

The protocol: https://kserve.github.io/website/docs/concepts/architecture/data-plane/v2-protocol
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kefu.errors import EncoderUnavailable
from kefu.inference.encoder.protocol import Vectors

INPUT = "text"
"""TYPE_STRING, (n, 1): sentences in UTF-8."""

OUTPUT = "vector"
"""TYPE_FP32, (n, dimensions): rows of length 1."""

CONNECT_SECONDS = 2.0


class Disconnected(EncoderUnavailable):
    """The connection broke, or there was none: another attempt may reach the server."""


@dataclass(frozen=True)
class Tensors:
    """What a model takes and gives: its tensors' types and shapes by name."""

    inputs: Mapping[str, tuple[str, tuple[int, ...]]]
    outputs: Mapping[str, tuple[str, tuple[int, ...]]]


@dataclass(frozen=True)
class Listed:
    """A model in the server's repository. `reason` says why it is not `READY`."""

    name: str
    state: str
    reason: str


class Endpoint(Protocol):
    """Blocking and safe to call from several threads. All raise `EncoderUnavailable`."""

    @property
    def host(self) -> str:
        """For messages: with the port, without a password."""
        ...

    def find_model(self, name: str) -> Tensors | None:
        """None where the server does not serve it."""
        ...

    def listed(self) -> Sequence[Listed]:
        """What is in its repository: an extension that Triton has, and not every server."""
        ...

    def infer(self, model: str, texts: Sequence[bytes]) -> Vectors:
        """Of `INPUT` the `OUTPUT`."""
        ...

    def close(self) -> None: ...
