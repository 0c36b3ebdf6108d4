"""What stands beside a number: words that call it a card, a telephone or an order; more digits.

One order number in ten passes the check digit of bank cards, so what it is called decides.
"""

from __future__ import annotations

import re
from enum import StrEnum


class Label(StrEnum):
    """What a number is called. `NUMBERED` is a thing that has a number, `CODE` says so plainly
    (订单 and 订单号)."""

    NUMBERED = "numbered"
    CODE = "code"
    CARD = "card"
    PHONE = "phone"
    IDENTITY = "identity"


# What has a number and is nobody's card.
ORDERED = frozenset({Label.CODE, Label.NUMBERED})

_WORDS = {
    Label.CODE: (
        r"(?:订单|运单|快递|物流|包裹|工单|流水|交易|商户|合同|发票|票|税|批次|序列|机器|设备|户|货|编|序|排队|抽签|"
        r"单|会员卡|会员|礼品卡|优惠券|优惠|积分卡|取件|提货|验证|商品|型|条形|条|尾|账单|保单|追踪|跟踪)(?:编|代|单)?[号码]码?"
        r"|税号|条码|编码|序号|imei|isbn|sku|\bvin\b|\bean\b|\bupc\b|\buid\b|"
        r"\b(?:order|tracking|parcel|shipment|ticket|invoice|reference|ref|case|serial|receipt|transaction|"
        r"gift card|voucher|coupon|batch|lot|item|part|model|booking|confirmation|claim|contract|policy|"
        r"member(?:ship)?|loyalty|waybill|device|product)\b\.?\s*(?:numbers?|no\b|nr\b|#|id\b|codes?)"
    ),
    Label.NUMBERED: (
        r"订单|运单|快递|物流|包裹|工单|流水|交易|商户|合同|发票|批次|序列|会员卡|礼品卡|优惠券|退货单|售后单|"
        r"\b(?:orders?|tracking|parcel|package|shipment|ticket|invoice|reference|ref|case|serial|receipt|"
        r"transaction|gift card|voucher|coupon|batch|lot|booking|confirmation|claim|contract|waybill)\b"
    ),
    Label.CARD: (
        r"银行卡|信用卡|储蓄卡|借记卡|工资卡|收款|付款卡|卡号|账号|帐号|账户|"
        r"(?<!gift )(?<!loyalty )\b(?:card|visa|mastercard|amex|unionpay|debit|credit|account)\b"
    ),
    Label.PHONE: (
        r"手机|电话|座机|联系|热线|微信|短信|"
        r"\b(?:tel|telephone|phone|mobile|mob|cell|call|text|reach|ring|whatsapp|wechat|contact)\b"
    ),
    Label.IDENTITY: r"身份证|证件|\b(?:id|identity|identity card)\b",
}
_LABEL = re.compile(
    "|".join(f"(?P<{label}>{words})" for label, words in _WORDS.items()), re.IGNORECASE
)

# How far a label may stand before its number, and how many signs and words may lie between.
_REACH = 40
_BETWEEN = re.compile(r"[^，。；！？、,;!?\n\d]{0,14}")
_AFTER = re.compile(
    r"\s*[（(]?(?:这个?)?(?:是|is|was|as)?\s*(?:我|我们|这|那|你们|my|the|an?|our|your)?的?\s*"
    rf"(?P<label>{_WORDS[Label.CODE]}|{_WORDS[Label.NUMBERED]})",
    re.IGNORECASE,
)


def label_of(text: str, start: int, end: int) -> Label | None:
    """What the nearest word before `text[start:end]` calls it, or else the words after it."""
    before = text[max(0, start - _REACH) : start]
    labels = list(_LABEL.finditer(before))
    if labels and _BETWEEN.fullmatch(before, labels[-1].end()):
        return Label(labels[-1].lastgroup or "")
    after = _AFTER.match(text, end, end + _REACH)
    return Label.NUMBERED if after else None


# What may be written against a number without a space between.
_LEADING_WORD = re.compile(
    r"\b(?:tel|phone|mobile|mob|cell|ph|call|wechat|wx|vx|card|visa|id|no)$", re.IGNORECASE
)
_LONGEST_WORD = 8

# A letter or digit of a code (CJK is none), or what masked digits became.
_CODE_BEFORE = re.compile(r"[A-Za-z0-9_*]$|\d[./:-]$")
_CODE_AFTER = re.compile(r"[A-Za-z0-9_*]|[./:-]\d")


def stands_alone(text: str, start: int, end: int) -> bool:
    """Whether these digits are no part of a longer number, code or decimal fraction."""
    before = text[max(0, start - _LONGEST_WORD) : start]
    if _CODE_BEFORE.search(before) and not _LEADING_WORD.search(before):
        return False
    return not _CODE_AFTER.match(text, end)
