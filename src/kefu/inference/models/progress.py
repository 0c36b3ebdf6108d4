"""What a long pull tells whoever watches. The command line draws it; a start writes lines."""

from __future__ import annotations

from typing import Protocol

from kefu.inference.models.catalogue import Model


class Progress(Protocol):
    """Called from one thread, in order. Must not raise."""

    def licence(self, model: Model) -> None:
        """A model whose licence has terms to accept is about to be fetched."""

    def step(self, text: str) -> None:
        """Something begins or ended, in words."""

    def advance(self, label: str, done: int, total: int) -> None:
        """`done` of `total` bytes of what `label` names; `total` is 0 where nobody knows."""


class Silent:
    """Tells nobody."""

    def licence(self, model: Model) -> None:
        pass

    def step(self, text: str) -> None:
        pass

    def advance(self, label: str, done: int, total: int) -> None:
        pass


SILENT = Silent()
