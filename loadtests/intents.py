"""The default intent trainer on public data: accuracy, out-of-scope, calibration, seconds.

    python -m loadtests.intents ../shared/data/intent [--json] [--only banking77 clinc150]
    python -m loadtests.intents ../shared/data/intent --languages

Each set is trained on its train file and measured on its dev file. BANKING77's published valid file
is a part of its train file: those texts, in whatever case and punctuation, are taken out first. The
ten-shot lists are measured on the rest of the train file. `alone` encodes and classifies one text
after another, `batch` all of them; medians, encoder included. `--languages`: do a sentence and its
translation (xSID) get the same intent? Five folds, taught the halves of one language or of both.
"""

from __future__ import annotations

import argparse
import csv
import json
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from kefu.inference.encoder.onnx import OnnxEncoder
from kefu.inference.models.resolve import resolve_encoder
from kefu.intent.dataset import Example, folded, read_examples, read_labelled
from kefu.intent.figures import Figures, figures
from kefu.intent.training import Trained, train
from kefu.limits import usable_cpus
from kefu.settings import load_settings

_ALONE = 200
_BATCH = 256
_ROUNDS = 3
_FOLDS = 5

SETS = {
    "banking77": ("banking77_train.csv", "banking77_valid.csv"),
    "banking77-10shot": ("banking77_10shot.csv", "banking77_train.csv"),
    "clinc150": ("clinc150_train.csv", "clinc150_valid.csv"),
    "hwu64": ("hwu64_train.csv", "hwu64_valid.csv"),
    "smp2017": ("smp2017_train.csv", "smp2017_dev.csv"),
    "banking77-oos": ("banking77_oos_train.csv", "banking77_oos_valid.csv"),
}


@dataclass(frozen=True)
class Result:
    """Shares 0 to 1; `unrejected`: in-scope accuracy had nothing been called out of scope."""

    name: str
    trained_on: int
    tested_on: int
    train_seconds: float
    accuracy: float
    macro_f1: float
    in_scope_accuracy: float | None
    unrejected: float | None
    oos_auroc: float | None
    oos_recall: float | None
    false_oos: float | None
    calibration_error: float
    batch_ms: float
    alone_ms: float


def examples_of(folder: Path, name: str) -> tuple[list[Example], list[Example]]:
    """What to train on and what to measure on, without a text on both sides."""
    train_file, test_file = SETS[name]
    training = read_examples(folder / train_file, note=lambda _: None)
    tests = read_labelled(folder / test_file)
    if name == "banking77":
        tested = {folded(example.text) for example in tests}
        training = [example for example in training if folded(example.text) not in tested]
        tests = list({folded(example.text): example for example in tests}.values())
    if name == "banking77-10shot":
        trained = {folded(example.text) for example in training}
        tests = [example for example in tests if folded(example.text) not in trained]
    return training, tests


def measure(folder: Path, name: str, encoder: OnnxEncoder) -> Result:
    training, tests = examples_of(folder, name)
    started = time.perf_counter()
    trained = train(training, encoder.encode, encoder.id)
    seconds = time.perf_counter() - started
    found, batch_ms = _in_batches(trained, tests, encoder)
    return Result(
        name,
        len(training),
        len(tests),
        round(seconds, 1),
        found.accuracy,
        found.macro_f1,
        found.in_scope_accuracy,
        found.in_scope_accuracy_unrejected,
        found.oos_auroc,
        found.oos_recall,
        found.false_oos,
        found.expected_calibration_error,
        batch_ms,
        _alone(trained, tests, encoder),
    )


def _in_batches(
    trained: Trained, tests: Sequence[Example], encoder: OnnxEncoder
) -> tuple[Figures, float]:
    texts = [example.text for example in tests]
    times = []
    for _ in range(_ROUNDS):
        begun = time.perf_counter()
        guesses = []
        for start in range(0, len(texts), _BATCH):
            part = texts[start : start + _BATCH]
            guesses += trained.classifier.classify(part, encoder.encode(part))
        times.append(1000 * (time.perf_counter() - begun) / len(texts))
    return figures([example.label for example in tests], guesses), statistics.median(times)


def _alone(trained: Trained, tests: Sequence[Example], encoder: OnnxEncoder) -> float:
    times = []
    for example in tests[:: max(1, len(tests) // _ALONE)]:
        begun = time.perf_counter()
        trained.classifier.classify([example.text], encoder.encode([example.text]))
        times.append(1000 * (time.perf_counter() - begun))
    return statistics.median(times)


def same_in_both_languages(folder: Path, encoder: OnnxEncoder) -> dict[str, float]:
    """The share of held-out pairs with the same intent, by the language that was taught."""
    with (folder / "xsid_zh_valid.csv").open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    sides = {"zh": [row["text"] for row in rows], "en": [row["text_en"] for row in rows]}
    vectors = {side: encoder.encode(texts) for side, texts in sides.items()}
    fold = np.random.default_rng(0).integers(0, _FOLDS, len(rows))
    shares = {}
    for taught in (("zh",), ("en",), ("zh", "en")):
        same = []
        for number in range(_FOLDS):
            known = {
                (sides[side][i], rows[i]["label"])
                for side in taught
                for i in np.flatnonzero(fold != number)
            }
            model = train([Example(*pair) for pair in known], encoder.encode, encoder.id).classifier
            zh, en = (model.classify(sides[side], vectors[side]) for side in ("zh", "en"))
            same += [zh[i].label == en[i].label for i in np.flatnonzero(fold == number)]
        shares["+".join(taught)] = round(float(np.mean(same)), 4)
    return shares


def _table(results: Sequence[Result]) -> Table:
    table = Table(*(name.replace("_", " ") for name in asdict(results[0])))
    for result in results:
        table.add_row(*map(_cell, asdict(result).values()))
    return table


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:.4f}" if isinstance(value, float) else str(value)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--languages", action="store_true", help="Chinese and English alike?")
    parser.add_argument("--data-dir", type=Path, help="of kefu, for its sentence encoder")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    settings = load_settings({"data_dir": chosen.data_dir})
    encoder = OnnxEncoder(resolve_encoder(settings).path, usable_cpus())
    if chosen.languages:
        print(json.dumps(same_in_both_languages(chosen.folder, encoder)))
        return
    results = []
    for name in chosen.only:
        print(f"{name} ...", file=sys.stderr)
        results.append(measure(chosen.folder, name, encoder))
    if chosen.json:
        print(json.dumps([asdict(result) for result in results], indent=2))
    else:
        Console(width=200).print(_table(results))


if __name__ == "__main__":
    main()
