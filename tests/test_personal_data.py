"""Personal details are found and masked; the numbers of orders and things are left alone."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kefu.personal_data import Kind, find, is_masked_of, mask
from kefu.personal_data.cards import is_card_number, is_id_number
from tests import made_up_numbers as made_up
from tests.made_up_numbers import CARD_KINDS, full_width, grouped

TRAPS = Path(__file__).parent / "data" / "moderation_traps.csv"
CHECKED = {Kind.ID_NUMBER, Kind.BANK_CARD, Kind.MOBILE}
SEEDS = range(40)


def kinds(text: str) -> list[Kind]:
    return [detail.kind for detail in find(text)]


def details(text: str) -> list[str]:
    return [text[detail.start : detail.end] for detail in find(text)]


# --- numbers that have rules ---------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_an_identity_number_is_known_by_its_check_character(seed: int):
    random = Random(seed)
    number = made_up.id_number(random)
    assert kinds(f"身份证{number}认证不了") == [Kind.ID_NUMBER]
    assert details(f"my ID is {number.lower()}, why") == [number.lower()]
    wrong = made_up.with_wrong_check(random, number)
    assert Kind.ID_NUMBER not in kinds(f"身份证{wrong}认证不了")


@pytest.mark.parametrize("body", ["99010119900307123", "11010118990307123", "11010119901307123", "11010119900230123", "11010129990307123"])  # fmt: skip
def test_no_identity_number_without_a_province_and_a_day_of_birth(body: str):
    assert not is_id_number(body + made_up.id_check(body))


@pytest.mark.parametrize("seed", SEEDS)
def test_an_identity_number_of_15_digits(seed: int):
    number = made_up.old_id_number(Random(seed))
    assert kinds(f"老身份证 {number}") == [Kind.ID_NUMBER]
    assert find(f"订单号{number}") == []
    assert Kind.ID_NUMBER not in kinds(f"身份证{number[:8]}99{number[10:]}")


@pytest.mark.parametrize(("prefix", "length"), CARD_KINDS)
@pytest.mark.parametrize("seed", range(8))
def test_a_bank_card_is_known_by_its_check_digit(prefix: str, length: int, seed: int):
    random = Random(seed)
    number = made_up.card_number(random, prefix, length)
    assert kinds(f"我的卡{number}被扣款了") == [Kind.BANK_CARD]
    assert details(f"card {grouped(number, (4, 4, 4, 4))} please") == [
        grouped(number, (4, 4, 4, 4))
    ]
    assert find(f"我的卡{made_up.with_wrong_check(random, number)}被扣款了") == []


@pytest.mark.parametrize(("prefix", "length"), [("1", 16), ("4", 15), ("62", 15), ("37", 16), ("7", 19)])  # fmt: skip
def test_no_bank_issues_such_numbers(prefix: str, length: int):
    assert not is_card_number(made_up.card_number(Random(1), prefix, length))


def test_an_identity_number_is_no_bank_card_even_where_it_could_be_both():
    random, found = Random(5), 0
    for _ in range(4000):
        number = f"62{made_up.id_number(random)[2:-1]}"
        number += made_up.id_check(number)
        if number.isdigit() and is_card_number(number):
            assert kinds(f"号码 {number}") == [Kind.ID_NUMBER]
            found += 1
    assert found


@pytest.mark.parametrize("seed", SEEDS)
def test_a_mobile_number(seed: int):
    number = made_up.mobile(Random(seed))
    groups = grouped(number, (3, 4))
    for written in (number, groups, grouped(number, (3, 4), "-"), f"+86 {number}", f"+86-{groups}",
                    f"0086{number}", f"86{number}", grouped(number, (1,) * 10)):  # fmt: skip
        assert details(f"打我电话{written}，谢谢") == [written]
        assert kinds(f"call {written}.") == [Kind.MOBILE]
    for longer in (f"{number}7", f"7{number}", f"{number}.5", f"0.{number}", f"AB{number}"):
        assert Kind.MOBILE not in kinds(f"看看 {longer} 吧")
    assert find(f"运单号：{number} 没有更新") == []


def test_two_numbers_side_by_side_are_two():
    random = Random(3)
    card, phone = made_up.card_number(random, "62", 19), made_up.mobile(random)
    assert kinds(f"{card} {phone} {phone}") == [Kind.BANK_CARD, Kind.MOBILE, Kind.MOBILE]
    assert kinds(f"{phone}、{card}") == [Kind.MOBILE, Kind.BANK_CARD]


@pytest.mark.parametrize("text", [
    "(010) 8888 6666", "021-58887777", "0571-8888666", "+86 21 5888 7777", "+44 20 7946 0958",
    "(415) 555-0132", "415-555-0132", "tel 02158887777", "座机０２１－５８８８７７７７",
])  # fmt: skip
def test_other_telephone_numbers(text: str):
    assert kinds(f"请回电 {text} 谢谢") == [Kind.PHONE]


# --- however it is written -----------------------------------------------------------------------


def test_a_number_is_found_in_any_writing_and_its_place_is_that_of_the_original():
    number = "13812345678"
    for written in (
        full_width(number),
        "１３８－１２３４－５６７８",
        "138\u30001234\u30005678",
        "138‑1234‑5678",
        "1\u200b3\u200b8\ufeff12345678",
        "①③⑧①②③④⑤⑥⑦⑧",
        "𝟏𝟑𝟖𝟏𝟐𝟑𝟒𝟓𝟔𝟕𝟖",
        "一三八一二三四五六七八",
    ):
        text = f"\u200b我的\u200b号是{written}，记下"
        assert details(text) == [written]
        assert written not in mask(text)
        assert mask(text).startswith("\u200b我的\u200b号是")
        assert mask(text).endswith("，记下")


# --- e-mail and addresses ------------------------------------------------------------------------

ADDRESSES = {
    "我住在上海市浦东新区世纪大道100号环球大厦58楼": "我住在上海市***",
    "寄到浙江省杭州市西湖区文三路90号1号楼": "寄到浙江省杭州市***",
    "新地址：广东省深圳市南山区科技园路5栋301室，麻烦改一下": "新地址：广东省深圳市***，麻烦改一下",
    "发到北京海淀区中关村大街27号": "发到北京***",
    "送到3号楼2单元501室": "送到***",
    "在南京东路300号": "在***",
    "内蒙古自治区呼和浩特市新城区兴安北路8号": "内蒙古自治区呼和浩特市***",
    "Ship it to 221B Baker Street, London please": "Ship it to *** please",
    "I moved to 1600 Amphitheatre Parkway, Mountain View, CA 94043.": "I moved to ***.",
    "send it to P.O. Box 4471": "send it to ***",
    "我的邮箱wang.li+shop@example.com.cn，谢谢": "我的邮箱w***@example.com.cn，谢谢",
    "13812345678@example.com": "1***@example.com",
}
PLACES = [
    "能送到上海市浦东新区吗",
    "上海和浙江包邮吗",
    "你们实体店在南京东路吗",
    "家门口的路口交通管制",
    "坐地铁2号线到人民广场",
    "103路5号车上捡到的",
    "我要3号色，2号码",
    "这条街2元店很多",
    "3月5日前能送到杭州市吗",
    "村里没有快递点",
    "I bought 2 Flash Drive and 3 Game Boy",
    "see you @ 5 on Main Street",
    "Is it @home?",
    "关注我们@kefu",
]


@pytest.mark.parametrize(("text", "masked"), ADDRESSES.items())
def test_of_an_address_the_city_stays_and_of_an_e_mail_its_domain(text: str, masked: str):
    assert mask(text) == masked


@pytest.mark.parametrize("text", PLACES)
def test_a_place_is_no_address(text: str):
    assert find(text) == []


# --- what is nobody's own ------------------------------------------------------------------------


def innocent() -> Iterator[str]:
    """Numbers as they stand in a shop's messages; the long ones pass the check of bank cards."""
    with TRAPS.open(encoding="utf-8") as file:
        yield from (row["text"] for row in csv.DictReader(file) if row["kind"] == "number")
    for seed in range(12):
        random = Random(seed)
        order = made_up.card_number(random, "62", random.choice((16, 17, 18, 19)))
        short, price = made_up.card_number(random, "4", 16), random.uniform(1, 99_999)
        day = made_up.birth(random)
        thing = f"1{random.choice('3456789')}{made_up.digits(random, 9)}"
        yield f"我的订单{order}到哪了"
        yield f"订单号：{order}，还没发货"
        yield f"单号 {grouped(short, (4, 4, 4, 4))} 查不到"
        yield f"{short} 是我的订单号"
        yield f"Where is order {short}?"
        yield f"tracking number: {order}"
        yield f"tracking number {thing} shows nothing"
        yield f"序号{thing}，货号{made_up.digits(random, 11)}"
        yield f"SF{made_up.digits(random, 13)}和YT{thing}都没更新"
        yield f"坐标 {random.uniform(18, 53):.8f},{random.uniform(73, 135):.8f}"
        yield f"一共 {price:,.2f} 元，少了 {price / 10:.4f}"
        yield f"ISBN 978-7-{made_up.digits(random, 3)}-{made_up.digits(random, 5)}-{seed % 10}"
        yield f"{day:%Y-%m-%d} 到 {day:%Y%m%d}，{day:%Y年%m月%d日} 下午3点"


