"""`[encoder]` and `[generator]`: the models, and the servers that run them."""

from __future__ import annotations

from typing import Literal
from urllib.parse import urlsplit

import psutil
from pydantic import Field, field_validator, model_validator

from kefu.limits import usable_cpus
from kefu.settings.section import Section


class EncoderSettings(Section):
    model: str = Field("use-multilingual-v3", description="Catalogue name of the sentence encoder.")
    url: str = Field(
        "",
        description="Triton server that runs it (`http://host:8000`, `grpc://host:8001`); empty: "
        "this process does.",
    )
    request_seconds: float = Field(
        5, gt=0, description="How long the server at `encoder.url` may take for an answer."
    )
    threads: int = Field(1, ge=1, description="CPU threads of one encoder run.")
    max_batch: int = Field(32, ge=1, description="Sentences encoded in one run at most.")
    max_waiting: int = Field(1024, ge=1, description="Sentences that may wait; more are refused.")


class UpstreamSettings(Section):
    """One of several servers that write: `[[generator.upstreams]]`."""

    url: str = Field(description="Address of an OpenAI-compatible server.")
    weight: float = Field(
        1.0,
        ge=0,
        allow_inf_nan=False,
        description="Its share of the customers, as compared with the others; 0: only where no "
        "other can.",
    )
    max_open: int = Field(0, ge=0, description="Answers it writes at once; 0: no limit of its own.")
    api_key: str = Field("", repr=False, description="Its key; empty: `generator.api_key`.")
    model: str = Field("", description="Model name sent to it; empty: `generator.upstream_model`.")

    @field_validator("url")
    @classmethod
    def _is_address(cls, url: str) -> str:
        parts = urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("no http:// or https:// address")
        return url.rstrip("/")

    @property
    def name(self) -> str:
        """Host, port and path: what tells it from the others, in figures and when customers are
        shared out. Without a password, and the same with and without `/v1`."""
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2].lower()
        return host + parts.path.rstrip("/").removesuffix("/v1")


class GeneratorSettings(Section):
    model: str = Field(
        "gemma-3-270m-desk",
        description="Catalogue name, path of a GGUF file, or URL of an OpenAI-compatible server.",
    )
    upstream_model: str = Field("", description="Model name sent to an OpenAI-compatible server.")
    api_key: str = Field("", repr=False, description="Key for an OpenAI-compatible server.")
    upstreams: tuple[UpstreamSettings, ...] = Field(
        (), description="Several OpenAI-compatible servers instead of `generator.model`."
    )
    prompt: Literal["auto", "completion", "chat", "trained"] = Field(
        "auto",
        description="Few-shot text for base models, chat messages for instruct models, or the "
        "layout that training/generator teaches.",
    )
    adapter: str = Field("", description="Path of a GGUF LoRA adapter that llama.cpp applies.")
    n_parallel: int = Field(0, ge=0, le=64, description="Answers written at once; 0 detects.")
    chat_context_tokens: int = Field(3072, ge=1024, description="Context of one chat, in tokens.")
    threads: int = Field(
        0,
        ge=0,
        description="CPU threads of llama.cpp; 0: the physical cores, or as many as a container "
        "allows.",
    )
    gpu_layers: int = Field(-1, ge=-1, description="Layers on the GPU; -1 is all that fit.")
    niceness: int = Field(10, ge=0, le=19, description="CPU priority below the desk's (nice).")
    max_waiting: int = Field(32, ge=0, description="Generations that may wait; more are refused.")
    start_seconds: float = Field(60, gt=0, description="How long llama.cpp may take to load.")
    wait_seconds: float = Field(20, gt=0, description="How long a turn waits for its generation.")
    idle_seconds: float = Field(30, gt=0, description="Longest silence between two tokens.")
    first_token_seconds: float = Field(
        15,
        gt=0,
        description="Of several upstreams another is asked where one has written nothing for so long.",
    )
    temperature: float = Field(0.0, ge=0, le=2, description="0 is greedy: the same answer again.")

    @model_validator(mode="after")
    def _check_upstreams(self) -> GeneratorSettings:
        if not self.upstreams:
            return self
        if "model" in self.model_fields_set:
            raise ValueError(
                f"model ({self.model}) and upstreams are both given: leave out one of them"
            )
        names = [upstream.name for upstream in self.upstreams]
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise ValueError(f"upstreams: {', '.join(twice)} is there more than once")
        if not any(upstream.weight for upstream in self.upstreams):
            raise ValueError("upstreams: every weight is 0; give at least one a share")
        return self

    @property
    def id(self) -> str:
        """Names what writes: answers of another one are not given again. Of several upstreams the
        models count, not where they run or how many they are: kept answers survive one more."""
        if self.upstreams:
            models = sorted({one.model or self.upstream_model for one in self.upstreams})
            return f"upstreams {models} {self.prompt} {self.temperature}"
        return f"{self.model} {self.upstream_model} {self.adapter} {self.prompt} {self.temperature}"

    @property
    def title(self) -> str:
        """What writes, for people."""
        return ", ".join(upstream.name for upstream in self.upstreams) or self.model

    @property
    def places(self) -> int:
        """Answers written at once: what the upstreams take together, where each of them says."""
        limits = [upstream.max_open for upstream in self.upstreams]
        return sum(limits) if limits and all(limits) else self.detected_parallel

    def instead(self, model: str) -> GeneratorSettings:
        """These settings with another model, where a command names one."""
        return self.model_copy(update={"model": model, "upstreams": ()})

    @property
    def detected_threads(self) -> int:
        """Physical cores, as far as they are usable: llama.cpp gains nothing from hyper-threads and
        the desk needs room."""
        return self.threads or max(1, min(psutil.cpu_count(logical=False) or 1, usable_cpus()))

    @property
    def detected_parallel(self) -> int:
        """Two streams per thread, 2 to 8: batching pays until the cores are busy."""
        return self.n_parallel or min(8, max(2, 2 * self.detected_threads))
