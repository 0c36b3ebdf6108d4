from __future__ import annotations

import pytest

from kefu.paraphrase.wording import Comparison, compare, wording_of


def both_ways(first: str, second: str) -> Comparison:
    found = compare(first, second)
    assert compare(second, first) == found
    return found


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("请问一下怎么取消订单呀？", "如何取消订单"),
        ("怎么取消订单", "订单怎么取消"),
        ("能不能开发票", "可以开发票吗"),
        ("為什麼無法登錄", "为啥登陆不了"),
        ("多久能送货", "什么时候可以送货"),
        ("哪个牌子的锅好", "什么牌子的锅比较好"),
        ("苹果和香蕉能一起放吗", "香蕉跟苹果可以一起放吗"),
        ("我怎么修改密码", "我的密码怎么更改"),
        ("How do I cancel the order, please?", "how to cancel an order"),
        ("Can I view orders?", "Is it possible to check orders"),
    ],
)
def test_other_ways_to_say_the_same_are_alike(first: str, second: str) -> None:
    assert both_ways(first, second).alike == 1


@pytest.mark.parametrize(
    ("first", "second"),
    [("订单还能取消吗", "订单能取消吗"), ("你能取消订单吗", "能取消订单吗")],
)
def test_one_particle_or_an_addressed_other_is_less_than_alike(first: str, second: str) -> None:
    assert both_ways(first, second).alike == 0.5


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("怎么取消订单", "怎么取消会员"),
        ("订单可以取消", "订单不可以取消"),
        ("为什么取消订单", "怎么取消订单"),
        ("房租涨了吗", "房租会涨吗"),
        ("房租会怎么样", "房租怎么样"),
        ("门锁怎么了", "门锁怎么样"),
        ("什么的门锁", "门锁是什么"),
        ("7天能退款", "30天能退款"),
        ("猫咪为什么怕小狗", "小狗为什么怕猫咪"),
        ("我给你打电话", "你给我打电话"),
        ("手机被偷了", "手机偷了"),
        ("今天营业到几点", "明天营业到几点"),
        ("买", "请问买吗"),
        ("", "。"),
    ],
)
def test_what_asks_something_else_is_not_alike(first: str, second: str) -> None:
    assert both_ways(first, second).alike == 0


def test_what_differs_is_counted() -> None:
    found = both_ways("怎么取消那张订单", "怎么取消发票")
    assert (found.more, found.fewer, found.shared) == (3, 2, pytest.approx(1 / 6))
    assert found.particles == 1


@pytest.mark.parametrize(
    ("first", "second", "share"),
    [
        ("怎么退货", "如何退货", 0.0),
        ("怎么可以退货", "怎么样退货", 0.0),
        ("能退货吗", "退货", 0.3),
        ("怎么退货", "退货", 0.5),
        ("能退货吗", "怎么退货", 0.8),
        ("怎么退货，在哪里退货", "怎么退货", 0.7),
        ("为什么退货", "怎么退货", 1.0),
    ],
)
def test_what_is_asked_for_is_compared(first: str, second: str, share: float) -> None:
    assert both_ways(first, second).asked == share


def test_who_changed_places_is_turned() -> None:
    assert both_ways("猫咪为什么怕小狗", "小狗为什么怕猫咪").turned
    assert both_ways("我喜欢你", "你喜欢我").turned
    assert not both_ways("怎么取消订单", "订单怎么取消").turned
    assert not both_ways("先有鸡还是先有蛋", "先有蛋还是先有鸡").turned


def test_opposites_are_noticed() -> None:
    assert both_ways("付款之前能改吗", "付款之后能改吗").opposite
    assert not both_ways("今天和明天都营业吗", "明天营业吗").opposite


def test_a_text_too_long_to_be_read_whole_is_not_alike() -> None:
    text = "怎么取消订单" * 40
    assert both_ways(text, text + "和会员").alike == 0
    assert both_ways(text, text).alike == 0


@pytest.mark.parametrize("text", ["", "？？", "🙂", "の", "a" * 5000, "一" * 5000])
def test_any_text_is_taken(text: str) -> None:
    assert both_ways(text, text).more == 0


def test_chinese_counts_by_characters_and_the_rest_by_words() -> None:
    assert wording_of("iPhone 15 的屏幕").words == ("iphone", "15", "屏", "幕")
