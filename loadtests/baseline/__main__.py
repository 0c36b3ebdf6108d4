"""The most messages a second that kefu and the tutorial's bot hold, one after the other, in turns.

    python -m loadtests.baseline --data-dir DATA_DIR [--new 0.02] [--seconds 20] [--rounds 3] [--json]

Both know the sample shop's English entries, have the same GGUF and as many threads, and get the same
messages: known questions with Zipf's frequencies, and `--new` of questions that no entry answers
(all-MiniLM, the tutorial's BERT, reads English only). Needs `kefu[train,bench]` and llama-cpp-python.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

from kefu.bench.load.desk import free_port, started_desk, wait_ready
from kefu.bench.load.figures import Figures
from kefu.bench.load.questions import words_of
from kefu.bench.load.running import Test, find_capacity, run_test
from kefu.bench.load.traffic import Mix
from kefu.bench.machine import describe_machine
from kefu.inference.models.resolve import LocalGguf, resolve_bert, resolve_generator
from kefu.knowledge.sample_shop import sample_entries
from kefu.settings import Settings, load_settings

BERT = "all-minilm-l6-v2"
USERS = 200
FIRST_RATE = 4.0


@dataclass(frozen=True)
class Held:
    """Medians of the rounds. `rate`: the most messages a second at which the replies that are not
    written took less than the limit at p99; the times are at the rate that both hold."""

    rate: float
    p50_ms: float
    p99_ms: float
    share_written: float


@contextmanager
def started_recipe(settings: Settings, data: Path) -> Iterator[str]:
    generator = resolve_generator(settings)
    assert isinstance(generator, LocalGguf)
    faq, users = data / "faq.jsonl", data / "users"
    users.mkdir()
    faq.write_text(
        "\n".join(
            json.dumps({"question": question, "answer": entry.answer})
            for entry in _entries()
            for question in entry.questions
        ),
        "utf-8",
    )
    port = free_port()
    given = {
        "faq": faq,
        "bert": resolve_bert(settings, BERT),
        "gguf": generator.path,
        "users": users,
        "port": port,
        "threads": settings.generator.detected_threads,
    }
    options = [str(part) for name, value in given.items() for part in (f"--{name}", value)]
    log = data / "recipe.log"
    with log.open("wb") as errors:
        command = [sys.executable, "-m", "loadtests.baseline.recipe", *options]
        bot = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=errors)
    url = f"http://127.0.0.1:{port}"
    try:
        wait_ready(bot, url, log)
        yield url
    finally:
        bot.kill()
        bot.wait()


def _entries() -> list:
    return [entry for entry in sample_entries() if entry.language == "en"]


def measure(given: argparse.Namespace) -> dict[str, Held]:
    settings = load_settings({"data_dir": given.data_dir})
    words = words_of(_entries())
    mix = Mix(1 - given.new, 0.0, given.new, 0.0, 0.0, streamed=0.0)
    rates: dict[str, list[float]] = {"recipe": [], "kefu": []}
    beside: dict[str, list[Figures]] = {"recipe": [], "kefu": []}
    for number in range(given.rounds):
        for name in rates:
            with TemporaryDirectory() as folder:
                opened = (
                    started_recipe(settings, Path(folder))
                    if name == "recipe"
                    else started_desk(settings)
                )
                with opened as url:
                    test = Test(url, "", USERS, USERS, FIRST_RATE, given.seconds, number)
                    found = find_capacity(test, words, mix, given.p99, lambda *_: None)
                    rates[name].append(found.rate or 0.0)
                    same = Test(url, "", USERS, USERS, given.rate, given.seconds, number)
                    beside[name].append(run_test(same, words, mix, lambda *_: None))
            print(f"round {number + 1}, {name}: {rates[name][-1]:.0f}/s", file=sys.stderr)
    return {name: _held(rates[name], beside[name]) for name in rates}


def _held(rates: list[float], found: list[Figures]) -> Held:
    quick = [figures.quick for figures in found if figures.quick]
    return Held(
        median(rates),
        median(latency.p50 for latency in quick),
        median(latency.p99 for latency in quick),
        median(figures.share_written for figures in found),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--new", type=float, default=0.02)
    parser.add_argument("--rate", type=float, default=FIRST_RATE, help="at which both are timed")
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--p99", type=float, default=400)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = measure(given)
    recipe, kefu = found["recipe"], found["kefu"]
    ratio = kefu.rate / recipe.rate if recipe.rate else None
    if given.json:
        told = {name: asdict(held) for name, held in found.items()}
        print(json.dumps({"machine": describe_machine(), **told, "ratio": ratio}, indent=1))
        return
    for name, held in found.items():
        print(f"{name:8} {held.rate:8.0f} messages/s at p99 < {given.p99:g} ms; at {given.rate:g}/s p50 "
              f"{held.p50_ms:.1f} ms, p99 {held.p99_ms:.1f} ms, {held.share_written:.1%} written")  # fmt: skip
    if ratio:
        print(f"kefu / recipe: {ratio:.0f} x the messages, p99 {kefu.p99_ms / recipe.p99_ms:.3f} x")


if __name__ == "__main__":
    main()
