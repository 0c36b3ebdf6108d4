"""llama.cpp under supervision: started, watched, started again when it dies, stopped with us."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import structlog

from kefu.errors import GeneratorUnavailable
from kefu.inference.generator.llama_run import LlamaRun
from kefu.settings import GeneratorSettings
from kefu.telemetry import Metrics

log = structlog.stdlib.get_logger("kefu.llama")

# A crash on one bad prompt is over at once; a broken driver should not burn a core for ever.
BACKOFF_SECONDS = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 30.0)
HEALTHY_SECONDS = 60.0


class LlamaProcess:
    """Keeps one child running from `start` to `stop`.

    `on_ready` is called with every run that starts answering, the first included.
    """

    def __init__(
        self,
        model_path: Path,
        settings: GeneratorSettings,
        metrics: Metrics,
        on_ready: Callable[[LlamaRun], None] | None = None,
    ) -> None:
        self._model_path = model_path
        self._settings = settings
        self._metrics = metrics
        self._on_ready = on_ready
        self._run: LlamaRun | None = None
        self._ready = asyncio.Event()
        self._supervisor: asyncio.Task[None] | None = None
        self._failure: GeneratorUnavailable | None = None

    @property
    def pid(self) -> int | None:
        """Process id of the child, None while there is none that answers."""
        return self._run.pid if self._run else None

    @property
    def run(self) -> LlamaRun | None:
        return self._run

    async def start(self) -> None:
        """Start the child and wait until it answers. Raises `GeneratorUnavailable`.

        A first start that fails is not tried again: the model or the machine does not fit, and
        the operator is there to read it.
        """
        self._begin(await LlamaRun.start(self._model_path, self._settings))
        self._supervisor = asyncio.create_task(self._supervise(), name="llama-supervisor")

    async def wait_ready(self, timeout_seconds: float) -> LlamaRun:
        """The run that answers now, or as soon as there is one. Raises `GeneratorUnavailable`."""
        try:
            async with asyncio.timeout(timeout_seconds):
                return await self._living_run()
        except TimeoutError as error:
            raise self._not_ready(timeout_seconds) from (self._failure or error)

    async def stop(self) -> None:
        """End the child and wait until it is gone. May be called twice, or without a start."""
        if self._supervisor:
            self._supervisor.cancel()
            with suppress(asyncio.CancelledError):
                await self._supervisor
            self._supervisor = None
        run, self._run = self._run, None
        self._ready.set()  # whoever waits learns that there is none
        if run:
            await run.stop()

    async def _living_run(self) -> LlamaRun:
        while True:
            await self._ready.wait()
            if self._run is None:
                raise GeneratorUnavailable("llama.cpp was stopped.")
            if not self._run.exited.is_set():
                return self._run
            await asyncio.sleep(0)  # the supervisor hears of the death in this round of the loop

    def _begin(self, run: LlamaRun) -> None:
        log.info(
            "llama_ready",
            pid=run.pid,
            model=self._model_path.name,
            n_parallel=self._settings.detected_parallel,
            threads=self._settings.detected_threads,
        )
        self._run = run
        self._failure = None
        self._ready.set()
        if self._on_ready:
            self._on_ready(run)

    async def _supervise(self) -> None:
        failures = 0
        while self._run:
            begun = time.monotonic()
            await self._run.exited.wait()
            self._ready.clear()
            log.error("llama_exited", pid=self._run.pid, returncode=self._run.returncode)
            self._run = None
            if time.monotonic() - begun >= HEALTHY_SECONDS:
                failures = 0
            failures = await self._start_again(failures)

    async def _start_again(self, failures: int) -> int:
        """Try until a child runs. Returns how often in a row it had to be started."""
        while self._run is None:
            await asyncio.sleep(BACKOFF_SECONDS[min(failures, len(BACKOFF_SECONDS) - 1)])
            failures += 1
            self._metrics.generator_restarts.inc()
            try:
                self._begin(await LlamaRun.start(self._model_path, self._settings))
            except GeneratorUnavailable as error:
                self._failure = error
                log.error("llama_start_failed", failures=failures, error=str(error))
            except Exception:  # whatever it was: without a supervisor nothing is written again
                log.exception("llama_start_crashed", failures=failures)
        return failures

    def _not_ready(self, seconds: float) -> GeneratorUnavailable:
        return GeneratorUnavailable(
            f"llama.cpp is being started again and was not ready within {seconds:g} s. "
            "Ask again in a few seconds."
        )
