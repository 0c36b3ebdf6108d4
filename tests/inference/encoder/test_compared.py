"""Products that the encoder's thread has made, and those it has not."""

from __future__ import annotations

import numpy as np

from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.inference.encoder.compared import Compared, products
from kefu.telemetry import Metrics
from tests.fakes import HashingEncoder

CHANCE = np.random.default_rng(3)


def matrix(rows: int, columns: int) -> np.ndarray:
    return CHANCE.normal(size=(rows, columns)).astype(np.float32)


def test_products_are_looked_up_and_else_made() -> None:
    vectors, known, strange = matrix(3, 8), matrix(5, 8), matrix(4, 8)
    compared = Compared.all_with(vectors, [known])
    assert all(one.has(known) and not one.has(strange) for one in compared)
    np.testing.assert_allclose(products(compared, known), vectors @ known.T, rtol=1e-6)
    np.testing.assert_allclose(products(compared, strange), vectors @ strange.T, rtol=1e-6)


def test_sentences_of_before_and_after_a_change_stand_together() -> None:
    before, after = matrix(5, 8), matrix(6, 8)
    mixed = [*Compared.all_with(matrix(1, 8), [before]), *Compared.all_with(matrix(1, 8), [after])]
    expected = np.stack([one.vector for one in mixed]) @ after.T
    np.testing.assert_allclose(products(mixed, after), expected, rtol=1e-5)


async def test_the_encoder_compares_with_what_is_in_use_at_the_moment() -> None:
    in_use = [matrix(5, HashingEncoder().dimensions)]
    async with BatchedEncoder(HashingEncoder(), 8, 64, Metrics()) as encoder:
        assert not (await encoder.compare("退货")).known
        encoder.compare_with(lambda: in_use)
        first, old = await encoder.compare("退货"), in_use[0]
        in_use[0] = matrix(7, encoder.dimensions)
        second = await encoder.compare("退货")
    assert first.has(old)
    assert second.has(in_use[0])
    assert not second.has(old)
    np.testing.assert_array_equal(first.vector, second.vector)
