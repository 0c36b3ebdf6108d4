from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from kefu.errors import ModelCorrupt
from kefu.inference.models.e5.e5_file import E5File, SpecialIds

from .small_e5 import PIECES, SCORES, SIZES, SmallE5


def test_everything_is_read_back_exactly(small: SmallE5) -> None:
    file = E5File(small.path)
    assert file.sizes.epsilon == pytest.approx(1e-12)
    assert (file.sizes.width, file.sizes.inner, file.sizes.types) == (64, 96, 2)
    assert file.special == SpecialIds(begin=0, end=2, padding=1, unknown=3)
    assert list(file.pieces) == PIECES
    np.testing.assert_array_equal(file.scores, SCORES)
    for name, (codes, scales) in small.blocks.items():
        found = file.blocks(name, *codes.shape)
        np.testing.assert_array_equal(found[0], codes)
        np.testing.assert_array_equal(found[1], scales)
        np.testing.assert_array_equal(file.matrix(name, *codes.shape), small.matrix(name))
    for name, numbers in small.numbers.items():
        np.testing.assert_array_equal(file.numbers(name, *numbers.shape), numbers)


def test_what_is_not_there_or_of_another_shape_is_named(small: SmallE5) -> None:
    file = E5File(small.path)
    with pytest.raises(ModelCorrupt, match=r"small\.bin.*no tensor l9\.q\.w"):
        file.matrix("l9.q.w", 64, 64)
    with pytest.raises(ModelCorrupt, match=r"l0\.q\.w is of kind 1 with 4096 weights"):
        file.matrix("l0.q.w", 64, 96)
    with pytest.raises(ModelCorrupt, match=r"emb\.pos is of kind 0"):
        file.matrix("emb.pos", SIZES.positions, 64)


def test_another_format_says_what_it_begins_with(tmp_path: Path) -> None:
    path = tmp_path / "model.bin"
    path.write_bytes(b"GGUF" + bytes(200))
    with pytest.raises(ModelCorrupt, match="begins with b'GGUF'"):
        E5File(path)


def test_every_truncation_is_a_clear_error(small: SmallE5) -> None:
    whole = small.path.read_bytes()
    for length in (0, 3, 40, 71, 72, 100, 150, 200, 260, 400, 2000, len(whole) - 1):
        small.path.write_bytes(whole[:length])
        with pytest.raises(ModelCorrupt, match=r"small\.bin"):
            _read_all(small)


def test_random_damage_never_crashes(small: SmallE5) -> None:
    """Whatever one wrong byte in the head does, it is `ModelCorrupt` or a file that is read."""
    whole = small.path.read_bytes()
    for position in range(0, 1500, 7):
        data = bytearray(whole)
        data[position] ^= 0xFF
        small.path.write_bytes(data)
        with suppress(ModelCorrupt):
            _read_all(small)


def _read_all(small: SmallE5) -> None:
    file = E5File(small.path)
    for name, (codes, _) in small.blocks.items():
        file.blocks(name, *codes.shape)
    for name, numbers in small.numbers.items():
        file.numbers(name, *numbers.shape)
