"""How good a semantic head is: COLD's dev file, a word filter beside it, innocent texts, time.

    python training/moderation/measure.py --data ../shared/data \
        --encoder DATA_DIR/models/use-multilingual-v3/model.onnx [--head FILE]
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from sources import Labelled, cold_dev, crosswoz, shop_questions

from kefu.inference.encoder.onnx import OnnxEncoder
from kefu.learning.figures import auroc, expected_calibration_error, macro_f1
from kefu.moderation.categories import Category
from kefu.moderation.filter import WordFilter
from kefu.moderation.head_file import load_head, shipped_head
from kefu.moderation.lexicon import starter_lexicon
from kefu.moderation.semantic import SemanticHead
from kefu.moderation.semantic_figures import gain

# Public lists of insults; one-character words stand in every other innocent sentence.
_LISTS = ("zh_sexist_abuse.txt", "ldnoobw_zh.txt", "ldnoobw_en.txt")


def main() -> None:
    options = _options()
    head, _ = load_head(options.head)
    encoder = OnnxEncoder(options.encoder, 1)
    dev = cold_dev(options.data)
    scores = probabilities(head, encoder, dev.texts)
    report_cold(scores[:, head.categories.index(Category.ABUSE)], np.array(dev.is_bad))
    report_gains(scores[:, head.categories.index(Category.ABUSE)], dev, options.data)
    report_held(head, "COLD dev, safe", scores[~np.array(dev.is_bad)])
    for name, texts in (("CrossWOZ", crosswoz(options.data)), ("shop", shop_questions())):
        report_held(head, name, probabilities(head, encoder, texts))
    report_time(head, encoder, crosswoz(options.data)[:2000])


def probabilities(head: SemanticHead, encoder: OnnxEncoder, texts: Sequence[str]) -> np.ndarray:
    """(n, categories)."""
    vectors = encoder.encode(texts)
    rows = [list(head.scores(text, vectors[n]).values()) for n, text in enumerate(texts)]
    return np.array(rows)


def report_cold(scores: np.ndarray, is_bad: np.ndarray) -> None:
    called = scores >= 0.5
    print(f"COLD dev: {len(scores):,} texts, {is_bad.mean():.1%} offensive")
    print(f"  macro-F1 at probability 0.5: {macro_f1(called, is_bad):.4f}")
    print(f"  AUROC: {auroc(scores[is_bad], scores[~is_bad]):.4f}")
    print(f"  calibration error: {expected_calibration_error(scores, is_bad):.4f}")
    for rate in (0.005, 0.01, 0.02, 0.05, 0.1):
        limit = np.quantile(scores[~is_bad], 1 - rate, method="higher")
        print(f"  recall at a false rate of {rate:.1%}: {(scores[is_bad] > limit).mean():.1%}")


def report_gains(scores: np.ndarray, dev: Labelled, data: Path) -> None:
    for name, is_hit in filters(data):
        hits = np.array([is_hit(text) for text in dev.texts])
        found = gain(scores, hits, np.array(dev.is_bad))
        print(
            f"at the false rate of {name} ({found.false_rate:.2%}, head {found.head_false_rate:.2%}):"
        )
        print(f"  recall of the words {found.words:.1%}, of the head {found.head:.1%}")
        print(f"  {found.points:+.1f} points, 95% {_interval(found.points_interval, 1)}")
        print(f"  {found.relative:+.0%} relative, 95% {_interval(found.relative_interval, 100)}")


def filters(data: Path) -> Iterator[tuple[str, Callable[[str], bool]]]:
    starter = starter_lexicon()
    words = WordFilter(starter.words.values(), starter.allowed)
    yield "kefu's words", lambda text: bool(words.find(text))
    listed = {text for name in _LISTS for text in _list(data / "moderation" / "lexicon" / name)}
    yield f"{len(listed):,} public words", lambda text: any(word in text for word in listed)


def report_held(head: SemanticHead, name: str, scores: np.ndarray) -> None:
    held = scores >= np.array([head.thresholds[category].hold for category in head.categories])
    parts = (
        f"{category} {share:.2%}"
        for category, share in zip(head.categories, held.mean(axis=0), strict=True)
    )
    print(f"{name}: held {held.any(axis=1).mean():.2%} of {len(held):,} ({', '.join(parts)})")


def report_time(head: SemanticHead, encoder: OnnxEncoder, texts: Sequence[str]) -> None:
    vectors = encoder.encode(texts)
    taken = []
    for number, text in enumerate(texts):
        began = time.perf_counter()
        head.scores(text, vectors[number])
        taken.append(1e6 * (time.perf_counter() - began))
    p50, p99 = np.percentile(taken, [50, 99])
    length = np.mean([len(text) for text in texts])
    print(f"time without the encoder: p50 {p50:.0f} us, p99 {p99:.0f} us ({length:.0f} characters)")


def _list(path: Path) -> list[str]:
    words = (line.strip() for line in path.read_text("utf-8").splitlines())
    return [word for word in words if len(word) > 1]


def _interval(values: tuple[float, float], times: int) -> str:
    return f"{times * values[0]:+.1f} to {times * values[1]:+.1f}"


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of public data")
    parser.add_argument("--encoder", type=Path, required=True, help="the ONNX file")
    parser.add_argument("--head", type=Path, default=Path(str(shipped_head())))
    return parser.parse_args()


if __name__ == "__main__":
    main()
