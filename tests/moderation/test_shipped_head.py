"""The head that kefu comes with, on the real encoder's vectors: texts that no training set has."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from kefu.inference.encoder.onnx import OnnxEncoder
from kefu.moderation.categories import Category
from kefu.moderation.examples import LEARNT
from kefu.moderation.head_file import load_head, shipped_head

SUSPICIOUS = [
    ("你这种废物客服怎么不去死", Category.ABUSE),
    ("you are a worthless piece of trash and I will find you", Category.ABUSE),
    ("线上真人百家乐，首存送彩金，马上开户", Category.GAMBLING),
    ("online casino with a welcome bonus, deposit now", Category.GAMBLING),
    ("我不想活了，今晚就结束这一切", Category.SELF_HARM),
    ("I want to end my life tonight", Category.SELF_HARM),
    ("高仿香烟批发，一手货源，货到付款", Category.CONTRABAND),
    ("加我微信，免费进群，每天日赚五百", Category.ADVERTISING),
]
INNOCENT = [
    "我的快递到哪里了？",
    "这件大衣有没有小一码的",
    "退款什么时候到账",
    "气死我了，等了两个礼拜还没到",
    "店里周末有抽奖吗",
    "Where is my parcel? It is a week late.",
    "Can I pay by card when I pick it up?",
    "thanks, that worked",
]


@pytest.fixture(scope="module")
def encoder(models_dir: Path) -> OnnxEncoder:
    return OnnxEncoder(models_dir / "use-multilingual-v3" / "model.onnx", 1)


@cache
def head():
    return load_head(shipped_head())[0]


def test_it_is_small_and_for_the_encoder_that_kefu_comes_with(encoder: OnnxEncoder):
    assert len(shipped_head().read_bytes()) < 3_000_000
    assert head().encoder_id == encoder.id
    assert head().categories == LEARNT


@pytest.mark.parametrize(("text", "category"), SUSPICIOUS)
def test_what_is_plain_is_held_for_what_it_is(text: str, category: Category, encoder: OnnxEncoder):
    found = head().scores(text, encoder.encode([text])[0])
    assert found[category] >= head().thresholds[category].hold


@pytest.mark.parametrize("text", INNOCENT)
def test_what_customers_write_is_not_held(text: str, encoder: OnnxEncoder):
    found = head().scores(text, encoder.encode([text])[0])
    held = [c for c, score in found.items() if score >= head().thresholds[c].hold]
    assert held == []


def test_no_probability_reaches_the_threshold_from_which_nothing_passes(encoder: OnnxEncoder):
    for text, _ in SUSPICIOUS:
        scores = head().scores(text, encoder.encode([text])[0])
        assert all(0 <= scores[c] < head().thresholds[c].block for c in LEARNT)
