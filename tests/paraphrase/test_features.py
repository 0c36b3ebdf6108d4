from __future__ import annotations

import numpy as np
import pytest

from kefu.paraphrase.features import DIRECTIONS, NAMES, common_sequence, features_of
from tests.paraphrase.fake_states import states_of


def found(first: str, second: str) -> dict[str, float]:
    values = features_of(first, second, states_of(first), states_of(second))
    assert values.shape == (len(NAMES),)
    assert np.isfinite(values).all()
    return dict(zip(NAMES, values.tolist(), strict=True))


def test_the_same_text_has_the_best_of_everything() -> None:
    same, other = found("怎么取消订单", "怎么取消订单"), found("怎么取消订单", "怎么修改地址")
    for name, direction in zip(NAMES, DIRECTIONS, strict=True):
        if direction:
            assert direction * same[name] >= direction * other[name] - 1e-3, name
    assert same["cosine"] == pytest.approx(1)
    assert same["replaced_12"] == same["leftover_less_12"] == same["mutual"] == 1
    assert same["crossed"] == same["moved"] == same["turned_around"] == same["length"] == 0


def test_which_question_comes_first_does_not_matter() -> None:
    for one, two in (("重庆到西安的票", "西安到重庆的票"), ("a", "退货"), ("", "退货")):
        assert found(one, two) == found(two, one)


def test_one_replaced_word_is_seen_by_the_weakest_not_by_the_mean() -> None:
    pair = found("怎么申请开发票", "怎么申请开户票")
    assert pair["weakest_less_12"] < 0.6 < pair["mean_less_12"]
    assert pair["replaced_12"] == pytest.approx(pair["leftover_less_12"], abs=0.5)
    assert pair["characters"] == pytest.approx(6 / 8)
    assert pair["sequence_of_longer"] == pytest.approx(6 / 7)


def test_a_question_turned_around_is_noticed() -> None:
    pair = found("重庆到西安", "西安到重庆")
    assert pair["turned_around"] == 1
    assert pair["moved"] > 0
    assert pair["crossed"] > 0


def test_a_word_that_only_one_side_has_is_compared_with_nothing() -> None:
    pair = found("退货运费", "退货")
    assert pair["replaced_4"] == pair["replaced_12"] == 0.5
    assert pair["length"] == pytest.approx(np.log(5 / 3), abs=1e-6)


@pytest.mark.parametrize(
    ("first", "second", "name"),
    [
        ("3天内退", "7天内退", "numbers"),
        ("能退", "不能退", "negation"),
        ("运费多少钱", "什么时候发货", "kinds"),
        ("怎么开启通知", "怎么关闭通知", "poles"),
    ],
)
def test_the_rules_are_features(first: str, second: str, name: str) -> None:
    assert found(first, second)[name] == 1
    assert found(first, first)[name] == 0


def test_the_same_words_in_another_order_are_noticed() -> None:
    pair = found("请问怎么取消订单呀", "订单如何取消")
    assert (pair["wording"], pair["words_shared"], pair["words_more"]) == (1, 1, 0)
    pair = found("怎么取消订单", "怎么取消发票")
    assert (pair["wording"], pair["words_more"], pair["words_fewer"]) == (0, 2, 2)


def test_empty_words_do_not_count_unless_there_is_nothing_else() -> None:
    assert found("请，退货吗？", "请退货")["weakest_less_12"] == pytest.approx(1, abs=1e-3)
    assert found("？", "。")["weakest_less_12"] < 0.9


def test_a_text_without_pieces_is_like_no_other() -> None:
    pair = found("", "退货")
    assert (pair["mean_less_12"], pair["numbers"]) == (-1, 1)


def test_a_longest_common_sequence_is_found() -> None:
    assert common_sequence("abcd", "xbyd") == [(3, 3), (1, 1)]
    assert common_sequence("", "ab") == []
