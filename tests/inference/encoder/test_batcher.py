"""Batches form by themselves, and nobody waits for ever."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Sequence

import numpy as np
import pytest

from kefu.errors import EncoderUnavailable, ModelError, Overloaded
from kefu.inference.encoder.batcher import BatchedEncoder
from kefu.inference.encoder.protocol import Vectors
from kefu.telemetry import Metrics
from tests.fakes import HashingEncoder


class GatedEncoder(HashingEncoder):
    """Notes each batch, and holds a run until the test lets it go."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.started = threading.Event()
        self.gate = threading.Event()

    def encode(self, texts: Sequence[str]) -> Vectors:
        self.batches.append(list(texts))
        self.started.set()
        assert self.gate.wait(10)
        if "poison" in texts:
            raise RuntimeError("the graph broke")
        if "away" in texts:
            raise EncoderUnavailable("the server is away")
        if "short" in texts:
            return super().encode(texts)[:-1]
        return super().encode(texts)


@pytest.fixture
def model() -> GatedEncoder:
    return GatedEncoder()


@pytest.fixture
async def encoder(model: GatedEncoder) -> AsyncIterator[BatchedEncoder]:
    async with BatchedEncoder(model, max_batch=4, max_waiting=8, metrics=Metrics()) as encoder:
        yield encoder
        model.gate.set()


async def begin(encoder: BatchedEncoder, model: GatedEncoder, text: str) -> asyncio.Task[object]:
    """Ask for a text and return once the model runs on it."""
    task = asyncio.create_task(encoder.encode(text))
    assert await asyncio.to_thread(model.started.wait, 10)
    return task


def ask(encoder: BatchedEncoder, texts: Sequence[str]) -> list[asyncio.Task[object]]:
    return [asyncio.create_task(encoder.encode(text)) for text in texts]


async def until_waiting(encoder: BatchedEncoder, count: int) -> None:
    async with asyncio.timeout(10):
        while len(encoder._waiting) != count:
            await asyncio.sleep(0)


async def test_a_lone_text_is_encoded_at_once(encoder: BatchedEncoder, model: GatedEncoder) -> None:
    model.gate.set()
    vector = await encoder.encode("退货")
    assert vector.shape == (128,)
    np.testing.assert_allclose(vector, HashingEncoder().encode(["退货"])[0], rtol=1e-6)
    assert model.batches == [["退货"]]


async def test_what_waits_goes_together_in_order_and_up_to_the_limit(
    encoder: BatchedEncoder, model: GatedEncoder
) -> None:
    tasks = [await begin(encoder, model, "0"), *ask(encoder, "123456")]
    await until_waiting(encoder, 6)
    model.gate.set()
    vectors = await asyncio.gather(*tasks)
    assert model.batches == [["0"], ["1", "2", "3", "4"], ["5", "6"]]
    np.testing.assert_allclose(np.stack(vectors), HashingEncoder().encode(list("0123456")))


async def test_a_full_queue_refuses(encoder: BatchedEncoder, model: GatedEncoder) -> None:
    tasks = [await begin(encoder, model, "0"), *ask(encoder, "12345678")]
    await until_waiting(encoder, 8)
    with pytest.raises(Overloaded, match="8 sentences"):
        await encoder.encode("9")
    model.gate.set()
    await asyncio.gather(*tasks)


async def test_a_cancelled_caller_is_skipped_and_leaves_its_place(
    encoder: BatchedEncoder, model: GatedEncoder
) -> None:
    first = await begin(encoder, model, "0")
    gone, kept = ask(encoder, ["gone", "kept"])
    await until_waiting(encoder, 2)
    gone.cancel()
    await until_waiting(encoder, 1)
    model.gate.set()
    await asyncio.gather(first, kept)
    assert model.batches == [["0"], ["kept"]]


async def test_a_caller_cancelled_during_its_run_disturbs_nobody(
    encoder: BatchedEncoder, model: GatedEncoder
) -> None:
    first = await begin(encoder, model, "0")
    first.cancel()
    second = asyncio.create_task(encoder.encode("1"))
    model.gate.set()
    assert (await second).shape == (128,)


@pytest.mark.parametrize(
    ("bad", "kind"),
    [("poison", ModelError), ("short", ModelError), ("away", EncoderUnavailable)],
)
async def test_a_failing_model_fails_its_batch_and_no_other(
    encoder: BatchedEncoder, model: GatedEncoder, bad: str, kind: type[ModelError]
) -> None:
    first = await begin(encoder, model, "0")
    together = ask(encoder, ["1", bad])
    await until_waiting(encoder, 2)
    model.gate.set()
    await first
    outcomes = await asyncio.gather(*together, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [kind, kind]
    assert outcomes[0] is not outcomes[1]
    assert (await encoder.encode("after")).shape == (128,)


async def test_stopping_drains_and_then_refuses(model: GatedEncoder) -> None:
    encoder = BatchedEncoder(model, max_batch=1, max_waiting=8, metrics=Metrics())
    async with encoder:
        tasks = [await begin(encoder, model, "0"), *ask(encoder, "12")]
        await until_waiting(encoder, 2)
        stopping = asyncio.create_task(encoder.stop())
        await asyncio.sleep(0)
        model.gate.set()
        await stopping
        assert all(task.done() and task.exception() is None for task in tasks)
        with pytest.raises(Overloaded, match="shutting down"):
            await encoder.encode("late")


async def test_many_texts_are_encoded_one_batch_at_a_time(
    encoder: BatchedEncoder, model: GatedEncoder
) -> None:
    model.gate.set()
    texts = [str(number) for number in range(30)]  # more than may wait
    vectors = await encoder.encode_many(texts)
    np.testing.assert_allclose(vectors, HashingEncoder().encode(texts))
    assert max(map(len, model.batches)) == 4
    assert (await encoder.encode_many([])).shape == (0, 128)


async def test_the_queue_and_the_batches_are_measured(model: GatedEncoder) -> None:
    metrics = Metrics()
    async with BatchedEncoder(model, max_batch=4, max_waiting=8, metrics=metrics) as encoder:
        tasks = [await begin(encoder, model, "0"), *ask(encoder, "123")]
        await until_waiting(encoder, 3)
        read = metrics.registry.get_sample_value
        assert read("kefu_encoder_waiting") == 3
        model.gate.set()
        await asyncio.gather(*tasks)
        assert read("kefu_encoder_waiting") == 0
        assert read("kefu_encoder_batch_size_count") == 2
        assert read("kefu_encoder_batch_size_sum") == 4
