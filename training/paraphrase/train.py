"""Makes `src/kefu/paraphrase/pairs.json` from the installed model and the questions in `data/`.

    pip install scikit-learn
    python training/paraphrase/train.py --model DATA_DIR/models/multilingual-e5-small-kefu

Features come from kefu itself. Prints the calibration that belongs into `paraphrase/loading.py`.
"""

from __future__ import annotations

import argparse
import json
import random
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from examples import Group, Pair, own_pairs, pairs_among, pairs_with_question, read_groups
from sklearn.ensemble import HistGradientBoostingClassifier

from kefu.paraphrase.features import DIRECTIONS, NAMES, WORDING, features_of
from kefu.paraphrase.fitting import fit_scale
from kefu.paraphrase.judge import Calibration
from kefu.paraphrase.token_states import TokenStates
from kefu.paraphrase.trees import FORMAT, LEAF, Trees, shipped_trees

SEED = 1
# Each learns from another sample of the pairs; the mean of several is steadier than one.
BAGS = 5
# How much the pairs of the CSV files count: more would serve everyday questions (LCQMC) better and
# long ones (DIAC) worse.
WEIGHT_OF_PAIRS = 0.5
# Of each group, questions of other groups that the sentence vector takes for it.
NEAR, NEAR_AMONG = 4, 8
COSINE = {"cosine_weight": 1.5, "cosine_centre": 0.9, "cosine_scale": 0.03}
WORDING_WEIGHT = 3.0
# Of a value. Thresholds stay as they are: some lie between two neighbouring float32.
DIGITS = 7


def main() -> None:
    options = _options()
    states = TokenStates(options.model, options.threads, kept_bytes=2_000_000_000)
    groups = read_groups()
    learnt = [group for group in groups if not group.is_held_out]
    held_out = pairs_with_question([group for group in groups if group.is_held_out])
    pairs, weights = training_pairs(learnt, states)
    print(f"{len(learnt)} groups and {len(pairs)} pairs to learn from, {len(held_out)} held out")
    models = list(fitted(features(pairs, states), pairs, weights))
    data = as_data(models)
    options.output.write_text(json.dumps(data, separators=(",", ":")) + "\n", "utf-8")
    print(f"{options.output}: {options.output.stat().st_size / 1e3:.0f} kB")
    report(Trees(data).logits(features(held_out, states)), held_out)
    if options.check is not None:
        write_check(
            models, features(held_out[:: max(1, len(held_out) // 40)], states), options.check
        )


def training_pairs(groups: Sequence[Group], states: TokenStates) -> tuple[list[Pair], list[float]]:
    chance = random.Random(SEED)
    grouped = [*pairs_with_question(groups), *pairs_among(groups, chance)]
    grouped += near_pairs(groups, states, chance)
    others = own_pairs()
    return [*grouped, *others], [1.0] * len(grouped) + [WEIGHT_OF_PAIRS] * len(others)


def near_pairs(
    groups: Sequence[Group], states: TokenStates, chance: random.Random
) -> Iterator[Pair]:
    """Questions about much the same from other groups."""
    texts = [(text, number) for number, group in enumerate(groups) for text in group.same]
    vectors = np.stack([found.vector for found in states.of([text for text, _ in texts])])
    for number, group in enumerate(groups):
        (own,) = states.of([group.question])
        order = np.argsort(-(vectors @ own.vector), kind="stable")
        nearest = [texts[at][0] for at in order if texts[at][1] != number][:NEAR_AMONG]
        yield from (Pair(text, group.question, False) for text in chance.sample(nearest, NEAR))


def features(pairs: Sequence[Pair], states: TokenStates) -> np.ndarray:
    return np.stack([features_of(*pair[:2], *states.of(pair[:2])) for pair in pairs])


def fitted(
    rows: np.ndarray, pairs: Sequence[Pair], weights: Sequence[float]
) -> Iterator[HistGradientBoostingClassifier]:
    """Trees that may only rise with what speaks for the same question, and fall with the rest."""
    same = np.array([pair.is_same for pair in pairs])
    for bag in range(BAGS):
        sample = np.random.default_rng(SEED + bag).integers(0, len(rows), len(rows))
        model = HistGradientBoostingClassifier(
            max_iter=120,
            learning_rate=0.06,
            max_leaf_nodes=8,
            min_samples_leaf=40,
            monotonic_cst=list(DIRECTIONS),
            random_state=SEED + bag,
        )
        yield model.fit(rows[sample], same[sample], sample_weight=np.array(weights)[sample])


def as_data(models: Sequence[HistGradientBoostingClassifier]) -> dict[str, Any]:
    """The mean of the models as `kefu.paraphrase.trees` reads it."""
    start = np.mean([model._baseline_prediction.item() for model in models])
    trees = [_nodes(tree.nodes) for model in models for (tree,) in model._predictors]
    return {
        "format": FORMAT,
        "features": list(NAMES),
        "start": round(float(start), DIGITS),
        **COSINE,
        "wording_weight": WORDING_WEIGHT,
        "trees": trees,
    }


def _nodes(nodes: np.ndarray) -> list[list[float]]:
    return [
        [LEAF, 0, 0, 0, round(float(node["value"]) / BAGS, DIGITS)]
        if node["is_leaf"]
        else [
            int(node["feature_idx"]),
            float(node["num_threshold"]),
            int(node["left"]),
            int(node["right"]),
            0,
        ]
        for node in nodes
    ]


def report(logits: np.ndarray, pairs: Sequence[Pair]) -> None:
    """The calibration on the held-out groups, and what is found of them at each false-hit rate."""
    same = np.array([pair.is_same for pair in pairs])
    slope, offset = fit_scale(logits.astype(float), same, Calibration(1.0, 0.0, 1.0))
    print(f"slope={slope:.3f}, offset={offset:.3f}")
    for share in (0.01, 0.02, 0.05):
        bound = np.quantile(logits[~same], 1 - share, method="higher")
        print(f"{share:.0%} of the look-alikes, {(logits[same] > bound).mean():.1%} of the others")


def write_check(
    models: Sequence[HistGradientBoostingClassifier], rows: np.ndarray, path: Path
) -> None:
    """Features with what scikit-learn says of them, for the test that holds kefu against it."""
    expected = np.mean([model.decision_function(rows) for model in models], axis=0)
    expected += COSINE["cosine_weight"] * (rows[:, 0] - 0.9) / COSINE["cosine_scale"]
    expected += WORDING_WEIGHT * rows[:, NAMES.index(WORDING)]
    data = {"features": rows.astype(float).tolist(), "logits": expected.round(6).tolist()}
    path.write_text(json.dumps(data, separators=(",", ":")) + "\n", "utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--model", type=Path, required=True, help="the installed model's folder")
    parser.add_argument("--output", type=Path, default=Path(str(shipped_trees())))
    parser.add_argument("--check", type=Path, help="also write examples for tests/paraphrase")
    parser.add_argument("--threads", type=int, default=1)
    return parser.parse_args()


if __name__ == "__main__":
    main()
