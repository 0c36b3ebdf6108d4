"""Three ways to have a GGUF write: in process with PyTorch or llama-cpp-python, and kefu's own."""

from __future__ import annotations

import asyncio
import importlib
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kefu.bert.optional import NotInstalled, require_torch, require_transformers
from kefu.inference.generator.embedded import EmbeddedGenerator
from kefu.inference.generator.protocol import Prompt
from kefu.settings import GeneratorSettings
from kefu.telemetry import Metrics


@dataclass(frozen=True)
class Setting:
    """What all engines are given. `parallel`: the most answers at once; `gpu`: where there is one."""

    model: Path
    threads: int
    parallel: int
    context_tokens: int
    gpu: bool


@dataclass(frozen=True)
class Stream:
    """One answer: seconds to its first token, seconds in all, and its tokens."""

    first: float
    seconds: float
    tokens: int


Answer = Callable[[Sequence[str], int], list[Stream]]
"""Writes so many tokens at most after each of several prompts, all at once."""


@contextmanager
def transformers(setting: Setting) -> Iterator[Answer]:
    """Hugging Face transformers, which unpacks the GGUF: bfloat16 on a GPU, float32 without one."""
    torch, library = require_torch(), require_transformers()
    try:
        importlib.import_module("accelerate")
    except ImportError as error:
        raise NotInstalled(
            "accelerate, without which transformers reads no GGUF, is not installed: "
            "pip install 'kefu[train]'"
        ) from error
    torch.set_num_threads(setting.threads)
    on_gpu = setting.gpu and torch.cuda.is_available()
    folder, file = setting.model.parent, setting.model.name
    tokenizer = library.AutoTokenizer.from_pretrained(folder, gguf_file=file)
    model = library.AutoModelForCausalLM.from_pretrained(
        folder,
        gguf_file=file,
        quantization_config=library.GgufConfig(dequantize=True),
        dtype=torch.bfloat16 if on_gpu else torch.float32,
    ).to("cuda" if on_gpu else "cpu")

    def write(prompt: str, tokens: int, on_token: Callable[[], None]) -> None:
        ids = tokenizer(prompt, return_tensors="pt").to(model.device)
        streamer = _Streamer(on_token)
        model.generate(**ids, max_new_tokens=tokens, do_sample=False, streamer=streamer)

    yield _together(write)


@contextmanager
def llama_cpp_python(setting: Setting) -> Iterator[Answer]:
    """llama.cpp in process. One answer at a time: threads may not share its context."""
    try:
        library = importlib.import_module("llama_cpp")
    except ImportError as error:
        raise NotInstalled(
            "llama-cpp-python is not installed: pip install llama-cpp-python (it is compiled "
            "here, which takes a C++ compiler and some minutes)"
        ) from error
    model = library.Llama(
        model_path=str(setting.model),
        n_ctx=setting.context_tokens,
        n_threads=setting.threads,
        n_threads_batch=setting.threads,
        n_gpu_layers=-1 if setting.gpu else 0,
        verbose=False,
    )
    lock = threading.Lock()

    def write(prompt: str, tokens: int, on_token: Callable[[], None]) -> None:
        with lock:
            options = {"max_tokens": tokens, "temperature": 0.0, "stream": True}
            for piece in model.create_completion(prompt, **options):
                if piece["choices"][0]["text"]:
                    on_token()

    yield _together(write)


@contextmanager
def kefu(setting: Setting) -> Iterator[Answer]:
    """llama.cpp's server in a child process, as a desk runs it."""
    settings = GeneratorSettings(
        model=str(setting.model),
        n_parallel=setting.parallel,
        threads=setting.threads,
        chat_context_tokens=setting.context_tokens,
        gpu_layers=-1 if setting.gpu else 0,
        niceness=0,
    )
    generator = EmbeddedGenerator(setting.model, settings, Metrics())

    async def one(prompt: str, tokens: int) -> Stream:
        began = time.perf_counter()
        first, count = 0.0, 0
        async with aclosing(generator.stream(Prompt(text=prompt), max_tokens=tokens)) as pieces:
            async for piece in pieces:
                first = first or time.perf_counter() - began
                count = piece.usage.completion_tokens if piece.usage else count
        return Stream(first, time.perf_counter() - began, count)

    async def every(prompts: Sequence[str], tokens: int) -> list[Stream]:
        return await asyncio.gather(*(one(prompt, tokens) for prompt in prompts))

    with asyncio.Runner() as runner:
        try:
            runner.run(generator.start())
            yield lambda prompts, tokens: runner.run(every(prompts, tokens))
        finally:
            runner.run(generator.aclose())


WAYS = {
    "transformers": transformers,
    "llama-cpp-python": llama_cpp_python,
    "kefu": kefu,
}


class _Streamer:
    """transformers' streamer: told of the prompt first, then of each token."""

    def __init__(self, on_token: Callable[[], None]) -> None:
        self._on_token = on_token
        self._has_prompt = False

    def put(self, _: Any) -> None:
        if self._has_prompt:
            self._on_token()
        self._has_prompt = True

    def end(self) -> None: ...


def _together(write: Callable[[str, int, Callable[[], None]], None]) -> Answer:
    """Each prompt in a thread of its own, as web frameworks run handlers that block."""

    def one(prompt: str, tokens: int) -> Stream:
        began = time.perf_counter()
        times: list[float] = []
        write(prompt, tokens, lambda: times.append(time.perf_counter() - began))
        return Stream(times[0] if times else 0.0, time.perf_counter() - began, len(times))

    def answer(prompts: Sequence[str], tokens: int) -> list[Stream]:
        with ThreadPoolExecutor(len(prompts)) as pool:
            return list(pool.map(one, prompts, [tokens] * len(prompts)))

    return answer
