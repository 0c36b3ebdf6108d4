"""Ids are frozen from the `tokenizers` library (0.23, Unigram, NFKC, Metaspace) and the same pieces."""

from __future__ import annotations

from pathlib import Path

import pytest

from kefu.errors import ModelCorrupt
from kefu.paraphrase.pieces import UNKNOWN, Pieces, read_pieces

SPECIAL = {"<s>": 0.0, "<pad>": 0.0, "</s>": 0.0, "<unk>": 0.0}
SCORES = SPECIAL | {
    "▁": -2.0, "退": -6.0, "货": -6.5, "退货": -9.0, "怎么": -5.0, "怎": -8.0, "么": -7.0,
    "▁怎么": -6.0, "▁how": -4.0, "▁re": -5.0, "turn": -7.0, "▁return": -11.5, "s": -3.0,
    "ed": -4.0, "1": -4.0, "12": -5.0, "2": -4.5, "3": -5.0, "23": -9.0, "?": -3.0, "c": -9.0,
    "a": -8.0, "f": -9.0,
}  # fmt: skip


@pytest.fixture
def pieces() -> Pieces:
    return Pieces(list(SCORES), SCORES.values())


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("怎么退货？", [11, 7, 23]),
        ("how  returned", [12, 15, 17]),
        ("how\u3000re", [12, 13]),
        ("returns", [15, 16]),
        ("１２３", [4, 19, 21]),
        ("café 退", [4, 24, 25, 26, 3, 4, 5]),
        ("x龘y退", [4, 3, 5]),
        ("怎退", [4, 9, 5]),
        ("退货怎么", [4, 7, 8]),
        ("", []),
    ],
)
def test_ids_are_those_of_the_library(pieces: Pieces, text: str, ids: list[int]) -> None:
    assert pieces.ids(text, 99) == ids


def test_special_pieces_match_no_text(pieces: Pieces) -> None:
    assert pieces.ids("<s></s>", 99) == [4, UNKNOWN, 16, UNKNOWN, 16, UNKNOWN]


def test_any_blank_parts_words_and_none_begins_or_ends_a_text(pieces: Pieces) -> None:
    assert pieces.ids(" how\t\nre ", 99) == pieces.ids("how▁re", 99) == [12, 13]


def test_beginning_counts_and_megabytes_do_not_matter(pieces: Pieces) -> None:
    assert pieces.ids("退货" * 500_000, 3) == [4, 7, 7]
    assert pieces.ids("怎么 " * 500_000, 64) == [11] * 64


def test_odd_texts_are_taken(pieces: Pieces) -> None:
    assert pieces.ids("\ud800 \x00 😀", 99) == [4, UNKNOWN, 4, UNKNOWN, 4, UNKNOWN]


@pytest.mark.parametrize("text", ["", "a\n", "<s>\t0.0\n", "a\tb\n" * 5, "a\t1\n" * 3 + "b\n"])
def test_a_file_that_is_no_list_is_named(text: str, tmp_path: Path) -> None:
    (tmp_path / "pieces.tsv").write_text(text, "utf-8")
    with pytest.raises(ModelCorrupt, match=r"pieces\.tsv is not a list.*pull the model again"):
        read_pieces(tmp_path / "pieces.tsv")


@pytest.mark.models
@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("退货运费谁出？", [6, 6742, 12858, 9993, 7765, 10400, 699, 31]),
        ("How do I return an item?", [6129, 50, 77, 15701, 121, 18139, 31]),
        ("我的 iPhone 15 Pro 屏幕碎了", [6, 3768, 2502, 318, 826, 6, 51790, 33565, 221]),
        ("ＡＢＣ１２３，全角", [23705, 24262, 4, 1525, 6765]),
        ("naïve café", [24, 3, 219, 294, 316, 3]),
        ("😀😀ok", [6, 3, 485]),
        (
            "订单号2024-0001：￥99.9",
            [6, 68193, 3266, 1006, 1460, 9, 81106, 12, 16539, 746, 76830],
        ),
        ("can't log in", [569, 25, 18, 6848, 23]),
        ("龘䶮", [6, 3]),
    ],
)
def test_ids_of_the_real_vocabulary(models_dir: Path, text: str, ids: list[int]) -> None:
    assert (
        read_pieces(models_dir / "multilingual-e5-small-kefu" / "pieces.tsv").ids(text, 64) == ids
    )
