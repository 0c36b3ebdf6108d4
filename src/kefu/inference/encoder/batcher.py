"""Many customers, one encoder: whoever waits when a run ends goes into the next run together.

No one is made to wait for company. A lone message is encoded at once, and under load the batches
grow by themselves, because more messages arrive while a run lasts.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import numpy as np

from kefu.errors import EncoderUnavailable, KefuError, ModelError, Overloaded
from kefu.inference.encoder.compared import Compared, Matrix, Vector, vectors_of
from kefu.inference.encoder.protocol import SentenceEncoder, Vectors
from kefu.telemetry import Metrics


@dataclass(frozen=True, eq=False)
class _Job:
    text: str
    vector: asyncio.Future[Compared]


class BatchedEncoder:
    """The desk's way to the encoder. Use as `async with BatchedEncoder(...) as encoder`.

    At most `max_waiting` sentences wait (more raise `Overloaded`) and at most `max_batch` share a
    run. Leaving the block encodes what still waits; callers that come later get `Overloaded`.
    """

    def __init__(
        self, encoder: SentenceEncoder, max_batch: int, max_waiting: int, metrics: Metrics
    ) -> None:
        self._encoder = encoder
        self._max_batch = max_batch
        self._max_waiting = max_waiting
        self._metrics = metrics
        self._matrices: Callable[[], Sequence[Matrix]] = tuple
        self._waiting: deque[_Job] = deque()
        self._arrived = asyncio.Event()
        self._open = False
        self._thread: ThreadPoolExecutor | None = None
        self._worker: asyncio.Task[None] | None = None

    @property
    def id(self) -> str:
        return self._encoder.id

    @property
    def dimensions(self) -> int:
        return self._encoder.dimensions

    async def __aenter__(self) -> Self:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="kefu-encoder")
        self._open = True
        self._worker = asyncio.create_task(self._work(self._thread), name="kefu-encoder")
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.stop()

    async def encode(self, text: str) -> Vector:
        """(dimensions,) float32 of length 1. Raises `Overloaded` or `ModelError`."""
        return (await self.compare(text)).vector

    async def compare(self, text: str) -> Compared:
        """Its vector with the products with what `compare_with` was told. Raises as `encode`."""
        self._admit(1)
        return await self._wait_for(self._enqueue(text))

    def compare_with(self, matrices: Callable[[], Sequence[Matrix]]) -> None:
        """What messages are compared with from now on; asked for in the encoder's thread."""
        self._matrices = matrices

    async def encode_many(self, texts: Sequence[str]) -> Vectors:
        """(n, dimensions) float32, for imports: any number of texts, one batch of them at a time.

        So customers' messages come in between, and only one batch counts against the queue.
        """
        parts = [np.zeros((0, self.dimensions), np.float32)]
        for start in range(0, len(texts), self._max_batch):
            parts.append(await self._encode_batch(texts[start : start + self._max_batch]))
        return np.vstack(parts)

    async def ping(self) -> None:
        """Raises where the encoder cannot answer."""
        await self.encode("ping")

    async def stop(self) -> None:
        """Encode what waits, take nothing more. Harmless when called twice."""
        self._open = False
        self._arrived.set()
        if self._worker is not None:
            await asyncio.wait([self._worker])
        if self._thread is not None:
            self._thread.shutdown(wait=False)

    async def _encode_batch(self, texts: Sequence[str]) -> Vectors:
        self._admit(len(texts))
        jobs = [self._enqueue(text) for text in texts]
        try:
            return vectors_of(await asyncio.gather(*(job.vector for job in jobs)))
        finally:
            self._forget(jobs)

    async def _wait_for(self, job: _Job) -> Compared:
        try:
            return await job.vector
        finally:
            self._forget([job])

    def _admit(self, texts: int) -> None:
        if not self._open:
            raise Overloaded("The sentence encoder is stopped: the desk is shutting down.")
        if len(self._waiting) + texts > self._max_waiting:
            raise Overloaded(
                f"{len(self._waiting)} sentences already wait for the encoder "
                f"(encoder.max_waiting is {self._max_waiting}). Try again in a moment."
            )

    def _enqueue(self, text: str) -> _Job:
        job = _Job(text, asyncio.get_running_loop().create_future())
        self._waiting.append(job)
        self._metrics.encoder_waiting.set(len(self._waiting))
        self._arrived.set()
        return job

    def _forget(self, jobs: Sequence[_Job]) -> None:
        """Take the jobs of callers that went away out of the queue, so that others get in."""
        for job in jobs:
            if not job.vector.done() or job.vector.cancelled():
                job.vector.cancel()
                with suppress(ValueError):
                    self._waiting.remove(job)
        self._metrics.encoder_waiting.set(len(self._waiting))

    async def _work(self, thread: ThreadPoolExecutor) -> None:
        try:
            while self._open or self._waiting:
                self._arrived.clear()
                if batch := self._take_batch():
                    await self._run(batch, thread)
                elif self._open:
                    await self._arrived.wait()
        finally:
            self._open = False
            _fail(self._waiting, Overloaded, "The sentence encoder was stopped.", None)

    def _take_batch(self) -> list[_Job]:
        size = min(self._max_batch, len(self._waiting))
        taken = [self._waiting.popleft() for _ in range(size)]
        self._metrics.encoder_waiting.set(len(self._waiting))
        return [job for job in taken if not job.vector.done()]

    async def _run(self, batch: list[_Job], thread: ThreadPoolExecutor) -> None:
        """Encode one batch. Every job gets its vector or the error; nothing is raised here."""
        self._metrics.encoder_batch.observe(len(batch))
        texts = [job.text for job in batch]
        loop = asyncio.get_running_loop()
        try:
            compared = await loop.run_in_executor(thread, self._compared, texts)
            answers = list(zip(batch, compared, strict=True))
        except asyncio.CancelledError:
            _fail(batch, Overloaded, "The sentence encoder was stopped.", None)
            raise
        except Exception as error:  # noqa: BLE001 - whatever fails, no caller may wait for ever
            kind = EncoderUnavailable if isinstance(error, EncoderUnavailable) else ModelError
            _fail(batch, kind, f"The sentence encoder failed: {error}", error)
            return
        for job, answer in answers:
            if not job.vector.done():
                job.vector.set_result(answer)

    def _compared(self, texts: Sequence[str]) -> list[Compared]:
        return Compared.all_with(self._encoder.encode(texts), self._matrices())


def _fail(
    jobs: Iterable[_Job], kind: type[KefuError], message: str, cause: Exception | None
) -> None:
    """Give each caller an exception of its own: a shared one would gather all their tracebacks."""
    for job in jobs:
        if not job.vector.done():
            error = kind(message)
            error.__cause__ = cause
            job.vector.set_exception(error)
