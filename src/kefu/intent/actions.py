"""What is done when a message's intent is plain: a canned reply, a person, or a link."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, Protocol
from urllib.parse import urlsplit

from kefu.errors import InvalidInput
from kefu.intent.dataset import FORBIDDEN, MAX_LABEL, OUT_OF_SCOPE
from kefu.language import Language

MAX_REPLY = 2000
MAX_URL = 500

Kind = Literal["reply", "handoff", "link"]


@dataclass(frozen=True)
class Action:
    """`reply_zh` and `reply_en` are what the customer is told; one may be empty.

    "link" adds `url` to it; "handoff" also marks the talk as waiting for a person.
    """

    kind: Kind
    reply_zh: str = ""
    reply_en: str = ""
    url: str = ""

    def text(self, language: Language) -> str:
        """The reply in the customer's language, or in the other one where it is missing."""
        first, second = self.reply_zh, self.reply_en
        if language == "en":
            first, second = second, first
        return " ".join(part for part in (first or second, self.url) if part)


class ActionStore(Protocol):
    """`version` rises with every change, another process's included."""

    def version(self) -> int: ...
    def load(self) -> tuple[int, Mapping[str, Action]]: ...
    def save(self, actions: Mapping[str, Action]) -> None: ...
    def remove(self, label: str) -> bool: ...


def check(label: str, action: Action) -> None:
    """Raises `InvalidInput` that says what does not fit."""
    if not label.strip() or len(label) > MAX_LABEL:
        raise InvalidInput(f"A label has 1 to {MAX_LABEL} characters.")
    if label == OUT_OF_SCOPE:
        raise InvalidInput(
            f"{OUT_OF_SCOPE!r} can have no action: those messages have nothing in common."
        )
    for column, value in (("label", label), ("text", action.reply_zh), ("text", action.reply_en)):
        if found := FORBIDDEN[column].search(value):
            raise InvalidInput(f"There is a character that is not text (U+{ord(found[0]):04X}).")
    if not action.reply_zh and not action.reply_en:
        raise InvalidInput("Say what the customer is told, in Chinese, English or both.")
    if max(len(action.reply_zh), len(action.reply_en)) > MAX_REPLY:
        raise InvalidInput(f"A reply has at most {MAX_REPLY} characters.")
    if (action.kind == "link") != bool(action.url):
        raise InvalidInput("A link needs its address, and nothing else has one.")
    if action.url:
        _check_url(action.url)


def _check_url(url: str) -> None:
    try:
        parts = urlsplit(url)
        fits = parts.scheme in ("https", "http") and bool(parts.hostname)
    except ValueError:
        fits = False
    if not fits or len(url) > MAX_URL or not url.isprintable() or " " in url:
        raise InvalidInput(f"{url[:100]!r} is not an http or https address.")
