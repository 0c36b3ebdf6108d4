"""What a generator is said to need, held against llama.cpp itself."""

from __future__ import annotations

from pathlib import Path

import psutil
import pytest

from kefu.inference.generator.devices import find_devices
from kefu.inference.generator.llama_run import LlamaRun
from kefu.inference.generator.memory import footprint_of, layers_that_fit, need_of
from kefu.inference.models.catalogue import Footprint
from kefu.inference.models.gguf_file import open_gguf
from kefu.settings import GeneratorSettings

SETTINGS = GeneratorSettings(threads=2, n_parallel=4, chat_context_tokens=3072)
# Qwen2.5 7B: 28 layers, 4 heads of 128 for keys and values.
SEVEN = Footprint(4_683_000_000, 57_344, 28, 152_064)


@pytest.mark.models
async def test_the_need_is_what_llama_cpp_takes(real_gguf: Path):
    with open_gguf(real_gguf) as gguf:
        footprint = footprint_of(gguf)
    assert footprint.layers == 18
    assert footprint.context_bytes_per_token == 18 * 1 * (256 + 256) * 2
    need = need_of(footprint, SETTINGS, on_gpu=False)
    run = await LlamaRun.start(real_gguf, SETTINGS)
    try:
        taken = psutil.Process(run.pid).memory_info().rss
    finally:
        await run.stop()
    assert 0.8 * need.total < taken < 1.25 * need.total


def test_chats_are_counted_each_with_its_whole_context():
    one = need_of(SEVEN, SETTINGS.model_copy(update={"n_parallel": 1}), on_gpu=True)
    four = need_of(SEVEN, SETTINGS, on_gpu=True)
    assert one.context == 3072 * 57_344
    assert four.context == 4 * one.context
    assert four.weights == one.weights == SEVEN.weights_bytes


@pytest.mark.parametrize(("gigabytes", "layers"), [(24, 28), (4, 17), (0.1, 0)])
def test_as_many_layers_as_there_is_room_for(gigabytes: float, layers: int):
    need = need_of(SEVEN, SETTINGS, on_gpu=True)
    found = layers_that_fit(SEVEN, need, int(gigabytes * 1e9))
    assert found == pytest.approx(layers, abs=2)
    assert layers_that_fit(SEVEN, need, int(gigabytes * 1e9)) <= SEVEN.layers


def test_llama_cpp_tells_what_it_can_compute_with():
    devices = find_devices()
    (cpu,) = [device for device in devices if device.kind == "CPU"]
    assert 0 < cpu.free_bytes <= cpu.total_bytes
    assert not cpu.is_gpu
