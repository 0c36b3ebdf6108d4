"""Do two questions ask the same? Rephrasings found and look-alikes mistaken, on labelled pairs.

    python -m loadtests.pairs [../shared/data] [--json] [--only own diac bq lcqmc]

`own`: the groups of training/paraphrase/data that nothing was trained on. `diac`: of 1,200 groups the
first question against the other equivalents and all look-alikes. `bq`, `lcqmc`: 4,000 pairs each.
Nothing was trained on those three, and none of them is part of kefu: they are looked for in the
folder and left out where they are not there. Three judges: the cosine of the desk's sentence encoder,
the cosine of multilingual-e5-small, and the judge. And GPTCache where it is installed (`pip install
gptcache`): its own evaluation and default threshold, on the vectors of the desk's encoder. `@1%` is the recall at the threshold where 1% of the
pairs that do not ask the same hit, `p98` the recall at the lowest threshold with 98% precision. The
last four columns are for the threshold in use: 0.90 for the first cosine, that of GPTCache, that of
the judge.
"""

from __future__ import annotations

import argparse
import asyncio
import csv
import json
import random
import statistics
import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from kefu.inference.encoder.onnx import OnnxEncoder
from kefu.inference.models.resolve import resolve_encoder, resolve_pairs
from kefu.limits import usable_cpus
from kefu.paraphrase.alignment import AlignmentScorer
from kefu.paraphrase.fitting import LEAST_PRECISION
from kefu.paraphrase.judge import Judge
from kefu.paraphrase.loading import DEFAULT
from kefu.paraphrase.token_states import TokenStates
from kefu.settings import Settings, load_settings

OWN = Path(__file__).parents[1] / "training" / "paraphrase" / "data"
SETS = ("own", "diac", "bq", "lcqmc")
PLAIN_THRESHOLD = 0.90
FALSE_HITS = (0.005, 0.01, 0.02, 0.05)

_SEED = 20261122
_GROUPS = 1200
_PAIRS = 4000
_LEAST_HITS = 20
_TIMED = 200
_KEPT_BYTES = 1_000_000_000  # each text is asked for twice

Floats = NDArray[np.float64]


class Pair(NamedTuple):
    """Two questions, and whether they ask the same."""

    first: str
    second: str
    is_same: bool


@dataclass(frozen=True)
class Result:
    """Shares 0 to 1. `recalls` by false-hit rate. The rest None where no threshold is in use."""

    set: str
    judge: str
    pairs: int
    recalls: dict[str, float]
    recall_at_98: float
    threshold: float | None = None
    recall: float | None = None
    false_hits: float | None = None
    precision: float | None = None


def read_set(name: str, folder: Path | None) -> list[Pair] | str:
    """The pairs, or why there are none."""
    if name == "own":
        return _pairs_of_groups(_held_out(), "question")
    if folder is None:
        return "no folder with data was named"
    file = (
        "faq/diac_question_groups_train.jsonl" if name == "diac" else f"paraphrase/{name}_dev.csv"
    )
    if not (folder / file).is_file():
        return f"there is no {folder / file}"
    if name == "diac":
        rows = [json.loads(line) for line in (folder / file).read_text("utf-8").splitlines()]
        random.Random(_SEED).shuffle(rows)
        return _pairs_of_groups(rows[:_GROUPS], "equivalent")
    return _read_csv(folder / file)


def _held_out() -> list[dict[str, list[str]]]:
    """As training/paraphrase/examples.py chooses them."""
    rows = [
        json.loads(line)
        for path in sorted(OWN.glob("*.jsonl"))
        for line in path.read_text("utf-8").splitlines()
    ]
    return [row for row in rows if zlib.crc32(row["question"].encode()) % 5 == 0]


def _pairs_of_groups(groups: Sequence[dict[str, list[str]]], head: str) -> list[Pair]:
    pairs = []
    for group in groups:
        first, *same = (
            group["equivalent"] if head == "equivalent" else [group[head], *group["equivalent"]]
        )
        pairs += [Pair(text, str(first), True) for text in same]
        pairs += [Pair(text, str(first), False) for text in group["not_equivalent"]]
    return pairs


def _read_csv(path: Path) -> list[Pair]:
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    random.Random(0).shuffle(rows)
    return [Pair(row["sentence1"], row["sentence2"], row["label"] == "1") for row in rows[:_PAIRS]]


def measured(
    name: str,
    judge: str,
    pairs: Sequence[Pair],
    scores: Floats,
    hits: NDArray[np.bool_] | None = None,
    threshold: float | None = None,
) -> Result:
    same = np.array([pair.is_same for pair in pairs])
    recalls = {
        f"{share:.1%}": float((scores[same] > _bound(scores[~same], share)).mean())
        for share in FALSE_HITS
    }
    result = Result(name, judge, len(pairs), recalls, _recall_at_precision(scores, same), threshold)
    if hits is None:
        return result
    return Result(
        **{
            **asdict(result),
            "recall": float(hits[same].mean()),
            "false_hits": float(hits[~same].mean()),
            "precision": float(same[hits].mean()) if hits.any() else None,
        }
    )


def _bound(wrong: Floats, share: float) -> float:
    return float(np.quantile(wrong, 1 - share, method="higher"))


