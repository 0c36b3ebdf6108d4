"""`trees.json` has features of held-out pairs with what scikit-learn made of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kefu.errors import ModelCorrupt
from kefu.paraphrase.features import DIRECTIONS, NAMES, WORDING
from kefu.paraphrase.trees import Trees, read_trees, shipped_trees

EXPECTED = json.loads((Path(__file__).parent / "trees.json").read_text("utf-8"))

# One question of the cosine, at 0.8; then one of the second feature, at 0.5.
TREE = [[0, 0.8, 1, 2, 0], [-1, 0, 0, 0, -1.0], [1, 0.5, 3, 4, 0], [-1, 0, 0, 0, 2.0]]
TREE += [[-1, 0, 0, 0, 3.0]]


def small(**changes: Any) -> dict[str, Any]:
    data = {"format": 2, "features": list(NAMES), "start": 0.5, "trees": [TREE, TREE]}
    data |= {"cosine_weight": 0.0, "cosine_centre": 0.9, "cosine_scale": 0.03}
    data["wording_weight"] = 0.0
    return data | changes


def rows(*beginnings: tuple[float, float]) -> np.ndarray:
    found = np.zeros((len(beginnings), len(NAMES)), np.float32)
    found[:, :2] = beginnings
    return found


def test_the_shipped_trees_answer_as_scikit_learn_did() -> None:
    trees, _ = read_trees(shipped_trees())
    logits = trees.logits(np.array(EXPECTED["features"], np.float32))
    np.testing.assert_allclose(logits, EXPECTED["logits"], atol=1e-3)
    assert len(logits) >= 40
    assert logits.std() > 1


def test_more_of_what_speaks_for_the_same_never_lowers_a_logit() -> None:
    trees, _ = read_trees(shipped_trees())
    given = np.array(EXPECTED["features"], np.float32)
    before = trees.logits(given)
    for number, direction in enumerate(DIRECTIONS):
        for step in (0.01, 0.1, 1.0) if direction else ():
            raised = given.copy()
            raised[:, number] += step * direction
            assert (trees.logits(raised) >= before - 1e-5).all(), NAMES[number]


def test_a_tree_goes_left_up_to_the_threshold() -> None:
    logits = Trees(small()).logits(rows((0.7, 9), (0.9, 0.5), (0.9, 0.6)))
    np.testing.assert_allclose(logits, [-1.5, 4.5, 6.5])


def test_the_cosine_counts_beside_the_trees() -> None:
    logits = Trees(small(cosine_weight=1.5)).logits(rows((0.9, 0), (0.96, 0)))
    np.testing.assert_allclose(logits, [4.5, 7.5], atol=1e-5)


def test_the_same_words_count_beside_the_trees() -> None:
    given = rows((0.9, 0), (0.9, 0))
    given[1, NAMES.index(WORDING)] = 0.5
    np.testing.assert_allclose(
        Trees(small(wording_weight=3.0)).logits(given), [4.5, 6.0], atol=1e-5
    )


def test_the_shipped_file_is_small() -> None:
    assert len(shipped_trees().read_bytes()) < 1_000_000


@pytest.mark.parametrize(
    "changes",
    [
        {"format": 1},
        {"features": ["other"]},
        {"trees": []},
        {"trees": [[]]},
        {"trees": [[[0, 0.5, 0, 0, 0]]]},
        {"trees": [[[0, 0.5, 1, 2, 0], [-1, 0, 0, 0, 1]]]},
        {"trees": [[[len(NAMES), 0.5, 1, 2, 0], [-1, 0, 0, 0, 1], [-1, 0, 0, 0, 1]]]},
        {"trees": [[[-1, 0, 0, 0, float("nan")]]]},
    ],
)
def test_trees_that_do_not_fit_are_refused(changes: dict[str, Any], tmp_path: Path) -> None:
    path = tmp_path / "pairs.json"
    path.write_text(json.dumps(small(**changes)), "utf-8")
    with pytest.raises(ModelCorrupt, match=r"pairs\.json.*Install kefu again"):
        read_trees(path)


@pytest.mark.parametrize("content", ["", "no json", "[]", "{}"])
def test_a_file_that_is_none_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "pairs.json").write_text(content, "utf-8")
    with pytest.raises(ModelCorrupt, match="Install kefu again"):
        read_trees(tmp_path / "pairs.json")
