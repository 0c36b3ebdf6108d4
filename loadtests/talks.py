"""How long a customer waits for the first word, turn by turn: is only what is new read?

    python -m loadtests.talks [--customers 1 4 8] [--turns 6] [--data-dir DATA_DIR]
                              [--model NAME --prompt chat] [--json]

Customers take turns, one message each after the other, so that as many talks as there are
customers compete for llama.cpp's slots. Each turn shows the model the talk so far and passages of
the sample shop that no turn before showed. `read`: tokens of the prompt that llama.cpp had to
read; the others it still knew. Medians over customers and rounds; nothing runs beside it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import statistics
import sys
import time
from collections.abc import Iterator
from contextlib import AsyncExitStack, aclosing
from dataclasses import asdict, dataclass
from pathlib import Path

from kefu.inference.embedded import open_generator
from kefu.inference.generator.embedded import EmbeddedGenerator
from kefu.inference.generator.protocol import Generator, Prompt, Usage
from kefu.knowledge.closely import Match
from kefu.knowledge.entry import Entry
from kefu.knowledge.sample_shop import sample_entries
from kefu.language import detect
from kefu.settings import LogSettings, load_settings
from kefu.telemetry import Metrics, configure_logging
from kefu.turn.prompt import PromptWriter
from kefu.turn.reply import Round

TOKENS = 32
SHOWN = 8


@dataclass(frozen=True)
class Heard:
    first_ms: float
    prompt_tokens: int
    read_tokens: int
    text: str


@dataclass(frozen=True)
class Row:
    """Of one turn, medians. `of_second`: its first word against that of turn 2."""

    customers: int
    turn: int
    first_ms: float
    prompt_tokens: float
    read_tokens: float
    of_second: float


class Talk:
    """One customer's, about entries that nobody else asks about."""

    def __init__(self, entries: Iterator[Entry]) -> None:
        self._entries = entries
        self._rounds: list[Round] = []

    async def ask(self, generator: Generator, prompts: PromptWriter) -> Heard:
        shown = [next(self._entries) for _ in range(SHOWN)]
        matches = [Match(entry, entry.question, *5 * (0.5,)) for entry in shown]
        prompt = prompts.write(shown[0].question, self._rounds, matches, "zh")
        heard = await listen(generator, prompt)
        self._rounds.append(Round(shown[0].question, heard.text or shown[0].answer, shown[0].id))
        return heard


async def listen(generator: Generator, prompt: Prompt) -> Heard:
    begun, first, text, usage = time.perf_counter(), 0.0, "", None
    async with aclosing(generator.stream(prompt, max_tokens=TOKENS)) as pieces:
        async for piece in pieces:
            if piece.text and not first:
                first = time.perf_counter() - begun
            text += piece.text
            usage = piece.usage or usage
    first = first or time.perf_counter() - begun  # it said nothing
    assert isinstance(usage, Usage)
    cached = usage.cached_tokens or 0
    return Heard(1000 * first, usage.prompt_tokens, usage.prompt_tokens - cached, text.strip())


async def measure(given: argparse.Namespace) -> list[Row]:
    settings = load_settings({"data_dir": given.data_dir})
    given_of = {"model": given.model, "prompt": given.prompt}
    changes = {name: value for name, value in given_of.items() if value is not None}
    settings = settings.model_copy(
        update={"generator": settings.generator.model_copy(update=changes)}
    )
    async with AsyncExitStack() as stack:
        generator, style = await open_generator(settings, Metrics(), stack)
        prompts = PromptWriter(style)
        if isinstance(generator, EmbeddedGenerator):
            await generator.warm(prompts.openings())
        rows = []
        for customers in given.customers:
            heard: list[list[Heard]] = [[] for _ in range(given.turns)]
            for number in range(given.rounds):
                entries = endless(random.Random(f"{customers} {number}"))
                talks = [Talk(entries) for _ in range(customers)]
                for turn in range(given.turns):
                    for talk in talks:
                        heard[turn].append(await talk.ask(generator, prompts))
                print(f"{customers} customers, round {number + 1}", file=sys.stderr)
            rows += rows_of(customers, heard)
    return rows


def endless(dice: random.Random) -> Iterator[Entry]:
    entries = [entry for entry in sample_entries() if detect(entry.question, "zh") == "zh"]
    while True:
        dice.shuffle(entries)
        yield from entries


def rows_of(customers: int, heard: list[list[Heard]]) -> list[Row]:
    def middle(turn: list[Heard], column: str) -> float:
        return statistics.median(getattr(one, column) for one in turn)

    second = middle(heard[1], "first_ms")
    return [
        Row(customers, number, middle(turn, "first_ms"), middle(turn, "prompt_tokens"),
            middle(turn, "read_tokens"), middle(turn, "first_ms") / second)
        for number, turn in enumerate(heard, start=1)
    ]  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--customers", type=int, nargs="+", default=[1, 4, 8])
    parser.add_argument("--turns", type=int, default=6)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--data-dir", type=Path, help="of kefu, for its models")
    parser.add_argument("--model", help="catalogue name or GGUF; default: the desk's")
    parser.add_argument("--prompt", choices=("completion", "chat", "trained"))
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if given.turns < 2:
        parser.error("--turns is at least 2: the others are compared with the second")
    configure_logging(LogSettings(level="warning"))
    rows = asyncio.run(measure(given))
    if given.json:
        print(json.dumps([asdict(row) for row in rows], indent=1))
        return
    print(f"{'customers':>9}{'turn':>6}{'first word':>13}{'prompt':>9}{'read':>7}{'of turn 2':>11}")
    for row in rows:
        print(f"{row.customers:9}{row.turn:6}{row.first_ms:10.0f} ms{row.prompt_tokens:9.0f}"
              f"{row.read_tokens:7.0f}{row.of_second:11.2f}")  # fmt: skip


if __name__ == "__main__":
    main()
