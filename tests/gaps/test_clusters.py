from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from kefu.gaps.clusters import cluster, wording_likeness
from kefu.inference.encoder.onnx import OnnxEncoder
from tests.fakes import HashingEncoder


def groups(texts: list[str], counts: list[int] | None = None) -> list[list[str]]:
    found = cluster(texts, HashingEncoder().encode(texts), counts or [1] * len(texts))
    return [[texts[n] for n in group] for group in found]


def test_nothing_and_one() -> None:
    assert cluster([], np.zeros((0, 4), np.float32), []) == []
    assert groups(["运费"]) == [["运费"]]


def test_wordings_of_a_question_meet_and_others_do_not() -> None:
    gifts = ["可以包装成礼物吗", "礼物包装可以吗", "可以礼物包装吗"]
    other = "store opening hours on sunday"
    found = groups([gifts[0], other, *gifts[1:]])
    assert sorted(map(sorted, found)) == sorted([sorted(gifts), [other]])


def test_the_most_typical_comes_first_and_frequency_counts() -> None:
    texts = ["可以包装成礼物吗", "可以包装成礼物吗谢谢", "可以包装成礼物吗谢谢你们啦"]
    assert groups(texts)[0][0] == texts[1]
    assert groups(texts, [50, 1, 1])[0][0] == texts[0]


def test_wording_is_alike_by_rare_words() -> None:
    likeness = wording_likeness(["怎么退款", "怎么退款呢", "怎么开票", "hello", "！！"])
    assert likeness.shape == (5, 5)
    np.testing.assert_allclose(likeness, likeness.T, atol=1e-6)
    np.testing.assert_allclose(np.diag(likeness), 1)
    assert likeness[0, 1] > likeness[0, 2] > likeness[0, 3] == 0
    assert likeness[4, 0] == 0


@pytest.mark.models
def test_customers_words_with_the_real_encoder(models_dir: Path) -> None:
    encoder = OnnxEncoder(models_dir / "use-multilingual-v3" / "model.onnx", 2)
    asked = {
        "gift": ["能帮我包成礼物吗", "可以礼品包装吗", "有没有礼物包装服务"],
        "rent": ["这个相机可以租吗", "相机租一天多少钱", "能不能租相机"],
        "shop": ["你们线下门店在哪", "实体店地址在哪里", "线下实体店在哪"],
        "en": ["Do you offer gift wrapping?", "Can you gift wrap my order?"],
    }
    texts = [text for same in asked.values() for text in same]
    found = [{texts[n] for n in group} for group in cluster(texts, encoder.encode(texts), [1] * 11)]
    assert all(any(group <= set(same) for same in asked.values()) for group in found)
    assert len(found) <= 6
