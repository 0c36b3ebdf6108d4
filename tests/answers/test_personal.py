"""What is one customer's own is recognised; what any customer may ask is not."""

from __future__ import annotations

import pytest

from kefu.answers.personal import find_personal
from kefu.knowledge.sample_shop import sample_entries

PERSONAL = {
    "订单号 20240131123456 到哪了": "number",
    "SF1234567890123 什么时候到": "number",
    "RR123456789CN 在哪里": "number",
    "where is 1Z999AA10123456784": "number",
    "我的电话是13812345678": "number",
    "call me at 138-1234-5678": "number",
    "打 138 1234 5678 给我": "number",
    "座机 (010)1234-5678": "number",
    "０１０－８８８８６６６６ 转我": "number",
    "phone +44 20 7946 0958": "number",
    "(415) 555-0132 is my number": "number",
    "06 12 34 56 78": "number",
    "一三八零零一三八零零零": "number",
    "身份证 11010119900307771X 认证不了": "number",
    "银行卡 6222 0212 3456 7890 123": "number",
    "尾号 6789 的卡": "number",
    "order b7f3a9c2d1e84f6a is late": "number",
    "my order #4711 has not arrived": "numbered thing",
    "订单 8823 为什么取消了": "numbered thing",
    "the tracking code is AB-3345": "numbered thing",
    "发到 zhang.san+shop@mail.example.cn": "e-mail address",
    "车牌粤B12345 能停吗": "licence plate",
    "京A·D12345": "licence plate",
    "寄到南京东路 300 号": "address",
    "送到3号楼2单元501室": "address",
    "浙江省杭州市西湖区文三路能送吗": "address",
    "我住在朝阳门外": "address",
    "我的地址是幸福里": "address",
    "ship it to 221B Baker Street please": "address",
    "my new address is Elm Lodge": "address",
    "I live in Hangzhou": "address",
    "我叫张三，想退货": "name",
    "我叫小明": "name",
    "我是王小红，昨": "name",
    "收件人：李雷": "name",
    "麻烦找一下陈先生": "name",
    "my name is anna": "name",
    "This is Anna, my parcel is lost": "name",
    "I'm Anna Smith, where is my parcel": "name",
    "Dear Mr. Smith": "name",
    "我付了299元怎么没发货": "amount paid",
    "你们扣了我 100 块": "amount paid",
    "I paid $59.90 for nothing": "amount paid",
    "I was charged 30 dollars twice": "amount paid",
    "我3月5日下单的东西呢": "date of one's own order",
    "我昨天买的杯子碎了": "date of one's own order",
    "my order from March 5 is missing": "date of one's own order",
    "I ordered it two weeks ago": "date of one's own order",
    "我的包裹 2024-01-31 就寄出了": "date of one's own order",
}
ANYBODYS = [
    "运费是多少",
    "满99元包邮吗",
    "订单满1000元可以分期吗",
    "积分 10000 分能换什么",
    "7天无理由退货从哪天算",
    "WH-1000XM5 有货吗",
    "iPhone15 Pro Max 256GB 多少钱",
    "身高175体重130穿什么码",
    "我是学生，有优惠吗",
    "我是金卡会员，运费怎么算",
    "我叫了快递上门怎么还没来",
    "我叫什么名字不重要",
    "怎么修改收货地址",
    "我的地址填错了怎么办",
    "能寄到新疆吗",
    "几点上班？9:00-21:00 吗",
    "双十一 11月11日有活动吗",
    "退款 3-5 天到账吗",
    "how long does a refund take, 3-5 days?",
    "How much is delivery to Germany?",
    "Is the sale on until May 5?",
    "Can I place 3 orders in one place?",
    "this is great, how do I buy it",
    "I'm looking for a gift",
    "my name is misspelled on the parcel",
    "the address on my order is wrong",
    "Do you have 2024 calendars",
    "付款 99 元后马上生效吗",
]


@pytest.mark.parametrize(("text", "kind"), PERSONAL.items())
def test_a_persons_own_is_recognised(text: str, kind: str):
    assert find_personal(text) == kind


@pytest.mark.parametrize("text", ANYBODYS)
def test_what_anybody_may_ask_is_not(text: str):
    assert find_personal(text) is None


@pytest.mark.parametrize("entry", sample_entries(), ids=lambda entry: entry.id)
def test_what_the_shop_says_itself_is_nobodys_own(entry):
    text = f"{entry.question}\n{entry.answer}"
    assert find_personal(text, known=text) is None
    assert [q for q in entry.questions if find_personal(q)] == []


def test_the_shops_number_may_be_written_in_another_way():
    known = "客服电话：400-820-8820，地址：南京东路300号。"
    assert find_personal("请拨打 4008208820。", known) is None
    assert find_personal("请拨打 400 820 8820。", known) is None
    assert find_personal("在南京东路 300 号。", known) is None
    assert find_personal("请拨打 400-820-8821。", known) == "number"
    assert find_personal("请拨打 400-820-8820 或 13812345678。", known) == "number"
