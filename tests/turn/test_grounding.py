"""What a reply may say, clause by clause, and what happens to one that says more."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from kefu.knowledge.entry import Entry
from kefu.knowledge.sample_shop import sample_entries
from kefu.settings import ConversationSettings, RepliesSettings
from kefu.terms import fold
from kefu.turn.grounding import Grounding, Verdict
from kefu.turn.prompt import PromptWriter
from kefu.turn.quantities import find_quantities
from kefu.turn.reply import Message
from kefu.turn.written import Written
from tests.fakes import ScriptedGenerator
from tests.turn.conftest import Bench, OpenBench
from tests.turn.test_desk import NEAR

SHOP = {entry.id: entry for entry in sample_entries()}
WARRANTY = Entry("w", "洗衣机保修多久", "洗衣机整机保修三年，电机保修十年。人为损坏不保修。")
PAYING = Entry(
    "p",
    "How can I pay?",
    "You can pay with WeChat Pay, Alipay or a bank card. We cannot take cash.",
)
SHIPPED = Entry("s", "发货后能取消吗", "发货后不能直接取消。签收后 7 天内可以申请退货。")
INVOICE = Entry(
    "i", "怎么开发票", "到“我的订单”→“申请开票”填写抬头，电子发票 24 小时内发到您的邮箱。"
)
WECHAT = Entry("x", "微信多久退款", "退款批准后 1-2 个工作日退回微信零钱或原扣款的银行卡。")
ALIPAY = Entry("y", "支付宝多久退款", "退款批准后 24 小时内退回您的支付宝余额或原扣款方式。")
HELP = Entry("h", "帮助", "请访问 https://help.shop.cn/a?b=1 或写信到 care@shop.cn。")


def read(
    reply: str,
    question: str,
    *entries: Entry,
    finish: str = "stop",
    step: int = 3,
    copies_only: bool = False,
) -> Written:
    language = "zh" if any("一" <= c <= "鿿" for c in question) else "en"
    grounding = Grounding(question, entries, copies_only=copies_only)
    written = Written(grounding, PromptWriter.refusal(language))
    for begin in range(0, len(reply), step):
        written.add(reply[begin : begin + step])
        if written.fault:
            return written
    written.finish(finish)
    return written


@pytest.mark.parametrize(
    ("reply", "question", "entry"),
    [
        ("您好，电机保修十年，整机保修三年。", "洗衣机电机坏了还保修吗", WARRANTY),
        ("洗衣机的电机保修 10 年。", "电机坏了", WARRANTY),
        ("您好！人为损坏不保修。", "摔坏了保修吗", WARRANTY),
        ("可以，整机保修三年。", "洗衣机保修吗", WARRANTY),
        ("不能，发货后不能直接取消。", "发货后能取消吗", SHIPPED),
        ("签收后七天内可以申请退货。", "想退货", SHIPPED),
        ("You can pay with Alipay or a bank card.", "how to pay", PAYING),
        ("Sorry, we cannot take cash.", "do you take cash", PAYING),
        ("Yes, you can pay with a bank card.", "can I pay with a bank card", PAYING),
        ("请访问 https://help.shop.cn/a?b=1 。", "帮助", HELP),
        ("1. 发货后不能直接取消。\n2. 签收后 7 天内可以申请退货。", "怎么取消", SHIPPED),
    ],
)
def test_what_the_passage_says_is_supported(reply: str, question: str, entry: Entry):
    written = read(reply, question, entry)
    assert written.fault is None
    assert written.text == reply.strip()
    assert written.passages == (0,)


@pytest.mark.parametrize(
    ("reply", "question", "entry", "fault"),
    [
        ("您好，会员生日有什么好处。", "会员生日有什么好处", WARRANTY, Verdict.ECHO),
        ("Yes, please pay with paypal.", "can I pay with paypal", PAYING, Verdict.ECHO),
        (
            "You can pay with PayPal or a bank card.",
            "can I pay with paypal",
            PAYING,
            Verdict.BORROWED,
        ),
        ("Yes, you can pay with a bank card.", "can I pay with paypal", PAYING, Verdict.AFFIRMED),
        (
            "电子发票的邮箱填错的电子发票的邮箱填错的电子发票的邮箱填错的电子发票的邮箱填错的",
            "能不能开公司抬头的发票，邮箱填错了怎么办",
            INVOICE,
            Verdict.LOOP,
        ),
        ("电机保修五年。", "电机保修多久", WARRANTY, Verdict.NUMBER),
        ("电机保修十个月。", "电机保修多久", WARRANTY, Verdict.NUMBER),
        ("请拨打 400-123-4567。", "电话", WARRANTY, Verdict.NUMBER),
        ("请访问 https://evil.example.com/x 。", "帮助", HELP, Verdict.ADDRESS),
        ("写信到 boss@shop.cn。", "帮助", HELP, Verdict.ADDRESS),
        ("发货后可以直接取消。", "发货后能取消吗", SHIPPED, Verdict.CONTRADICTED),
        ("可以，发货后能直接取消。", "发货后能取消吗", SHIPPED, Verdict.CONTRADICTED),
        ("We can take cash.", "do you take money", PAYING, Verdict.CONTRADICTED),
        ("No, you can pay with a card.", "how can I pay", WARRANTY, Verdict.BORROWED),
        ("我们的衣服都是纯棉的。", "料子好吗", WARRANTY, Verdict.WORDS),
        ("请问您买的是哪一台？", "保修多久", WARRANTY, Verdict.ASKS),
        ("抱歉，资料里没有提到。", "老板多大", WARRANTY, Verdict.REFUSED),
        ("", "老板多大", WARRANTY, Verdict.EMPTY),
        ("好的。", "老板多大", WARRANTY, Verdict.EMPTY),
        ("Yes.", "is it open", PAYING, Verdict.EMPTY),
    ],
)
def test_what_it_does_not_say_is_a_fault(reply: str, question: str, entry: Entry, fault: Verdict):
    written = read(reply, question, entry)
    assert written.fault is fault
    assert written.text == ""


def test_two_passages_are_not_mixed_into_one_claim():
    reply = "退款批准后 1-2 个工作日退回您的支付宝余额或原扣款的银行卡。"
    assert read(reply, "多久退款", WECHAT, ALIPAY).fault is Verdict.MIXED
    whole = f"{WECHAT.answer}{ALIPAY.answer}"
    assert read(whole, "多久退款", WECHAT, ALIPAY).passages == (0, 1)


def test_whole_sentences_before_a_fault_stay():
    written = read("人为损坏不保修。整机终身免费换新。", "摔坏了", WARRANTY)
    assert (written.fault, written.text) == (Verdict.WORDS, "人为损坏不保修。")


def test_an_answer_cut_in_the_middle_of_a_sentence_keeps_the_whole_ones():
    written = read("人为损坏不保修。洗衣机整机保", "摔坏了", WARRANTY, finish="length")
    assert (written.fault, written.text) == (Verdict.CUT_OFF, "人为损坏不保修。")
    assert read("洗衣机整机保", "保修", WARRANTY, finish="length").text == ""


def test_saying_it_again_is_a_loop():
    written = read("人为损坏不保修。人为损坏不保修。", "摔坏了", WARRANTY)
    assert (written.fault, written.text) == (Verdict.LOOP, "人为损坏不保修。")


def test_own_words_of_a_model_that_may_only_copy_are_a_fault():
    own = "洗衣机的电机保修 10 年。"
    assert read(own, "电机坏了", WARRANTY, copies_only=True).fault is Verdict.WORDS
    copied = "您好，洗衣机整机保修三年，电机保修十年。"
    assert read(copied, "电机坏了", WARRANTY, copies_only=True).text == copied


def test_text_is_sent_as_soon_as_it_is_known_to_hold():
    written = Written(Grounding("电机坏了", [WARRANTY]), "抱歉，资料里没有提到")
    sent = [written.add(piece) for piece in ("您好", "，", "洗衣机", "整机保修", "三年", "，")]
    assert sent == ["", "", "您好，洗衣机", "整机保修", "三年", "，"]
    assert written.add("电机保修") == "电机保修"
    assert written.add("百年。") == ""


def test_a_yes_waits_for_what_it_is_said_to():
    written = Written(Grounding("can I pay with paypal", [PAYING]), "Sorry, that is not")
    assert [written.add(p) for p in ("Yes, ", "you can pay", " with Alipay. ", "And")] == [""] * 4
    assert written.fault


ANSWERS = st.sampled_from(sorted(SHOP))


@given(ANSWERS, st.data())
def test_what_is_copied_from_a_passage_is_supported(id_: str, data: st.DataObject):
    entry = SHOP[id_]
    ends = [i + 1 for i, c in enumerate(entry.answer) if c in "。！？"] or [len(entry.answer)]
    begin, end = data.draw(st.sampled_from(list(pairwise(sorted({0, *ends})))))
    for copies_only in (False, True):
        written = read(
            entry.answer[begin:end].strip(), entry.question, entry, copies_only=copies_only
        )
        assert written.fault is None
        assert written.text == entry.answer[begin:end].strip()


@given(ANSWERS, st.integers(2, 99_999))
def test_a_number_that_no_passage_has_is_never_supported(id_: str, number: int):
    entry = SHOP[id_]
    text = " ".join((*entry.questions, entry.answer))
    assume(str(number) not in text)
    # Nor as a word: "two hours".
    assume(str(number) not in [quantity.value for quantity in find_quantities(fold(text))])
    for reply in (
        f"{number} 元。",
        f"{entry.question}{number}。",
        f"{entry.answer} {number} days.",
    ):
        assert str(number) not in read(reply, entry.question, entry).text


@given(ANSWERS, ANSWERS, st.integers(1, 40), st.integers(0, 200))
def test_the_verdict_does_not_depend_on_the_pieces(id_: str, other: str, step: int, cut: int):
    question, entry = SHOP[other].question, SHOP[id_]
    reply = f"{entry.answer[:cut]}{SHOP[other].answer}{entry.answer[cut:]}"
    pieced, whole = (read(reply, question, entry, SHOP[other], step=n) for n in (step, len(reply)))
    assert (pieced.fault, pieced.text) == (whole.fault, whole.text)


async def test_a_reply_that_does_not_hold_becomes_a_quotation(
    bench: Bench, generator: ScriptedGenerator
):
    generator.pieces = ("运费", "10", "元。", "多谢")
    turn = bench.desk.take(Message("u", NEAR))
    sent = [piece async for piece in turn.pieces()]
    reply = await turn.reply()
    assert reply.text == "我找到一条相近的问答，供您参考：“运费是多少”运费8元，满99元免运费。"
    assert (reply.source, [c.id for c in reply.citations]) == ("faq", ["fee-zh"])
    assert 0 < reply.confidence < 0.9
    assert "".join(sent) == f"运费\n\n{reply.text}"
    assert generator.closed_early == 1


async def test_a_base_model_answers_only_what_is_as_good_as_asked_for(
    open_bench: OpenBench, generator: ScriptedGenerator
):
    cautious = open_bench(ConversationSettings(), RepliesSettings(copy_score=0.95))
    reply = await cautious.desk.take(Message("u", NEAR)).reply()
    assert generator.prompts == []
    assert (reply.source, reply.entry_id) == ("faq", "fee-zh")


async def test_a_base_model_is_not_asked_what_no_passage_knows(
    bench: Bench, generator: ScriptedGenerator
):
    reply = await bench.desk.take(Message("u", "你们用贝宝付运费是多少")).reply()
    assert generator.prompts == []
    assert reply.source == "canned"
    assert [choice.id for choice in reply.choices] == ["fee-zh"]
