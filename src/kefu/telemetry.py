"""Logs and metrics: what the operator sees of a running desk.

Logs are events with fields; the text of a message never appears in them, and where a field or an
error quotes somebody's number or address it is masked. Metrics live in a registry of their own so
that tests and several desks in one process do not share counters.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from functools import cache
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from kefu.personal_data import mask
from kefu.settings import LogSettings
from kefu.tracing import stage_span

# From a tenth of a millisecond (an exact match) to a minute (a long generation on a laptop).
SECONDS = (
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05,
    0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0,
)  # fmt: skip

# From somebody who sits before the queue to a message that was left over night.
WAITING_SECONDS = (1.0, 5.0, 15.0, 60.0, 180.0, 600.0, 1800.0, 3600.0, 4 * 3600.0, 12 * 3600.0)

# A sentence is looked through in microseconds; a text of 4,000 characters takes a millisecond.
MODERATION_SECONDS = (
    0.000005, 0.00001, 0.00002, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.005, 0.025, 0.1,
)  # fmt: skip


LOOP_LOOK_SECONDS = 0.1


class Metrics:
    """Every metric kefu exports, by the name it has in `/metrics`."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)  # processor time, memory, open files (Linux)
        self.turns = Counter(
            "kefu_turns", "Turns by source of the reply.", ["source"], registry=self.registry
        )
        self.turn_failures = Counter(
            "kefu_turn_failures",
            "Turns that ended in an error, by code.",
            ["code"],
            registry=self.registry,
        )
        self.turn_seconds = Histogram(
            "kefu_turn_seconds",
            "Whole turn by source.",
            ["source"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.stage_seconds = Histogram(
            "kefu_stage_seconds",
            "One stage of a turn.",
            ["stage"],
            buckets=SECONDS,
            registry=self.registry,
        )
        self.first_token_seconds = Histogram(
            "kefu_first_token_seconds",
            "From message to first token.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.intents = Counter(
            "kefu_intents", "Messages by intent.", ["label"], registry=self.registry
        )
        self.ratings = Counter(
            "kefu_ratings",
            "Ratings of replies: up, down, withdrawn.",
            ["rating"],
            registry=self.registry,
        )
        self.ungrounded_replies = Counter(
            "kefu_ungrounded_replies",
            "Generated replies cut or replaced because the passages do not say that.",
            ["reason"],
            registry=self.registry,
        )
        self.unwritten_replies = Counter(
            "kefu_unwritten_replies",
            "Replies given in place of a generated one because the generator was full or away.",
            ["source"],
            registry=self.registry,
        )
        self.tokens = Counter(
            "kefu_generator_tokens",
            "Tokens read and written.",
            ["direction"],
            registry=self.registry,
        )
        self.tokens_per_second = Histogram(
            "kefu_generator_tokens_per_second",
            "Writing speed of one answer.",
            buckets=(5, 10, 20, 40, 60, 80, 100, 150, 200, 400),
            registry=self.registry,
        )
        self.generator_waiting = Gauge(
            "kefu_generator_waiting", "Generations waiting for a place.", registry=self.registry
        )
        self.generator_running = Gauge(
            "kefu_generator_running", "Generations running.", registry=self.registry
        )
        self.generator_restarts = Counter(
            "kefu_generator_restarts", "Times llama.cpp was started again.", registry=self.registry
        )
        self.upstream_open = Gauge(
            "kefu_upstream_open_requests",
            "Answers that an upstream writes.",
            ["upstream"],
            registry=self.registry,
        )
        self.upstream_up = Gauge(
            "kefu_upstream_up",
            "Whether an upstream answered when it was last looked at.",
            ["upstream"],
            registry=self.registry,
        )
        self.upstream_breaker = Gauge(
            "kefu_upstream_breaker",
            "Circuit breaker of an upstream: 0 closed, 1 half open, 2 open.",
            ["upstream"],
            registry=self.registry,
        )
        self.upstream_requests = Counter(
            "kefu_upstream_requests",
            "Requests to an upstream: answered, failed, refused (429).",
            ["upstream", "outcome"],
            registry=self.registry,
        )
        self.encoder_waiting = Gauge(
            "kefu_encoder_waiting", "Sentences waiting.", registry=self.registry
        )
        self.encoder_batch = Histogram(
            "kefu_encoder_batch_size",
            "Sentences per run.",
            buckets=(1, 2, 4, 8, 16, 32),
            registry=self.registry,
        )
        self.commit_batch = Histogram(
            "kefu_commit_batch_size",
            "Turns per commit.",
            buckets=(1, 2, 4, 8, 16, 32, 64),
            registry=self.registry,
        )
        self.commit_waiting = Gauge(
            "kefu_commit_waiting", "Writes waiting for a commit.", registry=self.registry
        )
        self.turn_limit = Gauge(
            "kefu_turn_limit",
            "Turns worked on at once; more are refused. Moves with how quick they are.",
            registry=self.registry,
        )
        self.refused_turns = Counter(
            "kefu_refused_turns", "Messages told to come again.", registry=self.registry
        )
        self.open_turns = Gauge("kefu_open_turns", "Turns being answered.", registry=self.registry)
        self.loop_lag_seconds = Histogram(
            "kefu_event_loop_lag_seconds",
            "How late the event loop was, looked at ten times a second.",
            buckets=SECONDS,
            registry=self.registry,
        )
        self.knowledge_entries = Gauge(
            "kefu_knowledge_entries", "Entries that answer.", registry=self.registry
        )
        self.answer_cache_lookups = Counter(
            "kefu_answer_cache_lookups",
            "Questions by how the answer cache answered.",
            ["kind"],
            registry=self.registry,
        )
        self.reviews_pending = Gauge(
            "kefu_reviews_pending", "Held messages that wait for a person.", registry=self.registry
        )
        self.review_verdicts = Counter(
            "kefu_review_verdicts",
            "Held messages by what was decided and whose words they are.",
            ["status", "direction"],
            registry=self.registry,
        )
        self.review_seconds = Histogram(
            "kefu_review_seconds",
            "From a held message to its later reply.",
            buckets=WAITING_SECONDS,
            registry=self.registry,
        )
        self.answer_cache_entries = Gauge(
            "kefu_answer_cache_entries", "Answers kept to be given again.", registry=self.registry
        )
        self.moderation_verdicts = Counter(
            "kefu_moderation_verdicts",
            "Texts by whose they are, what became of them, and for which category.",
            ["direction", "outcome", "category"],
            registry=self.registry,
        )
        self.moderation_seconds = Histogram(
            "kefu_moderation_seconds",
            "One look at a text: for its words, for its meaning.",
            ["check"],
            buckets=MODERATION_SECONDS,
            registry=self.registry,
        )
        self.moderation_words = Gauge(
            "kefu_moderation_words", "Words that are looked for.", registry=self.registry
        )

    @cache  # noqa: B019 - as long as the desk, and a dozen stages
    def seconds_of_stage(self, stage: str) -> Histogram:
        return self.stage_seconds.labels(stage)


async def watch_loop_lag(metrics: Metrics) -> None:
    """Measure how long whatever is due has to wait for the event loop. Runs for ever."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LOOP_LOOK_SECONDS
        await asyncio.sleep(LOOP_LOOK_SECONDS)
        metrics.loop_lag_seconds.observe(max(0.0, loop.time() - due))


class StageClock:
    """Times the stages of one turn: `with clock("encode"): ...`, then `clock.timings_ms`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._begun = time.perf_counter()
        self.timings_ms: dict[str, float] = {}

    @contextmanager
    def __call__(self, stage: str) -> Iterator[None]:
        begun = time.perf_counter()
        try:
            with stage_span(stage):
                yield
        finally:
            seconds = time.perf_counter() - begun
            self._metrics.seconds_of_stage(stage).observe(seconds)
            # A stage may run twice, as when a follow-up is searched again with its context.
            before = self.timings_ms.get(stage, 0.0)
            self.timings_ms[stage] = round(before + seconds * 1000, 3)

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._begun


def configure_logging(settings: LogSettings) -> None:
    """Send structlog and the standard library's loggers through one formatter to stderr."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    console = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    renderer: Any = (
        # Plain tracebacks: the rich ones print local variables, and with them customers' words.
        structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)
        if console
        else structlog.processors.JSONRenderer(ensure_ascii=False)
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                mask_personal_data,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.level.upper())
    for chatty in ("httpx", "httpcore", "alembic", "uvicorn.access"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )


# Written by kefu itself, on every line.
_OWN_FIELDS = frozenset({"timestamp", "level", "logger"})


def mask_personal_data(
    _: Any, __: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """A structlog processor: no field, however nested, shows somebody's number or address."""
    return {
        name: value if name in _OWN_FIELDS else _without_details(value)
        for name, value in event.items()
    }


def _without_details(value: Any) -> Any:
    match value:
        case str():
            return mask(value)
        case None | bool() | int() | float():
            return value
        case Mapping():
            return {_without_details(key): _without_details(item) for key, item in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_without_details(item) for item in value]
        case _:  # whatever it is, it will be written like this
            shown = repr(value)
            masked = mask(shown)
            return value if masked == shown else masked