def _recall_at_precision(scores: Floats, same: NDArray[np.bool_]) -> float:
    right = same[np.argsort(-scores, kind="stable")]
    precision = np.cumsum(right) / np.arange(1, len(right) + 1)
    enough = np.flatnonzero(precision[_LEAST_HITS:] >= LEAST_PRECISION) + _LEAST_HITS
    return float(np.cumsum(right)[enough[-1]] / same.sum()) if len(enough) else 0.0


def cosines(pairs: Sequence[Pair], encoder: OnnxEncoder) -> Floats:
    vectors = encoder.encode([text for pair in pairs for text in (pair.first, pair.second)])
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.einsum("nd,nd->n", vectors[::2], vectors[1::2]).astype(float)


def gptcache_scores(plain: Floats) -> tuple[Floats, float] | None:
    """GPTCache's scores and its threshold; None where it is not installed.

    It is given what its vector stores give it: the squared distance of two vectors of length 1.
    """
    try:
        from gptcache import Config
        from gptcache.similarity_evaluation import SearchDistanceEvaluation
    except ImportError:
        return None
    evaluation = SearchDistanceEvaluation()
    least, most = evaluation.range()
    found = [
        evaluation.evaluation({}, {"search_result": (2 - 2 * cosine, None)}) for cosine in plain
    ]
    return np.array(found), (most - least) * Config().similarity_threshold


def judged(pairs: Sequence[Pair], judge: Judge) -> Floats:
    """Probabilities, -1 where a rule of the verifier says no."""

    async def ask() -> list[float]:
        found = []
        for pair in pairs:
            (judgement,) = await judge.judge(pair.first, [pair.second])
            found.append(-1.0 if judgement.disagreement else judgement.probability)
        return found

    return np.array(asyncio.run(ask()))


def results_of(
    name: str, pairs: Sequence[Pair], encoder: OnnxEncoder, scorer: AlignmentScorer
) -> list[Result]:
    plain = cosines(pairs, encoder)
    e5 = scorer.features([pair[:2] for pair in pairs])[:, 0].astype(float)
    found = judged(pairs, Judge(scorer, DEFAULT))
    bound = DEFAULT.threshold
    peers = []
    if theirs := gptcache_scores(plain):
        scores, least = theirs
        peers = [measured(name, "GPTCache", pairs, scores, scores >= least, least)]
    return [
        measured(name, "encoder", pairs, plain, plain >= PLAIN_THRESHOLD, PLAIN_THRESHOLD),
        *peers,
        measured(name, "e5", pairs, e5),
        measured(name, "judge", pairs, found, found >= bound, bound),
    ]


def milliseconds(settings: Settings, pairs: Sequence[Pair]) -> dict[str, float]:
    """Medians on one thread: a pair of questions never seen, and one that was just seen."""
    scorer = AlignmentScorer(TokenStates(resolve_pairs(settings).directory))
    times: dict[str, list[float]] = {"unseen": [], "seen": []}
    for pair in pairs[:: max(1, len(pairs) // _TIMED)]:
        for kind in ("unseen", "seen"):
            begun = time.perf_counter()
            scorer.logits([pair[:2]])
            times[kind].append(1000 * (time.perf_counter() - begun))
    return {kind: round(statistics.median(found), 2) for kind, found in times.items()}


def _table(results: Sequence[Result]) -> Table:
    shares = [f"@{share:.1%}" for share in FALSE_HITS]
    last = ("threshold", "recall", "false hits", "precision")
    table = Table("set", "judge", "pairs", *shares, "p98", *last)
    for r in results:
        figures = (*r.recalls.values(), r.recall_at_98, r.threshold, r.recall, r.false_hits)
        cells = map(_cell, (*figures, r.precision))
        table.add_row(r.set, r.judge, str(r.pairs), *cells)
    return table


def _cell(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("folder", type=Path, nargs="?", help="with faq/ and paraphrase/")
    parser.add_argument("--only", nargs="+", choices=SETS, default=list(SETS))
    parser.add_argument("--data-dir", type=Path, help="of kefu, for its models")
    parser.add_argument("--json", action="store_true")
    chosen = parser.parse_args()
    settings = load_settings({"data_dir": chosen.data_dir})
    encoder = OnnxEncoder(resolve_encoder(settings).path, usable_cpus())
    states = TokenStates(resolve_pairs(settings).directory, usable_cpus(), _KEPT_BYTES)
    scorer = AlignmentScorer(states)
    results: list[Result] = []
    for name in chosen.only:
        pairs = read_set(name, chosen.folder)
        if isinstance(pairs, str):
            print(f"{name}: skipped, {pairs}", file=sys.stderr)
            continue
        print(f"{name} ...", file=sys.stderr)
        results += results_of(name, pairs, encoder, scorer)
    times = milliseconds(settings, _pairs_of_groups(_held_out(), "question"))
    if chosen.json:
        rows = [asdict(result) for result in results]
        print(json.dumps({"results": rows, "milliseconds": times}, indent=2))
    else:
        Console(width=160).print(_table(results))
        print(f"One pair: {times['unseen']} ms unseen, {times['seen']} ms seen")


if __name__ == "__main__":
    main()
