"""One run of the llama.cpp child, from its start to its end."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

from kefu.errors import GeneratorUnavailable
from kefu.inference.generator.llama_child import ChildConfig
from kefu.inference.generator.llama_log import LlamaLog
from kefu.settings import GeneratorSettings

STOP_SECONDS = 2.0
LONGEST_LOG_LINE_BYTES = 1024 * 1024
GGUF_MAGIC = b"GGUF"

# The share of a prompt that a slot must know to be taken for it. Chats that share their opening (rules,
# examples) make every slot look alike to llama.cpp, and with its default of 0.1 evict each other
# (docs/facts.md).
SLOT_SIMILARITY = 0.6
# Without an opening only a customer's own talk is alike. With 0.6 the fifth turn of one was not: its
# first word took a third longer than the second turn's, 2% with this (loadtests/talks.py).
SLOT_SIMILARITY_WITHOUT_OPENING = 0.1


class LlamaRun:
    """A running child. `start` gives one that answers; `exited` is set once it is gone."""

    def __init__(self, process: asyncio.subprocess.Process, api_key: str) -> None:
        self.api_key = api_key
        self.base_url = ""
        self.exited = asyncio.Event()
        self.log = LlamaLog()
        self._process = process
        self._watch = asyncio.create_task(self._watch_end(), name="llama-watch")

    @classmethod
    async def start(cls, model_path: Path, settings: GeneratorSettings) -> LlamaRun:
        """Start a child and wait until its model is loaded.

        Raises `GeneratorUnavailable` with llama.cpp's own last words and what to do about them.
        """
        api_key = secrets.token_urlsafe(32)
        try:
            run = cls(await _spawn(), api_key)
        except OSError as error:
            raise GeneratorUnavailable(f"llama.cpp could not be started: {error}") from error
        try:
            async with asyncio.timeout(settings.start_seconds):
                await run._begin(_config(model_path, settings, api_key))
        except TimeoutError as error:
            await run.stop()
            raise run._failed_start(
                model_path,
                f"it was not ready within {settings.start_seconds:g} s. Take a smaller model, or "
                "raise generator.start_seconds.",
            ) from error
        except BaseException:  # a cancelled start too: no child may be left behind
            await run.stop()
            raise
        if run.base_url:
            return run
        await run.stop()
        raise run._failed_start(model_path, _explain(run, model_path))

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        return self._process.returncode

    async def stop(self) -> None:
        """Close the child's standard input, which ends it; kill it where that does not help."""
        assert self._process.stdin
        self._process.stdin.close()
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self.exited.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                self._process.kill()
        await self._watch

    async def _begin(self, config: ChildConfig) -> None:
        """Hand over the configuration and read the address. A child that ends leaves none."""
        assert self._process.stdin
        assert self._process.stdout
        # It ended before it read; the log says why. uvloop says so with a RuntimeError.
        with suppress(ConnectionError, RuntimeError):
            self._process.stdin.write(config.line())
            await self._process.stdin.drain()
        line = await self._process.stdout.readline()
        if line:
            self.base_url = json.loads(line)["address"]
        else:
            await self.exited.wait()

    async def _watch_end(self) -> None:
        assert self._process.stderr
        reading = asyncio.create_task(self._read_log(self._process.stderr), name="llama-log")
        await self._process.wait()
        # The pipe may hold the last words still; a grandchild would hold it open for ever.
        await asyncio.wait([reading], timeout=STOP_SECONDS)
        reading.cancel()
        self.exited.set()

    async def _read_log(self, stderr: asyncio.StreamReader) -> None:
        while True:
            try:
                line = await stderr.readline()
            except ValueError:  # longer than the limit, and dropped by asyncio
                continue
            if not line:
                return
            self.log.take(line)

    def _failed_start(self, model_path: Path, reason: str) -> GeneratorUnavailable:
        last_words = "".join(f"\n  {line}" for line in self.log.last_errors())
        return GeneratorUnavailable(
            f"llama.cpp could not start with {model_path}: {reason}"
            + (f" Its last words:{last_words}" if last_words else "")
        )


async def _spawn() -> asyncio.subprocess.Process:
    """`-P` keeps the working directory, which may be a customer's, off the import path."""
    apart: dict[str, Any]  # a terminal's Ctrl-C is for the parent
    if sys.platform == "win32":
        apart = {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    else:
        apart = {"start_new_session": True}
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-P",
        "-m",
        "kefu.inference.generator.llama_child",
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        limit=LONGEST_LOG_LINE_BYTES,
        **apart,
    )


def _config(model_path: Path, settings: GeneratorSettings, api_key: str) -> ChildConfig:
    return ChildConfig(
        model_path=str(model_path),
        api_key=api_key,
        parent_pid=os.getpid(),
        n_parallel=settings.detected_parallel,
        chat_context_tokens=settings.chat_context_tokens,
        threads=settings.detected_threads,
        gpu_layers=settings.gpu_layers,
        niceness=settings.niceness,
        slot_similarity=_slot_similarity(settings),
        adapter_path=settings.adapter,
    )


def _slot_similarity(settings: GeneratorSettings) -> float:
    """`prompt` as it was found out for the model; "auto" may be any."""
    has_opening = settings.prompt != "trained"
    return SLOT_SIMILARITY if has_opening else SLOT_SIMILARITY_WITHOUT_OPENING


def _explain(run: LlamaRun, model_path: Path) -> str:
    """Why a start failed and what to do, as far as the file and the log tell."""
    if not model_path.is_file():
        return "there is no such file. Fetch a model with `kefu models pull`."
    if not _is_gguf(model_path):
        return "the file is not a GGUF model. Fetch it again with `kefu models pull`."
    if run.log.says("no module named"):
        return "xllamacpp is not installed, or not for this system. Install kefu again."
    # llama.cpp logs from a thread of its own, and its last lines may be lost with the process: the
    # version in the file is looked at too.
    signs = ("gguf_init_from", "not within the file bounds", "failed to load model from")
    if run.log.says(*signs) or not _has_version(model_path):
        return "the file is damaged or incomplete. Fetch it again with `kefu models pull`."
    if run.log.says("unknown model architecture", "unknown pre-tokenizer"):
        return "this version of llama.cpp does not know that kind of model. Take another one."
    if run.log.says("out of memory", "failed to allocate", "unable to allocate", "bad_alloc"):
        return "not enough memory. Take a smaller model, or lower generator.n_parallel."
    if run.returncode is not None and run.returncode < 0:
        return (
            f"it was ended by signal {-run.returncode}. If the system ran out of memory, take a "
            "smaller model, or lower generator.n_parallel or generator.chat_context_tokens."
        )
    return f"it ended with status {run.returncode}."


def _has_version(path: Path) -> bool:
    """Whether the four bytes after the magic are a version: a small number, little-endian."""
    with path.open("rb") as file:
        return 0 < int.from_bytes(file.read(8)[4:], "little") < 100


def _is_gguf(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(len(GGUF_MAGIC)) == GGUF_MAGIC
