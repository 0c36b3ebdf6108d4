"""The closed forms are held against what they stand for: a training for every fold, in float64."""

from __future__ import annotations

import numpy as np
import pytest

from kefu.errors import InvalidInput
from kefu.intent import kernel_ridge, ngrams
from kefu.intent.kernel_ridge import RIDGE, KernelRidge
from kefu.intent.likeness import SHARPNESS, TEXT_SHARE, VECTOR_SHARE
from kefu.intent.ngrams import Rows, Vocabulary

WORDS = ["my", "the", "where", "parcel", "refund", "order", "is", "how", *"我的包裹退款在哪"]


def texts(count: int) -> list[str]:
    draw = np.random.default_rng(1)
    return [" ".join(draw.choice(WORDS, draw.integers(0, 7))) for _ in range(count)]


def vectors(count: int, dimensions: int = 12) -> np.ndarray:
    found = np.random.default_rng(2).normal(size=(count, dimensions))
    found[3 % count] = found[0]  # the same text twice
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


def rows_of(written: list[str]) -> list[Rows]:
    kinds = (ngrams.words, ngrams.characters)
    return [Vocabulary.learn(kind, written).rows(written) for kind in kinds]


def targets(labels: np.ndarray, count: int) -> np.ndarray:
    return np.where(labels[:, None] == np.arange(count), 1, -1 / count).astype(np.float32)


def dense(rows: Rows, count: int) -> np.ndarray:
    found = np.zeros((count, int(rows.indices.max(initial=-1)) + 1))
    for number in range(count):
        part = slice(rows.starts[number], rows.starts[number + 1])
        found[number, rows.indices[part]] = rows.values[part]
    return found


def plain_kernel(these: np.ndarray, texts_of: list[Rows]) -> np.ndarray:
    exact = these.astype(np.float64)
    kernel = VECTOR_SHARE * np.exp(SHARPNESS * (exact @ exact.T - 1))
    for rows in texts_of:
        wording = dense(rows, len(these))
        kernel += TEXT_SHARE * wording @ wording.T
    return kernel


def refitted(kernel: np.ndarray, goals: np.ndarray, block: np.ndarray) -> np.ndarray:
    rest = np.setdiff1d(np.arange(len(kernel)), block)
    within = kernel[np.ix_(rest, rest)] + RIDGE * np.eye(len(rest))
    return kernel[np.ix_(block, rest)] @ np.linalg.solve(within, goals[rest])


def fit(count: int, labels: np.ndarray) -> tuple[KernelRidge, np.ndarray, np.ndarray]:
    these, rows = vectors(count), rows_of(texts(count))
    goals = targets(labels, int(labels.max()) + 1)
    ridge = KernelRidge(these, rows, goals, lambda done, of: None)
    return ridge, plain_kernel(these, rows), goals


def test_coefficients_are_those_of_the_plain_regression() -> None:
    ridge, kernel, goals = fit(50, np.arange(50) % 3)
    expected = np.linalg.solve(kernel + RIDGE * np.eye(50), goals)
    assert np.allclose(ridge.coefficients, expected, atol=2e-4)


def test_held_out_scores_are_those_of_a_training_without_the_fold() -> None:
    ridge, kernel, goals = fit(60, np.arange(60) % 4)
    folds = np.array_split(np.random.default_rng(3).permutation(60), 7)
    found = ridge.held_out(folds)
    for fold in folds:
        assert np.allclose(found[fold], refitted(kernel, goals, fold), atol=2e-4)


def test_held_out_scores_without_a_whole_label() -> None:
    labels = np.arange(60) % 4
    ridge, kernel, goals = fit(60, labels)
    blocks = [np.flatnonzero(labels == label) for label in range(4)]
    found = ridge.held_out(blocks)
    for label, block in enumerate(blocks):
        assert np.allclose(found[block], refitted(kernel, goals, block), atol=2e-4)
        # Without its examples a label is -1/4 everywhere: nothing speaks for it.
        assert (found[block, label] < 0.1).all()


def test_rows_in_no_block_have_no_score() -> None:
    ridge, _, _ = fit(20, np.arange(20) % 2)
    found = ridge.held_out([np.array([5, 2])])
    assert np.isfinite(found[[2, 5]]).all()
    assert np.isnan(np.delete(found, [2, 5], axis=0)).all()


@pytest.mark.parametrize("count", [1, 2, 1023, 1024, 1025, 1300])
def test_the_kernel_is_the_plain_one_across_blocks(count: int) -> None:
    these, rows = vectors(count), rows_of(texts(count))
    seen: list[tuple[int, int]] = []
    found = kernel_ridge._kernel(these, rows, lambda done, of: seen.append((done, of)))
    lower = np.tril_indices(count)
    assert np.allclose(found[lower], plain_kernel(these, rows)[lower], atol=1e-5)
    assert seen[-1] == (count, count)


def test_common_and_rare_terms_are_both_there() -> None:
    written = [
        "my parcel",
        *(f"my {one}{other}" for one in "abcdefgh" for other in "abcdefghijklmnop"),
    ]
    rows = Vocabulary.learn(ngrams.words, written).rows(written)
    common, rare = kernel_ridge._parts(rows, len(written))
    assert 0 < common.shape[1] < 10 < rare.shape[1]
    wording = dense(rows, len(written))
    product = common @ common.T + (rare @ rare.T).toarray()
    assert np.allclose(product, wording @ wording.T, atol=1e-6)


def test_texts_without_any_word() -> None:
    these, written = vectors(6), ["😀", "", "！", "👍", "…", " "]
    ridge = KernelRidge(
        these, rows_of(written), targets(np.arange(6) % 2, 2), lambda done, of: None
    )
    assert np.isfinite(ridge.coefficients).all()


def test_too_many_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel_ridge, "MAX_ROWS", 5)
    with pytest.raises(InvalidInput, match="6 examples are too many to train on"):
        fit(6, np.arange(6) % 2)


@pytest.mark.parametrize("wrong", [np.nan, np.inf])
@pytest.mark.parametrize("count", [8, 300])
def test_vectors_that_are_not_numbers(wrong: float, count: int) -> None:
    these = vectors(count)
    these[count // 2, 1] = wrong
    with pytest.raises(InvalidInput, match="not numbers"), np.errstate(all="ignore"):
        KernelRidge(
            these, rows_of(texts(count)), targets(np.arange(count) % 2, 2), lambda done, of: None
        )
