"""How fast and how large is one model in three engines, with 1 to 8 answers at once?

Engines are asked in turn, round after round, so that whatever else the machine does hits all
alike. One that is not asked sleeps.
"""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, field, replace
from statistics import median
from typing import Any

import psutil

from kefu.bench.engines.ways import WAYS, Setting, Stream
from kefu.bench.machine import describe_machine
from kefu.errors import KefuError
from kefu.knowledge.sample_shop import sample_entries

STREAMS = (1, 2, 4, 8)
ROUNDS = 5
TOKENS = 48
_PASSAGES = 4
_MIB = 2**20

OnProgress = Callable[[str, int, int], None]
"""Told what goes on, how much of it is done, and of how much."""


@dataclass(frozen=True)
class Cell:
    """`streams` answers at once. Medians of the rounds; tokens a second are those of all together,
    from the first question to the last token, reading included."""

    streams: int
    first_token_ms: float
    tokens_per_second: float


@dataclass(frozen=True)
class Row:
    """An engine. `missing` says why there are no figures; "" where there are. Memory in MiB, of the
    process and its children, the most that was seen."""

    name: str
    missing: str = ""
    ready_seconds: float | None = None
    memory_mib: float | None = None
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True)
class Report:
    """`prompt_characters`: of one prompt, the median."""

    machine: dict[str, Any]
    model: str
    threads: int
    rounds: int
    tokens: int
    prompt_characters: float
    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass
class _Engine:
    """A worker that answers. `memory`: the most it had after an answer, in MiB."""

    name: str
    process: subprocess.Popen[str]
    ready_seconds: float = 0.0
    missing: str = ""
    memory: float = 0.0
    found: dict[int, list[list[Stream]]] = field(default_factory=dict)

    def ask(self, prompts: Sequence[str], tokens: int) -> list[Stream]:
        answer = self.exchange({"prompts": prompts, "tokens": tokens})
        with suppress(psutil.Error):
            root = psutil.Process(self.process.pid)
            family = (root, *root.children(recursive=True))
            self.memory = max(self.memory, sum(p.memory_info().rss for p in family) / _MIB)
        return [Stream(**one) for one in answer]

    def exchange(self, what: Any) -> Any:
        assert self.process.stdin
        assert self.process.stdout
        with suppress(BrokenPipeError):  # told below
            print(json.dumps(what), file=self.process.stdin, flush=True)
        line = self.process.stdout.readline()
        if not line:
            raise KefuError(f"The process of {self.name} ended; its last words are above.")
        return json.loads(line)


def compare_engines(
    setting: Setting,
    *,
    streams: Sequence[int] = STREAMS,
    rounds: int = ROUNDS,
    tokens: int = TOKENS,
    names: Sequence[str] = tuple(WAYS),
    on_progress: OnProgress = lambda what, done, total: None,
) -> Report:
    """Raises `KefuError` where an engine breaks down; one that is not installed is a row without
    figures."""
    machine = describe_machine()
    prompts = make_prompts(max(streams) * rounds * len(streams) * len(names) + len(names))
    lengths = [len(prompt) for prompt in prompts]
    pool = iter(prompts)
    with ExitStack() as stack:
        engines = []
        for number, name in enumerate(names):
            on_progress(f"loading {name}", number, len(names))
            engines.append(stack.enter_context(_started(name, setting)))
        working = [engine for engine in engines if not engine.missing]
        for engine in working:
            engine.ask([next(pool)], tokens)  # the first answer of a process is always slow
        steps = [(engine, count) for _ in range(rounds) for count in streams for engine in working]
        for number, (engine, count) in enumerate(steps):
            on_progress(f"{engine.name}, {count} at once", number, len(steps))
            asked = [next(pool) for _ in range(count)]
            engine.found.setdefault(count, []).append(engine.ask(asked, tokens))
    return Report(
        machine,
        setting.model.name,
        setting.threads,
        rounds,
        tokens,
        median(lengths),
        tuple(map(_row, engines)),
    )


def make_prompts(count: int) -> list[str]:
    """Passages of the sample shop and a question, no two alike: nothing can be read ahead but the
    first words."""
    chance = random.Random(0)  # noqa: S311 # the same prompts again, no secret
    entries = [entry for entry in sample_entries() if entry.language == "zh"]
    made = []
    for _ in range(count):
        shown = chance.sample(entries, _PASSAGES)
        lines = [f"资料：{entry.question} {entry.answer}" for entry in shown]
        made.append("\n".join((*lines, f"顾客：{shown[-1].question}", "客服：")))
    return made


@contextmanager
def _started(name: str, setting: Setting) -> Iterator[_Engine]:
    command = [sys.executable, "-m", "kefu.bench.engines.worker", name]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, encoding="utf-8"
    )
    try:
        engine = _Engine(name, process)
        told = engine.exchange({**asdict(setting), "model": str(setting.model)})
        yield replace(engine, ready_seconds=told.get("ready", 0.0), missing=told.get("missing", ""))
    finally:
        assert process.stdin
        assert process.stdout
        with suppress(BrokenPipeError):
            process.stdin.close()
        process.stdout.close()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _row(engine: _Engine) -> Row:
    if engine.missing:
        return Row(engine.name, engine.missing)
    cells = (_cell(count, found) for count, found in sorted(engine.found.items()))
    return Row(engine.name, "", engine.ready_seconds, engine.memory, tuple(cells))


def _cell(count: int, found: list[list[Stream]]) -> Cell:
    firsts = [stream.first for answered in found for stream in answered]
    speeds = [
        sum(stream.tokens for stream in answered) / max(stream.seconds for stream in answered)
        for answered in found
    ]
    return Cell(count, 1000 * median(firsts), median(speeds))
