"""The port every generator fits: a prompt goes in, pieces of text come out as they are written."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Protocol

from kefu.errors import GeneratorUnavailable


@dataclass(frozen=True)
class Prompt:
    """What the model reads. Exactly one of `text` (base models) and `messages` (chat models).

    `messages` are OpenAI's `{"role", "content"}` objects. Writing ends before any `stop` string.
    """

    text: str | None = None
    messages: tuple[dict[str, str], ...] = ()
    stop: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if (self.text is None) == (not self.messages):
            raise ValueError("A prompt has either text or messages, and one of the two.")


@dataclass(frozen=True)
class Usage:
    """What one answer cost. `tokens_per_second` is writing speed, without reading the prompt.

    `cached_tokens` of the prompt were known from an earlier turn and not read again; None where
    the server does not tell.
    """

    prompt_tokens: int
    completion_tokens: int
    tokens_per_second: float | None
    cached_tokens: int | None


@dataclass(frozen=True)
class Piece:
    """A few characters of the answer. The last piece has the finish reason and no text.

    `finish_reason` is OpenAI's: `stop` (the model was done) or `length` (`max_tokens` reached).
    `usage` comes with it where the server counts. One with a `position` has no text either: the
    answer waits in line there (1: it is the next).
    """

    text: str
    usage: Usage | None = None
    finish_reason: str | None = None
    position: int | None = None


class PromptRefused(GeneratorUnavailable):
    """The server is well and will not take this prompt; another one would say the same."""


class Generator(Protocol):
    """A model that writes. Implementations are safe to use from many turns at once."""

    def stream(
        self, prompt: Prompt, *, max_tokens: int, session: str = ""
    ) -> AsyncGenerator[Piece, None]:
        """Write an answer. Closing or cancelling the iteration stops the model.

        `session` (the customer's uid) is the same for prompts that begin alike: where there are
        several servers, the one that has read the beginning is asked again.

        Read it under `contextlib.aclosing`, so that leaving early closes it there and then.
        Raises `GeneratorUnavailable` or `Overloaded`, possibly after some pieces: then the
        answer is not complete and must not be kept as one.
        """
        ...

    async def ping(self) -> None:
        """Raise `GeneratorUnavailable` unless an answer could be written now."""
        ...

    async def aclose(self) -> None: ...
