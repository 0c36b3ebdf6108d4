"""Answering from web pages: RGB (Chen et al. 2024), 2 right and 2 wrong passages, or 4 wrong ones.

    python -m loadtests.rgb ../shared/data/faq/rgb_zh_refine_dev.jsonl --data-dir DATA_DIR \
        [--model NAME] [--adapter FILE] [--prompt trained] [--json]

The data are for measuring only (CC BY-NC-SA 4.0). A passage is cut as a desk cuts it.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from kefu.generation.evaluate import Report, evaluate
from kefu.generation.tasks import Passage, Task
from kefu.inference.embedded import open_generator
from kefu.reading.loading import open_reader
from kefu.settings import LogSettings, load_settings
from kefu.telemetry import Metrics, configure_logging
from kefu.turn.prompt import PromptWriter

RIGHT = WRONG = 2
SEED = 0
MAX_TEXT = 8000


def tasks_of(path: Path) -> Iterator[Task]:
    """Each question twice: among right and wrong passages in random order, and with wrong ones only."""
    for line in path.read_text("utf-8").splitlines():
        row = json.loads(line)
        chance = random.Random(f"{SEED} {row['id']}")
        mixed = [*row["positive"][:RIGHT], *row["negative"][:WRONG]]
        chance.shuffle(mixed)
        facts = [[ways] if isinstance(ways, str) else ways for ways in row["answer"]]
        yield _task(row, "mixed", mixed, facts)
        yield _task(row, "wrong only", row["negative"][: RIGHT + WRONG], [])


def _task(row: dict[str, Any], what: str, texts: list[str], facts: list[list[str]]) -> Task:
    return Task(
        id=f"{row['id']} {what}",
        group=what,
        language="zh",
        kind="detail" if facts else "unanswerable",
        question=row["query"],
        passages=tuple(Passage(text=text[:MAX_TEXT]) for text in texts),
        facts=tuple(map(tuple, facts)),
    )


async def measure(options: argparse.Namespace) -> Report:
    settings = load_settings({"data_dir": options.data_dir})
    given = {"model": options.model, "adapter": options.adapter, "prompt": options.prompt}
    changes = {name: value for name, value in given.items() if value is not None}
    generator = settings.generator.model_copy(update=changes)
    settings = settings.model_copy(update={"generator": generator})
    async with AsyncExitStack() as stack:
        opened, style = await open_generator(settings, Metrics(), stack)
        tasks = list(tasks_of(options.file))
        reader = open_reader(settings)
        return await evaluate(
            tasks,
            opened,
            PromptWriter(style),
            generator.model,
            read=reader.read if reader else None,
            replies=settings.replies,
            parallel=options.parallel,
            on_progress=lambda done, total: print(f"\r{done}/{total}", end="", file=sys.stderr),
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("file", type=Path)
    parser.add_argument("--data-dir", type=Path, required=True)
    parser.add_argument("--model")
    parser.add_argument("--adapter")
    parser.add_argument("--prompt")
    parser.add_argument("--parallel", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    configure_logging(LogSettings(level="warning"))
    found = asyncio.run(measure(options))
    if options.json:
        print(json.dumps(asdict(replace(found, answers=())), indent=2))
        return
    rows = (
        ("as written", found.written),
        ("after the guard", found.guarded),
        ("with the reader", found.desk),
    )
    for name, figures in rows:
        print(f"{name}: 2 right and 2 wrong: answered {figures.answered:.1%}, refused "
              f"{figures.refused_wrongly:.1%}; wrong only: refused {figures.refused:.1%}")  # fmt: skip


if __name__ == "__main__":
    main()
