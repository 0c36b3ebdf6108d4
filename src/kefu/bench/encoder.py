"""How fast is a BERT in PyTorch, in ONNX Runtime and in int8, on this machine and in one run?

Rows are called in turn, round after round, so that whatever else the machine does hits all alike.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from kefu.bench.machine import describe_machine
from kefu.bench.variants import EAGER, Answer, Input, Run, Variant, make_inputs, variants_of
from kefu.errors import KefuError
from kefu.inference.encoder.protocol import SentenceEncoder

BATCHES = (1, 8, 32)
TOKENS = (12, 32, 128)
ROUNDS = 20

OnProgress = Callable[[str, int, int], None]
"""Told what goes on, how much of it is done, and of how much."""


@dataclass(frozen=True)
class Cell:
    """One call with `batch` texts of `tokens` tokens. `speedup` is over PyTorch eager."""

    batch: int
    tokens: int
    median_ms: float
    p95_ms: float
    sentences_per_second: float
    speedup: float | None


@dataclass(frozen=True)
class Row:
    """One way to run the model. `missing` says why there are no figures; "" where there are.

    `prepare_seconds`: load, export, compile and the first calls. `max_difference` and
    `min_cosine` hold the vectors against PyTorch eager's; None where there is nothing to compare.
    """

    name: str
    same_weights: bool
    missing: str = ""
    prepare_seconds: float | None = None
    max_difference: float | None = None
    min_cosine: float | None = None
    cells: tuple[Cell, ...] = ()


@dataclass(frozen=True)
class Report:
    """`model` is the folder's name, "" where none was given."""

    machine: dict[str, Any]
    model: str
    threads: int
    rounds: int
    rows: tuple[Row, ...]

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True, eq=False)
class _Ready:
    """A variant that runs, and what it answered when it was warmed up, by input."""

    variant: Variant
    run: Run
    seconds: float
    answers: list[Answer]


def compare_encoders(
    model: Path | None,
    own: Callable[[], SentenceEncoder],
    *,
    threads: int,
    batches: Sequence[int] = BATCHES,
    tokens: Sequence[int] = TOKENS,
    rounds: int = ROUNDS,
    on_progress: OnProgress = lambda *_: None,
) -> Report:
    """Measure every variant that runs here; the others say why they do not.

    Raises `ModelMissing` or `ModelCorrupt` where `model` is not a Hugging Face folder.
    """
    on_progress("looking at the machine", 0, 1)
    machine = describe_machine()
    inputs = make_inputs(model, batches, tokens)
    with TemporaryDirectory(prefix="kefu-bench-", ignore_cleanup_errors=True) as scratch:
        variants = variants_of(model, own, threads, max(tokens), Path(scratch))
        prepared = [
            _prepare(variant, inputs, on_progress, number, len(variants))
            for number, variant in enumerate(variants)
        ]
        ready = [one for one in prepared if isinstance(one, _Ready)]
        times = _measure(ready, inputs, rounds, on_progress)
    rows = [one if isinstance(one, Row) else _row(one, inputs, times, ready) for one in prepared]
    name = "" if model is None else model.resolve().name
    return Report(machine, name, threads, rounds, tuple(rows))


def _prepare(
    variant: Variant, inputs: Sequence[Input], on_progress: OnProgress, done: int, total: int
) -> _Ready | Row:
    on_progress(f"preparing {variant.name}", done, total)
    start = time.perf_counter()
    try:
        run = variant.build()
        answers = [run(given) for given in inputs]
    except KefuError as error:
        return Row(variant.name, variant.same_weights, str(error))
    except Exception as error:  # noqa: BLE001 - what cannot run here is a row that says so
        return Row(variant.name, variant.same_weights, _in_one_line(error))
    return _Ready(variant, run, time.perf_counter() - start, answers)


def _measure(
    ready: Sequence[_Ready], inputs: Sequence[Input], rounds: int, on_progress: OnProgress
) -> dict[tuple[str, int], list[float]]:
    """Seconds of every call, by the variant's name and the number of the input."""
    times: dict[tuple[str, int], list[float]] = {}
    total = rounds * len(inputs)
    for done in range(total):
        on_progress("measuring", done, total)
        number = done % len(inputs)
        for one in ready:
            # Once untimed: the row before leaves threads that spin and caches that are its own.
            one.run(inputs[number])
            start = time.perf_counter()
            one.run(inputs[number])
            times.setdefault((one.variant.name, number), []).append(time.perf_counter() - start)
    on_progress("measuring", total, total)
    return times


def _row(
    one: _Ready,
    inputs: Sequence[Input],
    times: dict[tuple[str, int], list[float]],
    ready: Sequence[_Ready],
) -> Row:
    name = one.variant.name
    cells = [
        _cell(given, times[name, number], times.get((EAGER, number)))
        for number, given in enumerate(inputs)
    ]
    eager = next((other for other in ready if other.variant.name == EAGER), None)
    compared = eager is not None and eager is not one and one.variant.same_weights
    pairs = list(zip(one.answers, eager.answers, strict=True)) if compared and eager else []
    return Row(
        name,
        one.variant.same_weights,
        prepare_seconds=round(one.seconds, 2),
        max_difference=max((_difference(a, b) for a, b in pairs), default=None),
        min_cosine=min((_cosine(a, b) for a, b in pairs), default=None),
        cells=tuple(cells),
    )


def _cell(given: Input, seconds: Sequence[float], eager: Sequence[float] | None) -> Cell:
    median = float(np.median(seconds))
    return Cell(
        given.batch,
        given.tokens,
        median_ms=round(median * 1000, 3),
        p95_ms=round(float(np.percentile(seconds, 95)) * 1000, 3),
        sentences_per_second=round(given.batch / median, 1),
        speedup=None if eager is None else round(float(np.median(eager)) / median, 2),
    )


def _difference(a: Answer, b: Answer) -> float:
    return float(np.abs(a - b).max())


def _cosine(a: Answer, b: Answer) -> float:
    """Of the row that differs most."""
    norms = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
    return float(((a * b).sum(axis=1) / norms).min())


def _in_one_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0] if lines else 'no message'}"[:300]