def test_other_numbers_are_left_alone():
    texts = list(innocent())
    assert len(texts) >= 200
    assert [text for text in texts if CHECKED.intersection(kinds(text))] == []


def test_the_nearest_word_decides():
    card = made_up.card_number(Random(2), "62", 19)
    assert find(f"订单{card}") == []
    assert kinds(f"订单付款的银行卡{card}") == [Kind.BANK_CARD]
    assert kinds(f"订单没到，{card}") == [Kind.BANK_CARD]
    assert kinds("订单13812345678") == [Kind.MOBILE]
    assert kinds("订单号的手机是13812345678") == [Kind.MOBILE]


# --- masking -------------------------------------------------------------------------------------


def test_some_characters_of_each_kind_stay():
    assert mask("13812341234") == "138****1234"
    assert mask("138 1234 1234") == "138 **** 1234"
    assert mask("6222 0200 0000 0007") == "6222 **** **** 0007"
    assert mask("11010519491231002X") == "110*************2X"
    assert mask("021-58887777") == "021-5****777"


TEXTS = st.text(
    st.sampled_from("0123456789 -.+@:,，()X*aw路号市区订单卡１３８\u200b一二三"), max_size=60
)


@given(TEXTS)
def test_what_is_masked_stays_as_it_is(text: str):
    once = mask(text)
    assert mask(once) == once


@given(TEXTS)
def test_found_places_lie_in_order_inside_the_text(text: str):
    ends = [0]
    for detail in find(text):
        assert ends[-1] <= detail.start < detail.end <= len(text)
        ends.append(detail.end)


def test_a_kept_question_is_recognised_masked_or_not():
    text = "我的电话是13812345678"
    assert is_masked_of(text, text)
    assert is_masked_of(mask(text), text)
    assert not is_masked_of(mask(text), "我的电话是13912345678")


@pytest.mark.parametrize("unit", [
    "1", "4 5 3 9 ", "1-3-8-", "13812345678 ", "a@", "a.", "+86", "路1号", "市区", "1栋1", "一", "订单", "1   ",
])  # fmt: skip
def test_a_long_text_takes_a_moment(unit: str):
    """Ten times what a message may have. Quadratic time would be minutes."""
    text = unit * (100_000 // len(unit))
    assert len(mask(text)) <= len(text)
