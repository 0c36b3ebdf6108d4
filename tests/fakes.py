"""Stand-ins for models, and for models only."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from kefu.inference.encoder.protocol import Vectors
from kefu.inference.generator.protocol import Piece, Prompt, Usage


class HashingEncoder:
    """Texts that share character pairs are near each other. Deterministic."""

    id = "hashing-128"
    dimensions = 128

    def encode(self, texts: Sequence[str]) -> Vectors:
        rows = np.array([self._row(text) for text in texts], np.float32)
        return rows.reshape(len(texts), self.dimensions)

    def _row(self, text: str) -> list[float]:
        row = np.full(self.dimensions, 1e-6)
        padded = f" {text.lower()} "
        for pair in pairwise(padded):
            digest = hashlib.sha256("".join(pair).encode("utf-8", "replace")).digest()
            row[digest[0] % self.dimensions] += 1.0
        return list(row / np.linalg.norm(row))


@dataclass
class ScriptedGenerator:
    """Writes `pieces`. `gate` holds it back after the first piece until the test opens it.

    `positions`: where it says that it stands in line before that.
    """

    pieces: Sequence[str] = ("运费", "8元", "。")
    error: Exception | None = None
    gate: asyncio.Event | None = None
    ping_error: Exception | None = None
    prompts: list[Prompt] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    positions: Sequence[int] = ()
    running: int = 0
    finished: int = 0
    closed_early: int = 0

    async def stream(
        self, prompt: Prompt, *, max_tokens: int, session: str = ""
    ) -> AsyncGenerator[Piece, None]:
        self.prompts.append(prompt)
        self.sessions.append(session)
        self.running += 1
        done = False
        try:
            for position in self.positions:
                yield Piece("", position=position)
                await asyncio.sleep(0)
            for number, text in enumerate(self.pieces):
                yield Piece(text)
                if number == 0 and self.gate is not None:
                    await self.gate.wait()
            if self.error is not None:
                raise self.error
            yield Piece("", Usage(20, len(self.pieces), 50.0, 0), "stop")
            done = True
        finally:
            self.running -= 1
            self.finished += done
            self.closed_early += not done

    async def ping(self) -> None:
        if self.ping_error is not None:
            raise self.ping_error

    async def aclose(self) -> None: ...
